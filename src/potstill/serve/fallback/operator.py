"""The operator: holds the line to the teacher, within the day's money, and writes answers down.

All that waits here (the network, SQLite, the disk) waits in the threads that ask.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from potstill.data.example import Example, Input, Prediction, id_of
from potstill.errors import BudgetReached, PotstillError, TeacherError
from potstill.generate.asking import ask_examples
from potstill.generate.method import Method
from potstill.generate.retrieval import Shown
from potstill.serve.journal import Journal
from potstill.serve.redact import KeepingRules
from potstill.spec.loading import LoadedTask
from potstill.spec.task import Task
from potstill.spec.teacher import Price, TeacherSpec
from potstill.teacher.answer import LabelReader
from potstill.teacher.ledger import Ledger
from potstill.teacher.line import Line
from potstill.teacher.meter import Meter
from potstill.teacher.prices import price_of
from potstill.teacher.providers import open_provider
from potstill.teacher.request import Provider, Reply, Request, Rung

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 600.0
_NONE_FITS = "None of the other labels fits the text."


@dataclass(frozen=True, slots=True)
class Said:
    """What the teacher said.

    Attributes:
        prediction: its answer, or that no label fits.
        cost_usd: what was paid for it now: nothing for an answer out of the ledger; None is
            unknown.
    """

    prediction: Prediction
    cost_usd: float | None


class Operator:
    """Whom threads ask that want something of the teacher.

    The line to the teacher is closed when the day's money is spent, until the next day (UTC),
    and when the teacher does not answer, for a pause that doubles; then it is opened again.

    Args:
        loaded: the task, whose teacher is live.
        folder: gets the ledger and a file of recorded answers for each day.
        rules: what may be kept.
        prices: a price file that goes before the one that ships.
        timeout_s: seconds after which an attempt is given up.

    Raises:
        TeacherError: the teacher cannot be opened, or it costs money and nobody said how much
            of it a day.
        StorageError: the folder may not be written, or another process has the ledger open.
    """

    def __init__(
        self,
        loaded: LoadedTask,
        folder: Path,
        rules: KeepingRules,
        *,
        prices: Path | None,
        timeout_s: float,
    ) -> None:
        task = loaded.task
        self._spec = _live(loaded)
        self._task = _with_none_fits(task)
        self._labels = LabelReader(self._task.label_names, multilabel=task.multilabel)
        self._rules = rules
        self._price = price_of(self._spec, file=prices)
        self._usd_per_day = _usd_per_day(loaded, self._spec, self._price)
        self._timeout_s = min(timeout_s, self._spec.timeout_s)
        self._resolve = loaded.resolve
        self._journal = Journal(folder / "answers")
        self._ledger = Ledger.open(folder / "teacher.ledger")
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._day = ""
        self._shut_until_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._closed = False
        try:
            self._open()
        except BaseException:
            self._ledger.close()
            raise

    def ask(self, value: Input) -> Said | None:
        """Ask, or look up; None where there is no answer. Blocks; never raises."""
        line = None
        try:
            line = self._open_line()
            return None if line is None else self._ask(line, value)
        except PotstillError as error:
            self._shut(line, error)
        except Exception as error:
            # A defect must not take the request down; its words may hold the text.
            _log.error("the teacher as a fallback failed: %s", type(error).__name__)
        return None

    def close(self) -> None:
        """Let the teacher and the ledger go."""
        with self._lock:
            self._closed = True
            if self._line is not None:
                self._line.close()
        self._ledger.close()

    def _ask(self, line: Line, value: Input) -> Said | None:
        meter = Meter(line)
        example = Example(id=id_of(value), input=value)
        (row,) = ask_examples(
            [example],
            meter,
            task=self._task,
            method=Method(),
            shown=Shown(),
            purpose="fallback",
        )
        self._pause_s = _FIRST_PAUSE_S
        if "fault" in row:
            return None
        if meter.asked and self._rules.sampled(value):
            self._keep(row, value)
        target = self._labels.read(row)
        if target == self._task.data.out_of_scope:
            return Said(Prediction(None, deferred="out_of_scope"), meter.paid_usd)
        return Said(Prediction(target, scores=row.get("scores")), meter.paid_usd)

    def _keep(self, row: Mapping[str, Any], value: Input) -> None:
        """Write an answer down, under the columns in which the task reads its inputs."""
        kept = self._rules.clean_input(value)
        columns = self._task.data.columns.input
        name = columns if isinstance(columns, str) else "text"
        texts = {name: kept} if isinstance(kept, str) else dict(kept)
        about = {"terms": self._spec.terms, "at": _now().isoformat(timespec="seconds")}
        said = {key: given for key, given in row.items() if key not in ("id", "text")}
        self._journal.append([{"id": id_of(kept), **texts, **said, **about}])

    def _open_line(self) -> Line | None:
        """The line to the teacher; None while nobody is asked."""
        with self._lock:
            if self._closed:
                return None
            today = _today()
            if self._line is not None and (self._usd_per_day is None or self._day == today):
                return self._line
            if time.time() < self._shut_until_s:
                return None
            if self._line is not None:  # a new day, with money of its own
                self._line.close()
            return self._open()

    def _open(self) -> Line:
        cap_usd = None
        self._day = _today()
        if self._usd_per_day is not None:
            gone_today_usd = self._ledger.committed_usd(since=_midnight().timestamp())
            cap_usd = self._ledger.account.spent_usd + self._usd_per_day - gone_today_usd
        provider = _Discreet(open_provider(self._spec, resolve=self._resolve), self._rules)
        self._line = Line(
            provider,
            self._ledger,
            price=self._price,
            cap_usd=cap_usd,
            timeout_s=self._timeout_s,
        )
        return self._line

    def _shut(self, line: Line | None, error: PotstillError) -> None:
        """Ask nobody for a while: until tomorrow where the money is spent."""
        with self._lock:
            if self._closed or line is not self._line:
                return  # another thread was here before, with the same line
            self._line = None
            if isinstance(error, BudgetReached):
                tomorrow = _midnight() + timedelta(days=1)
                self._shut_until_s = tomorrow.timestamp()
            else:
                self._shut_until_s = time.time() + self._pause_s
                self._pause_s = min(_LONGEST_PAUSE_S, 2.0 * self._pause_s)
            if line is not None:
                line.close()
        _log.warning("the teacher is not asked until %s: %s", _clock(self._shut_until_s), error)


class _Discreet:
    """A `Provider` whose words pass the rules of redaction before the ledger keeps them."""

    def __init__(self, inner: Provider, rules: KeepingRules) -> None:
        self._inner = inner
        self._rules = rules
        self.name = inner.name
        self.identity = inner.identity
        self.endpoint = inner.endpoint
        self.concurrency = inner.concurrency
        self.rungs = inner.rungs

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """One attempt; see `Provider.complete`."""
        reply = await self._inner.complete(request, rung, timeout_s=timeout_s)
        thought = None if reply.thought is None else self._rules.clean(reply.thought)
        return replace(reply, text=self._rules.clean(reply.text), thought=thought)

    async def close(self) -> None:
        """Let connections, threads and weights go."""
        await self._inner.close()


def _live(loaded: LoadedTask) -> TeacherSpec:
    spec = loaded.task.teacher
    if spec is None or not spec.live:
        raise TeacherError(
            "this task has no live teacher to ask about what the model defers.",
            where=str(loaded.path),
            hint="Name a 'model' under 'teacher', or set 'defer.fallback: abstain'.",
        )
    return spec


def _usd_per_day(loaded: LoadedTask, spec: TeacherSpec, price: Price | None) -> float | None:
    """What the teacher may cost a day; None where it costs nothing."""
    usd = None if loaded.task.defer is None else loaded.task.defer.teacher_usd_per_day
    costs = price is None or price.input_usd_per_million or price.output_usd_per_million
    if usd is None and costs:
        raise TeacherError(
            f"{spec.model} costs money, and nobody said how much of it a day.",
            where=loaded.places.get(("defer",)) or str(loaded.path),
            hint="Set 'defer.teacher_usd_per_day'"
            + (", and its price under 'teacher.price'." if price is None else "."),
        )
    return usd


def _with_none_fits(task: Task) -> Task:
    """The task, with a label by which the teacher can say that none of the others fits."""
    if task.data.out_of_scope is None:
        return task
    labels = {**task.labels, task.data.out_of_scope: _NONE_FITS}
    return task.model_copy(update={"labels": labels})


def _now() -> datetime:
    return datetime.now(UTC)


def _midnight() -> datetime:
    return _now().replace(hour=0, minute=0, second=0, microsecond=0)


def _today() -> str:
    return f"{_now():%Y-%m-%d}"


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
