"""Which graph ships: each candidate's answers against the trained weights, and its time.

A candidate whose answers differ too often is out. Of those left int8 ships, which is a quarter
of fp32's size, unless fp32 is faster by a margin that no noise of a timing makes. Between two
int8 graphs disagreement decides, a figure that is the same in every run, and time does not.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from potstill.errors import ExportError
from potstill.runtime.session import open_session, run_one

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

LENGTHS_TOKENS = (16, 64, 256)
"""Lengths at which every candidate is timed, besides the development texts."""

_TIMED_TEXTS = 48
_ROUNDS = 5

_CLEARLY_SLOWER = 1.5
"""Times the time of fp32 from which int8 gives way. On a processor without int8 products it is
slower by far more; below that a busy machine would decide, and differently from run to run."""

_CLEARLY_CLOSER = 0.01
"""By how much static ranges must lower the disagreement to be preferred. They were seen on a
hundred texts, and clip the values of a text unlike those; dynamic ranges are each text's own."""


@dataclass(slots=True)
class Candidate:
    """A graph that could ship.

    Attributes:
        name: ``int8-dynamic``, ``int8-static`` or ``fp32``.
        graph: the serialised ONNX graph.
        session: over that graph.
        logits: (row, label) for the development texts, filled by `run_all`.
        disagreement: share of answers that differ from the trained weights.
        timings_ms: median time of a run: ``dev_texts`` (their mean), ``16_tokens``, …
    """

    name: str
    graph: bytes
    session: InferenceSession = field(init=False)
    logits: NDArray[np.float32] = field(init=False)
    disagreement: float = 1.0
    timings_ms: dict[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        self.session = open_session(self.graph, where=f"the {self.name} graph")

    @property
    def precision(self) -> str:
        """``int8`` or ``fp32``."""
        return self.name.partition("-")[0]

    def run_all(self, ids: Sequence[list[int]], step: Callable[[], None]) -> None:
        """Answer every development text.

        Args:
            ids: token ids of each text.
            step: called after each text.
        """
        rows: list[NDArray[np.float32]] = []
        for row in ids:
            rows.append(run_one(self.session, row))
            step()
        self.logits = np.stack(rows)


def disagreement(
    ours: NDArray[np.float32], trained: NDArray[np.float32], *, multilabel: bool
) -> float:
    """The share of rows whose answer differs: another label, or for multilabel another set.

    Args:
        ours: logits (row, label) of a candidate.
        trained: logits (row, label) of the trained weights.
        multilabel: a label is answered from a probability of one half.
    """
    if multilabel:
        return float(((ours > 0.0) != (trained > 0.0)).any(axis=1).mean())
    return float((ours.argmax(axis=1) != trained.argmax(axis=1)).mean())


def time_all(candidates: Sequence[Candidate], ids: Sequence[list[int]], *, max_tokens: int) -> None:
    """Time all candidates in turns, so that what else the machine does meets all alike.

    Args:
        candidates: their ``timings_ms`` are filled.
        ids: token ids of the development texts; an even sample of them is timed.
        max_tokens: lengths beyond it are left out.
    """
    sample = [list(row) for row in ids[:: -(-len(ids) // _TIMED_TEXTS)]]
    long = [token for row in ids for token in row[1:-1]] or [ids[0][0]]
    long *= -(-max(LENGTHS_TOKENS) // len(long))
    inputs = {"dev_texts": sample} | {
        f"{length}_tokens": [long[:length]] * 8 for length in LENGTHS_TOKENS if length <= max_tokens
    }
    for name, rows in inputs.items():
        for candidate, ms in zip(candidates, _time(candidates, rows), strict=True):
            candidate.timings_ms[name] = round(ms, 4)


def choose(candidates: Sequence[Candidate], *, max_disagreement: float) -> Candidate:
    """The candidate that ships: int8 before fp32, and dynamic ranges before static ones.

    Args:
        candidates: compared and timed.
        max_disagreement: the largest share of differing answers that is allowed.

    Raises:
        ExportError: none is close enough to the trained weights.
    """
    close = [one for one in candidates if one.disagreement <= max_disagreement]
    if not close:
        found = ", ".join(f"{one.name} {one.disagreement:.1%}" for one in candidates)
        raise ExportError(
            f"the exported model answers otherwise than the trained weights too often on the "
            f"development rows: {found}; allowed {max_disagreement:.1%}.",
            hint="Set 'student.precision: auto', which falls back to fp32."
            if all(one.precision == "int8" for one in candidates)
            else "Raise 'student.max_disagreement' if you can accept that.",
        )
    full = next((one for one in close if one.precision == "fp32"), None)
    limit = math.inf if full is None else full.timings_ms["dev_texts"] * _CLEARLY_SLOWER
    small = [
        one for one in close if one.precision == "int8" and one.timings_ms["dev_texts"] <= limit
    ]
    return _preferred(small) if small or full is None else full


def _preferred(candidates: Sequence[Candidate]) -> Candidate:
    """Of int8 graphs the dynamic one, unless static disagrees clearly less often."""
    closest = min(candidates, key=lambda one: one.disagreement)
    dynamic = next((one for one in candidates if one.name == "int8-dynamic"), closest)
    gained = dynamic.disagreement - closest.disagreement
    return closest if gained > _CLEARLY_CLOSER else dynamic


def _time(candidates: Sequence[Candidate], rows: Sequence[list[int]]) -> list[float]:
    """Mean over rows of the median over rounds, in milliseconds, for each candidate."""
    spent = np.empty((len(candidates), len(rows), _ROUNDS))
    for which_round in range(_ROUNDS):
        for at, row in enumerate(rows):
            for which, candidate in enumerate(candidates):
                begin = time.perf_counter()
                run_one(candidate.session, row)
                spent[which, at, which_round] = time.perf_counter() - begin
    return [1e3 * statistics.fmean(np.median(one, axis=1)) for one in spent]
