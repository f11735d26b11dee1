"""What becomes of an input that a model does not answer: nothing, or a person's queue.

The teacher as a fallback is in `potstill.serve.fallback.teacher`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from potstill.data.example import Input, Prediction, id_of
from potstill.data.reading import jsonl_rows
from potstill.errors import DataError, SpecError
from potstill.serve.contract import Answer
from potstill.serve.journal import Journal, Scribe
from potstill.serve.redact import KeepingRules
from potstill.spec.loading import LoadedTask
from potstill.spec.task import Columns

_log = logging.getLogger(__name__)

_MOST_REMEMBERED = 200_000


class Abstain:
    """A `Fallback` that leaves what was deferred unanswered."""

    async def answer(self, model: str, value: Input, prediction: Prediction) -> Answer:
        """No answer."""
        return Answer(prediction, "nobody", "abstained")

    async def close(self) -> None:
        """Nothing to do."""


class QueueFallback:
    """A `Fallback` that puts what was deferred before a person: one row of JSON each.

    A row has the task's own columns of id, text (or named fields) and label, the label null until
    the person gives it: labelled, it is a row of ``data.gold``. Beside them stand ``guess,
    confidence, scores, deferred, model, version, at``. It is on disk before the caller hears that it is
    queued. An input that waits already is not queued again.

    Args:
        folder: gets a file for each day.
        rules: what of the texts may be kept; sampling has no say here.
        columns: of the task's data.
        version_of: the version of a model, by its name in the route.

    Raises:
        StorageError: the folder may not be written.
        DataError: a file of the folder is no queue.
    """

    def __init__(
        self,
        folder: Path,
        rules: KeepingRules,
        *,
        columns: Columns | None = None,
        version_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._columns = columns or Columns()
        self._scribe = Scribe(Journal(folder))
        self._rules = rules
        self._version_of = version_of
        self._queued = dict.fromkeys(_ids_in(folder, self._columns.id))
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def answer(self, model: str, value: Input, prediction: Prediction) -> Answer:
        """No answer yet: ``queued``, or ``unavailable`` where the disk takes no more."""
        kept = self._rules.clean_input(value)
        key = f"{model} {id_of(kept)}"
        if key in self._queued:
            return Answer(prediction, "nobody", "queued")
        if key not in self._writing:
            make = partial(self._row, model, kept, prediction)
            writing = asyncio.create_task(self._scribe.write(make))
            self._writing[key] = writing
            writing.add_done_callback(partial(self._written, key))
        try:
            await asyncio.shield(self._writing[key])
        except Exception as error:  # a full disk, or a text that no file can hold
            _log.warning("an input of %s is not queued: %s", model, type(error).__name__)
            return Answer(prediction, "nobody", "unavailable")
        return Answer(prediction, "nobody", "queued")

    async def close(self) -> None:
        """Wait until everything is on disk."""
        await self._scribe.close()

    def _row(self, model: str, kept: Input, prediction: Prediction) -> dict[str, Any]:
        columns = self._columns
        text = columns.input if isinstance(columns.input, str) else "text"
        return {
            columns.id: id_of(kept),
            **({text: kept} if isinstance(kept, str) else kept),
            "guess": prediction.target,
            "confidence": prediction.confidence,
            "scores": None if prediction.scores is None else dict(prediction.scores),
            "deferred": prediction.deferred,
            "model": model,
            "version": self._version_of(model),
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            columns.target: None,
        }

    def _written(self, key: str, writing: asyncio.Task[None]) -> None:
        del self._writing[key]
        if not writing.cancelled() and writing.exception() is None:
            self._queued[key] = None
        if len(self._queued) > _MOST_REMEMBERED:
            del self._queued[next(iter(self._queued))]


def need_consent(loaded: LoadedTask, what: str) -> KeepingRules:
    """The task's rules, for a part of the server that cannot work without keeping texts.

    Args:
        loaded: the task.
        what: that part, as the beginning of a sentence.

    Raises:
        SpecError: the owner did not agree, or a rule is no regular expression.
    """
    if not loaded.task.serve.consent:
        raise SpecError(
            f"{what} keeps texts, and the task does not say that their owner agrees.",
            where=loaded.places.get(("serve",)) or str(loaded.path),
            hint="Set 'serve.consent: true' if that is so, or 'defer.fallback: abstain'.",
        )
    return KeepingRules(loaded.task.serve)


def _ids_in(folder: Path, column: str) -> list[str]:
    """Model and id of every row that waits already."""
    found: list[str] = []
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as stream:
            for row in jsonl_rows(stream, str(path)):
                if not {column, "model"} <= row.fields.keys():
                    raise DataError(
                        f"a row of the queue has no {column!r} or no 'model'.",
                        where=row.where,
                        hint="Name another folder, in which there is nothing else.",
                    )
                found.append(f"{row.fields['model']} {row.fields[column]}")
    return found[-_MOST_REMEMBERED:]
