"""An arm of the comparison: one base, tried on more and more rows, nothing computed twice."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import orjson

from potstill.train.bases import Base
from potstill.train.candidates import Candidate, Course
from potstill.train.frozen import Heads, Words, fit_words
from potstill.train.targets import row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Vector

_KINDS = ("tfidf", "static", "transformer")
"""From the smallest student to the largest."""

_FORWARD, _FORWARD_AND_BACKWARD = 2, 6
"""Operations a weight and token (Kaplan et al. 2020, "Scaling Laws for Neural Language Models",
section 2.1)."""


@dataclass
class SharedWords:
    """Heads on the words, fitted once for all arms that read with the same tokenizer."""

    fitted: dict[tuple[int, int], Words] = field(default_factory=dict[tuple[int, int], Words])

    def fit(self, course: Course, rows: NDArray[np.int64]) -> Words:
        """The head on the words of training rows.

        Args:
            course: arms of one tokenizer share its lesson.
            rows: numbers of the training rows; as many rows are always the same ones.
        """
        lesson, key = course.lesson, (id(course.lesson), len(rows))
        if key not in self.fitted:
            self.fitted[key] = fit_words(
                [lesson.rows[row] for row in rows],
                lesson.targets[rows],
                tokenizer=course.tokenizer,
                prior=lesson.prior,
                multilabel=lesson.multilabel,
                seed=course.seed,
                flag=lesson.flag,
            )
        return self.fitted[key]


@dataclass(frozen=True, eq=False)
class Trial:
    """What an arm did with some of the rows.

    Attributes:
        arm: the arm.
        rows: training rows that it was given.
        heads: fitted to them.
        dev_scores: see `row_scores` (development row,).
        held_out_scores: of those training rows that heads of the folds had not seen (held-out
            row,), in the same order for every arm.
    """

    arm: Arm
    rows: int
    heads: Heads
    dev_scores: Vector
    held_out_scores: Vector

    @property
    def score(self) -> float:
        """The mean over all rows that it had not seen."""
        return float(np.concatenate((self.dev_scores, self.held_out_scores)).mean())


class Arm:
    """One base in the comparison.

    Args:
        course: the training of the base.
        words: shared with the other arms.
        telling: which training rows tell, when a fold holds them out, how good an arm is
            (training row,).
    """

    def __init__(self, course: Course, words: SharedWords, telling: NDArray[np.bool_]) -> None:
        self.course, self._words, self._telling = course, words, telling
        self.seconds = 0.0
        self._embeddings: NDArray[np.float32] | None = None
        self._embedded = np.zeros(len(course.lesson.rows), dtype=np.bool_)

    @property
    def name(self) -> str:
        """Of the base."""
        return self.course.base.name

    @cached_property
    def size(self) -> tuple[int, float]:
        """Sorts arms, the smallest first: the kind of student, and its operations a token."""
        return _KINDS.index(self.course.base.kind), operations_a_token(self.course.base)

    def cost(self, rows: NDArray[np.int64]) -> float:
        """Operations that a trial on these rows still takes: most are those of the embedding."""
        lengths = [len(self.course.lesson.rows[row]) for row in rows if not self._embedded[row]]
        return _FORWARD * self.size[1] * sum(lengths)

    def tuning_cost(self) -> float:
        """Operations of a fine-tuning, all epochs."""
        tokens = sum(map(len, self.course.lesson.rows)) * self.course.options.epochs
        return _FORWARD_AND_BACKWARD * self.size[1] * tokens

    def trial(self, rows: NDArray[np.int64]) -> Trial:
        """Fit heads on some training rows, and judge them on rows that they have not seen.

        Args:
            rows: row numbers; those of an earlier trial are embedded already.
        """
        with self._timed():
            words = self._words.fit(self.course, rows)
            heads = self.course.fit(self._embed(rows), rows, words)
            lesson, said = self.course.lesson, heads.said
            held_out, keep = rows[said.rows], self._telling[rows[said.rows]]
            held_out_scores = row_scores(
                said.logits[keep], lesson.targets[held_out[keep]], lesson.multilabel, lesson.flag
            )
            return Trial(self, len(rows), heads, self._dev_scores(heads), held_out_scores)

    def frozen(self, trial: Trial) -> Candidate:
        """The finished candidate of a trial on all rows."""
        with self._timed():
            network = self.course.network(trial.heads)
        scores = trial.dev_scores, trial.held_out_scores
        return Candidate(self.course, "frozen", network, *scores, self.seconds, [])

    @cached_property
    def _dev_embeddings(self) -> NDArray[np.float32] | None:
        return self.course.embed(self.course.lesson.dev_rows)

    def _dev_scores(self, heads: Heads) -> Vector:
        lesson = self.course.lesson
        if not lesson.dev_rows:
            return np.empty(0, dtype=np.float32)
        logits = heads(lesson.dev_rows, self._dev_embeddings)
        return lesson.dev_scores(logits)

    def _embed(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        new = rows[~self._embedded[rows]]
        if len(new):
            found = self.course.embed([self.course.lesson.rows[row] for row in new])
            if found is None:
                return None
            if self._embeddings is None:
                shape = (len(self._embedded), found.shape[1])
                self._embeddings = np.empty(shape, dtype=np.float32)
            self._embeddings[new] = found
            self._embedded[new] = True
        return None if self._embeddings is None else self._embeddings[rows]

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


def cheapest_first(arms: Sequence[Arm]) -> list[Arm]:
    """The arms by the size of their students."""
    return sorted(arms, key=lambda arm: arm.size)
