"""An arm of the comparison: one base, tried on more and more rows."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import orjson

from potstill.train.bases import Base

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Figures = Mapping[str, float]
"""What a candidate costs to run: ``latency_p95_ms``, ``usd_per_million``, ``megabytes`` and others;
those named like a gate are held against it."""

FORWARD, FORWARD_AND_BACKWARD = 2, 6
"""Operations a weight and token (Kaplan et al. 2020, "Scaling Laws for Neural Language Models",
section 2.1)."""

_KINDS = ("tfidf", "static", "transformer")
"""From the smallest student to the largest."""


class Candidate(Protocol):
    """A student that could ship, and how well it does on rows that it has not learnt from."""

    @property
    def mode(self) -> str:
        """``frozen`` or ``tuned``."""
        ...

    @property
    def dev_scores(self) -> NDArray[Any]:
        """Higher is better (development row,)."""
        ...

    @property
    def held_out_scores(self) -> NDArray[Any]:
        """Of training rows that parts of it had not seen, the same for every arm (row,)."""
        ...

    @property
    def seconds(self) -> float:
        """Of its training."""
        ...

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row for each epoch."""
        ...

    def row(self, chosen: bool) -> dict[str, Any]:
        """A line for the report."""
        ...


C = TypeVar("C", bound=Candidate)


class Arm(ABC, Generic[C]):
    """One base in the comparison, and the last thing that it was tried on.

    Args:
        base: what its candidates start from.

    Attributes:
        rows: training rows that it was given; 0 before the first trial.
        score: on rows that it had not seen; None before the first trial.
        seconds: spent on its frozen candidate so far.
    """

    fewest_dev_rows = 1
    """Development rows below which no fine-tuning could be judged."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.rows = 0
        self.score: float | None = None
        self.seconds = 0.0

    @property
    def name(self) -> str:
        """Of the base."""
        return self.base.name

    def named(self, mode: str) -> str:
        """The name of a candidate: of the base, and with the mode where the base has two."""
        return f"{self.name} {mode}" if self.tunable else self.name

    @property
    def tunable(self) -> bool:
        """Whether there is an encoder that could learn."""
        return self.base.kind == "transformer"

    @cached_property
    def size(self) -> tuple[int, float]:
        """Sorts arms, the smallest first: the kind of student, and its operations a token."""
        return _KINDS.index(self.base.kind), operations_a_token(self.base)

    def trial(self, rows: NDArray[np.int64]) -> float:
        """Learn from some training rows, the encoder frozen; the score on rows not seen.

        Args:
            rows: row numbers.
        """
        with self._timed():
            self.score = self._learn(rows)
        self.rows = len(rows)
        return self.score

    def frozen(self) -> C:
        """The finished candidate of a trial on all rows."""
        with self._timed():
            return self._finish()

    @property
    @abstractmethod
    def dev_rows(self) -> int:
        """Development rows that judge it."""

    @abstractmethod
    def cost(self, rows: NDArray[np.int64]) -> float:
        """Operations that a trial on these rows still takes."""

    @abstractmethod
    def tuning_cost(self) -> float:
        """Operations of a fine-tuning, all epochs."""

    @abstractmethod
    def tuned(self, frozen: C) -> C:
        """The candidate whose encoder learns too; it starts where the frozen one ended."""

    @abstractmethod
    def figures(self, candidate: C) -> Figures:
        """What a candidate costs to run; empty where nothing is measured."""

    @abstractmethod
    def _learn(self, rows: NDArray[np.int64]) -> float: ...

    @abstractmethod
    def _finish(self) -> C: ...

    @contextmanager
    def _timed(self) -> Generator[None]:
        started = time.monotonic()
        yield
        self.seconds += time.monotonic() - started


def operations_a_token(base: Base) -> float:
    """Weights that a token of a text is multiplied with; 0 where a table is all there is.

    Of a transformer they are counted from its configuration, so that nothing need be loaded:
    four projections of the attention and two products of the feed-forward part, a layer.
    """
    if base.kind != "transformer":
        return 0.0
    shape = orjson.loads((base.folder / "config.json").read_bytes())
    try:
        hidden, layers = shape["hidden_size"], shape["num_hidden_layers"]
        return float(layers * (4 * hidden**2 + 2 * hidden * shape["intermediate_size"]))
    except KeyError:
        # Another architecture's words for it: its file counts the weights, tables included.
        return (base.folder / "model.safetensors").stat().st_size / 4.0
