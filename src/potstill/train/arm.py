"""An arm of the comparison of students that answer with labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from accelerate.utils import broadcast_object_list

from potstill.train.auto.arms import FORWARD, FORWARD_AND_BACKWARD, Arm, Figures
from potstill.train.candidates import Candidate, Course
from potstill.train.frozen import Heads, Words, fit_words
from potstill.train.student import Student, base_facts
from potstill.train.targets import row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Vector

Measure = Callable[[Student], Figures]
"""What a student costs to run."""


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
class _Trial:
    """What an arm did with some of the rows.

    Attributes:
        heads: fitted to them.
        dev_scores: see `row_scores` (development row,).
        held_out_scores: of those training rows that heads of the folds had not seen (held-out
            row,), in the same order for every arm.
    """

    heads: Heads
    dev_scores: Vector
    held_out_scores: Vector


class LabelArm(Arm[Candidate]):
    """A base that learns labels; nothing is embedded twice.

    Args:
        course: the training of the base.
        labels: of the task.
        words: shared with the other arms.
        telling: which training rows tell, when a fold holds them out, how good an arm is
            (training row,).
        measure: tells what a student costs to run; without it no gate on latency or price can
            be looked at.
    """

    fewest_dev_rows = 200
    """Below these the noise of a paired difference is some three points, and what a fine-tuning
    gains over a frozen encoder is less: no result could promote it."""

    def __init__(
        self,
        course: Course,
        labels: tuple[str, ...],
        words: SharedWords,
        telling: NDArray[np.bool_],
        measure: Measure | None,
    ) -> None:
        super().__init__(course.base)
        self.course, self._labels, self._words = course, labels, words
        self._telling, self._measure = telling, measure
        self._embeddings: NDArray[np.float32] | None = None
        self._embedded = np.zeros(len(course.lesson.rows), dtype=np.bool_)
        self._dev_embeddings: NDArray[np.float32] | None = None
        self._last: _Trial | None = None

    @property
    def dev_rows(self) -> int:
        """Development rows that judge it."""
        return len(self.course.lesson.dev_rows)

    def cost(self, rows: NDArray[np.int64]) -> float:
        """Operations that a trial on these rows still takes: most are those of the embedding."""
        lengths = [len(self.course.lesson.rows[row]) for row in rows if not self._embedded[row]]
        return FORWARD * self.size[1] * sum(lengths)

    def tuning_cost(self) -> float:
        """Operations of a fine-tuning, all epochs."""
        tokens = sum(map(len, self.course.lesson.rows)) * self.course.options.epochs
        return FORWARD_AND_BACKWARD * self.size[1] * tokens

    def tuned(self, frozen: Candidate) -> Candidate:
        """The candidate whose encoder learns too."""
        return self.course.tuned(self._tried.heads, frozen.dev_scores)

    def figures(self, candidate: Candidate) -> Figures:
        """What a candidate costs to run."""
        if self._measure is None:
            return {}
        student = Student(
            module=candidate.network,
            tokenizer_file=self.base.folder / "tokenizer.json",
            labels=self._labels,
            multilabel=self.course.lesson.multilabel,
            base=base_facts(self.base, candidate.network.encoder),
            max_tokens=self.course.max_tokens,
        )
        # Processes that timed for themselves would choose for themselves as well.
        return broadcast_object_list([self._measure(student)])[0]

    def _learn(self, rows: NDArray[np.int64]) -> float:
        words = self._words.fit(self.course, rows)
        heads = self.course.fit(self._embed(rows), rows, words)
        lesson, said = self.course.lesson, heads.said
        held_out, keep = rows[said.rows], self._telling[rows[said.rows]]
        scores = row_scores(
            said.logits[keep], lesson.targets[held_out[keep]], lesson.multilabel, lesson.flag
        )
        self._last = _Trial(heads, self._dev_scores(heads), scores)
        return float(np.concatenate((self._last.dev_scores, scores)).mean())

    def _finish(self) -> Candidate:
        last = self._tried
        network = self.course.network(last.heads)
        scores = last.dev_scores, last.held_out_scores
        return Candidate(self.course, "frozen", network, *scores, self.seconds, [])

    @property
    def _tried(self) -> _Trial:
        assert self._last is not None, "an arm is tried before it is finished"
        return self._last

    def _dev_scores(self, heads: Heads) -> Vector:
        lesson = self.course.lesson
        if not lesson.dev_rows:
            return np.empty(0, dtype=np.float32)
        if self._dev_embeddings is None:
            self._dev_embeddings = self.course.embed(lesson.dev_rows)
        return lesson.dev_scores(heads(lesson.dev_rows, self._dev_embeddings))

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
