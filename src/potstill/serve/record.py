"""Keeping what was answered, in the background and by the owner's rules."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from potstill.data.composed import Composed
from potstill.data.example import (
    Input,
    Prediction,
    Target,
    Text,
    id_of,
    target_from_json,
    target_to_json,
    text_of,
)
from potstill.data.extraction import Extraction
from potstill.data.production import Kept, kept_folder
from potstill.errors import StorageError
from potstill.serve.contract import Served
from potstill.serve.journal import Journal
from potstill.serve.redact import KeepingRules
from potstill.spec.serving import ServeSpec

_log = logging.getLogger(__name__)

_MOST_ROWS = 20_000
_MOST_CHARACTERS = 32_000_000
_TOGETHER = 1_000
_WAIT_S = 0.5


class FileRecorder:
    """A `Recorder` that writes one file a day for each model; see `potstill.data.production`.

    Whoever records never waits: rows go to a thread of their own, which hashes, blanks and
    writes them. Where the disk is slower than the traffic, rows are dropped and counted, and
    the answers go out as before.

    Args:
        folder: gets ``predictions/MODEL/DAY.jsonl``; readable by its owner alone.
        rules: what may be kept of each model's inputs, by the name in its route. Of a model
            that is not named here hashes are kept, and no text.

    Raises:
        StorageError: the folder may not be written.
    """

    def __init__(self, folder: Path, rules: Mapping[str, KeepingRules]) -> None:
        self.dropped = 0
        """Rows that were not kept, since too many waited or the disk took no more."""
        self._folder = folder
        self._rules = dict(rules)
        self._hashes_alone = KeepingRules(ServeSpec())
        self._journals = {name: Journal(kept_folder(folder, name)) for name in rules}
        self._waiting: deque[tuple[str, Served]] = deque()
        self._characters = 0
        self._failing = False
        self._closing = False
        self._awake = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="potstill-record", daemon=True)
        Journal(folder)  # says now, and not at the first answer, that it cannot be written
        self._thread.start()

    def record(self, served: Served) -> None:
        """Keep one answered input; returns at once, and drops (and counts) what it cannot keep."""
        size = _characters(served.value)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._awake:
            full = len(self._waiting) >= _MOST_ROWS or self._characters + size > _MOST_CHARACTERS
            if full or self._closing:
                self.dropped += 1
                return
            self._waiting.append((at, served))
            self._characters += size
            if len(self._waiting) == _TOGETHER:
                self._awake.notify()

    def close(self) -> None:
        """Write out what is still in memory, and stop."""
        with self._awake:
            self._closing = True
            self._awake.notify()
        self._thread.join()

    def _write_all(self) -> None:
        while True:
            with self._awake:
                if not self._closing and len(self._waiting) < _TOGETHER:
                    self._awake.wait(_WAIT_S)
                group, self._waiting = self._waiting, deque()
                self._characters = 0
                last = self._closing
            self._write(group)
            if last:
                return

    def _write(self, group: deque[tuple[str, Served]]) -> None:
        rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for at, served in group:
            rules = self._rules.get(served.model, self._hashes_alone)
            if rules.sampled(served.value):
                rows[served.model].append(_kept(at, served, rules).to_json())
        for model, kept in rows.items():
            try:
                self._journal(model).append(kept)
                self._failing = False
            except StorageError as error:
                with self._awake:
                    self.dropped += len(kept)
                if not self._failing:
                    _log.warning("answers are not kept: %s", error)
                self._failing = True

    def _journal(self, model: str) -> Journal:
        if model not in self._journals:
            self._journals[model] = Journal(kept_folder(self._folder, model))
        return self._journals[model]


def _kept(at: str, served: Served, rules: KeepingRules) -> Kept:
    # The hash is that of the blanked input: beside a text with one blank, a hash of the whole
    # would let a short blanked part, such as a telephone number, be found by trying.
    value = rules.clean_input(_well_formed(served.value))
    answer = served.answer
    own = served.own or answer.prediction
    given = None if own is answer.prediction else answer.prediction.answer
    return Kept(
        at=at,
        request=served.request,
        model=served.model,
        version=served.version,
        id=id_of(value),
        length=len(text_of(served.value)),
        prediction=_kept_prediction(own, rules),
        by=answer.by,
        fallback=answer.fallback,
        answer=_kept_target(given, rules),
        ms=served.ms,
        cost_usd=answer.cost_usd,
        input=value if rules.texts else None,
    )


def _kept_prediction(prediction: Prediction, rules: KeepingRules) -> Prediction:
    """A prediction as it may be kept; of an answer of several parts only that there was one."""
    target = _kept_target(prediction.target, rules)
    if target is prediction.target and not isinstance(prediction, Composed):
        return prediction
    return Prediction(
        target,
        prediction.confidence,
        None,
        prediction.truncated,
        prediction.deferred,
        prediction.out_of_scope,
    )


def _kept_target(target: Target | None, rules: KeepingRules) -> Target | None:
    """Labels as they are; values and texts are words of the input, and as private as it is."""
    if not isinstance(target, Extraction | Text):
        return target
    if not rules.texts:
        return None
    kept = target_from_json(rules.clean_json(target_to_json(target)))
    if not isinstance(kept, Extraction):
        return kept
    # What was blanked before a value has moved it.
    fields = {
        name: tuple(replace(value, start=None, end=None) for value in found)
        for name, found in kept.fields.items()
    }
    return replace(kept, fields=fields)


def _characters(value: Input) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value.values()))


def _well_formed(value: Input) -> Input:
    """The input without lone surrogates, which no JSON file can hold."""
    if isinstance(value, str):
        return value if value.isascii() else _mended(value)
    return {_mended(name): _mended(field) for name, field in value.items()}


def _mended(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
