"""An arm of the comparison of students that pick sentences."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from accelerate.utils import broadcast_object_list

from potstill.train.auto.arms import FORWARD, FORWARD_AND_BACKWARD, Arm, Figures
from potstill.train.bases import Base
from potstill.train.picking.candidates import FEWEST_DEV_ROWS, Candidate, Course
from potstill.train.picking.student import PickStudent
from potstill.train.student import base_facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

Measure = Callable[[PickStudent], Figures]
"""What a picker costs to run."""


class PickArm(Arm[Candidate]):
    """A base that learns to pick sentences.

    Args:
        base: a transformer.
        course: reads the documents as the base reads them; called when the arm is first looked at.
        measure: tells what a picker costs to run; without it no gate on latency or price can be
            looked at.
    """

    fewest_dev_rows = FEWEST_DEV_ROWS

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
        return len(self.course.dev)

    def cost(self, rows: NDArray[np.int64]) -> float:
        """Operations that the encoder still takes; the fit beside it is nothing."""
        new = [at for at in rows.tolist() if at not in self.course.states]
        return FORWARD * self.size[1] * self.course.tokens(new)

    def tuning_cost(self) -> float:
        """Operations of a fine-tuning, all epochs."""
        tokens = self.course.tokens(range(len(self.course.rows)))
        return FORWARD_AND_BACKWARD * self.size[1] * tokens * self.course.options.epochs

    def tuned(self, frozen: Candidate) -> Candidate:
        """The candidate whose encoder learns too."""
        return self.course.tuned(frozen)

    def figures(self, candidate: Candidate) -> Figures:
        """What a candidate costs to run."""
        if self._measure is None:
            return {}
        student = PickStudent(
            module=candidate.network,
            tokenizer_file=self.base.folder / "tokenizer.json",
            decision=candidate.decision,
            base=base_facts(self.base, self.course.encoder),
            max_tokens=self.course.max_tokens,
            facts={},
        )
        # Processes that timed for themselves would choose for themselves as well.
        return broadcast_object_list([self._measure(student)])[0]

    def _learn(self, rows: NDArray[np.int64]) -> float:
        self._last = self.course.frozen(rows.tolist())
        scores = self._last.dev_scores, self._last.held_out_scores
        return float(np.concatenate(scores).mean())

    def _finish(self) -> Candidate:
        assert self._last is not None, "an arm is tried before it is finished"
        return self._last
