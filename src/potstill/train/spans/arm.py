"""An arm of the comparison of students that extract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from accelerate.utils import broadcast_object_list

from potstill.train.auto.arms import FORWARD, FORWARD_AND_BACKWARD, Arm, Figures
from potstill.train.bases import Base
from potstill.train.spans.candidates import Candidate, Course
from potstill.train.spans.student import SpanStudent
from potstill.train.student import base_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Measure = Callable[[SpanStudent], Figures]
"""What an extractor costs to run."""


class SpanArm(Arm[Candidate]):
    """A base that learns to find values.

    Args:
        base: a transformer.
        course: reads the documents as the base reads them; called when the arm is first looked at.
        measure: tells what an extractor costs to run; without it no gate on latency or price can
            be looked at.
    """

    def __init__(self, base: Base, course: Callable[[], Course], measure: Measure | None) -> None:
        super().__init__(base)
        self._read, self._measure = course, measure
        self._last: Candidate | None = None

    @cached_property
    def course(self) -> Course:
        """The training of the base."""
        return self._read()

    @property
    def dev_rows(self) -> int:
        """Documents that judge it."""
        return len(self.course.documents.examples)

    def cost(self, rows: NDArray[np.int64]) -> float:
        """Operations of a trial: the encoder reads once, the head learns in many epochs."""
        head = FORWARD_AND_BACKWARD * self.course.frozen_operations(rows)
        return FORWARD * self.size[1] * self.course.tokens(rows) + head

    def tuning_cost(self) -> float:
        """Operations of a fine-tuning, all epochs."""
        return FORWARD_AND_BACKWARD * self.size[1] * self.course.tuned_tokens

    def tuned(self, frozen: Candidate) -> Candidate:
        """The candidate whose encoder learns too."""
        return self.course.tuned(frozen.network.head)

    def figures(self, candidate: Candidate) -> Figures:
        """What a candidate costs to run."""
        if self._measure is None:
            return {}
        course = self.course
        student = SpanStudent(
            module=candidate.network,
            tokenizer_file=self.base.folder / "tokenizer.json",
            fields=course.documents.fields,
            conventions=course.lesson.conventions,
            windows=course.spec,
            base=base_facts(self.base, course.encoder),
            facts={},
        )
        # Processes that timed for themselves would choose for themselves as well.
        return broadcast_object_list([self._measure(student)])[0]

    def _learn(self, rows: NDArray[np.int64]) -> float:
        self._last = self.course.frozen(rows)
        return float(self._last.dev_scores.mean()) if len(self._last.dev_scores) else 0.0

    def _finish(self) -> Candidate:
        assert self._last is not None, "an arm is tried before it is finished"
        return self._last
