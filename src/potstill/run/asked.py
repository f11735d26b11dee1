"""A task's teacher as a `Predictor`: what a workflow's teacher node asks, one input at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from potstill.data import Example, Input, Prediction, Predictor
from potstill.data.example import id_of
from potstill.errors import TeacherError
from potstill.generate.asking import ask_examples
from potstill.generate.method import Method
from potstill.generate.open import ask_open
from potstill.generate.retrieval import Shown
from potstill.run.evidence import load_answers, read_evidence
from potstill.run.teaching import LEDGER
from potstill.spec import LoadedTask
from potstill.teacher import form_of
from potstill.teacher.answer import Answer, LabelReader
from potstill.teacher.ledger import Ledger
from potstill.teacher.line import Line
from potstill.teacher.meter import Meter
from potstill.teacher.prices import price_of
from potstill.teacher.providers import open_provider

_AT_ONCE = 8


def teacher_predictor(loaded: LoadedTask, *, runs: Path) -> Predictor:
    """The teacher of a task, live or recorded.

    Recorded answers are known for the task's own rows alone; other inputs stay unanswered.

    Args:
        loaded: the task.
        runs: folder of all runs; a live teacher's answers are kept in the task's ledger there.

    Raises:
        TeacherError: the task has no teacher, or it cannot be opened.
        DataError: recorded answers cannot be read.
    """
    spec = loaded.task.teacher
    if spec is None:
        raise TeacherError(
            "the task has no teacher to ask.", where=str(loaded.path), hint="Name a 'teacher'."
        )
    if spec.live:
        folder = runs / loaded.task.name
        folder.mkdir(parents=True, exist_ok=True)
        return LiveTeacher(loaded, folder / LEDGER)
    rows = read_evidence(loaded)
    return load_answers(loaded).committee(
        [*rows.unlabeled, *rows.train, *rows.dev, *rows.test, *rows.outside]
    )


class _Shared:
    """Ledgers that several teachers of this process have open: one file has one ledger.

    Two workflows may ask one teacher, and so do two versions of one while they change places.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[Ledger, int]] = {}

    def borrow(self, path: Path) -> Ledger:
        """The ledger of a file, opened by whoever comes first."""
        path = path.resolve()
        with self._lock:
            ledger, users = self._open.get(path) or (Ledger.open(path), 0)
            self._open[path] = ledger, users + 1
            return ledger

    def give_back(self, ledger: Ledger) -> None:
        """Close the ledger if nobody else has it."""
        with self._lock:
            for path, (known, users) in list(self._open.items()):
                if known is ledger and users > 1:
                    self._open[path] = known, users - 1
                elif known is ledger:
                    del self._open[path]
                    ledger.close()


_SHARED = _Shared()


class LiveTeacher:
    """A live teacher that answers inputs, out of its ledger where it answered them before.

    Args:
        loaded: the task.
        ledger: the file in which every attempt is written down.

    Raises:
        TeacherError: the teacher cannot be opened.
    """

    def __init__(self, loaded: LoadedTask, ledger: Path) -> None:
        self._task = loaded.task
        spec = loaded.task.teacher
        assert spec is not None, "the caller asks only where there is one"
        self.name = spec.model or "teacher"
        self._reader = LabelReader(self.labels, multilabel=self._task.multilabel)
        self._ledger = _SHARED.borrow(ledger)
        self._line = Line(
            open_provider(spec, resolve=loaded.resolve),
            self._ledger,
            price=price_of(spec),
            cap_usd=None,
            timeout_s=spec.timeout_s,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels, or its fields."""
        return self._task.answer.names

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """An answer for each input; target None where the teacher gave none that is usable.

        Raises:
            TeacherError: it does not answer at all.
        """
        return [prediction for prediction, _ in self.predict_priced(inputs)]

    def predict_priced(self, inputs: Sequence[Input], /) -> list[tuple[Prediction, float | None]]:
        """An answer for each input, with the money in USD that it cost now; None is unknown.

        Raises:
            TeacherError: it does not answer at all.
        """
        # A teacher is waited for, not worked for: several at once cost no more.
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="teacher") as threads:
            return list(threads.map(self._ask, inputs))

    def close(self) -> None:
        """Let the teacher and its ledger go."""
        self._line.close()
        _SHARED.give_back(self._ledger)

    def _ask(self, value: Input) -> tuple[Prediction, float | None]:
        meter = Meter(self._line)
        if not self._task.labelling:
            return self._ask_open(value, meter), meter.paid_usd
        (row,) = ask_examples(
            [Example(id=id_of(value), input=value)],
            meter,
            task=self._task,
            method=Method(),
            shown=Shown(),
            purpose="predict",
        )
        if "fault" in row:
            return Prediction(None, deferred="failed"), meter.paid_usd
        return Prediction(self._reader.read(row), scores=row.get("scores")), meter.paid_usd

    def _ask_open(self, value: Input, meter: Meter) -> Prediction:
        """An answer of fields or a text, located in the input."""
        form = form_of(self._task.answer)
        example = Example(id=id_of(value), input=value)
        (row,) = ask_open([example], meter, task=self._task, method=Method(), purpose="predict")
        if "fault" in row:
            return Prediction(None, deferred="failed")
        said = Answer(teacher=self.name, target=form.read(row[form.columns[0]]), raw="")
        settled = form.settle(said, value).target
        return Prediction(settled, deferred=None if settled is not None else "failed")
