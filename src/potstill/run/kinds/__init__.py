"""What differs between the types of task: how a student is trained, and how it is packed.

Everything else in a run is the same for labels, fields and texts: reading, asking, filtering,
judging and reporting know a target when they see one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from potstill.run.kinds import fields, labels, texts
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from potstill.run.stages import Stages


class TrainedStudent(Protocol):
    """What a training tells of itself."""

    @property
    def base(self) -> str:
        """The pretrained model that it started from, or what stands in its place."""
        ...

    @property
    def mode(self) -> str:
        """How it learned: ``frozen``, ``tuned``, ``abstractive`` …."""
        ...

    @property
    def reason(self) -> str:
        """Why it was chosen, in a sentence; empty where there was no choice."""
        ...

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Everything that was tried, and which of it was chosen."""
        ...

    @property
    def seconds(self) -> float:
        """Time of the training."""
        ...

    @property
    def rows(self) -> int:
        """Training rows."""
        ...

    @property
    def history(self) -> list[dict[str, Any]]:
        """A row for each epoch."""
        ...


class PackedStudent(Protocol):
    """What an export tells of itself."""

    @property
    def precision(self) -> str:
        """``int8``, ``fp32``, or that of the weights that write."""
        ...

    @property
    def engine(self) -> str:
        """What runs it."""
        ...

    @property
    def megabytes(self) -> float:
        """Size of the model folder."""
        ...

    @property
    def parity(self) -> dict[str, Any]:
        """How far its answers are from those of the trained weights."""
        ...

    @property
    def calibration(self) -> dict[str, Any]:
        """What its confidence was fitted on, and how well."""
        ...

    @property
    def timings(self) -> dict[str, dict[str, float]]:
        """Milliseconds, by graph that was tried and length."""
        ...

    @property
    def chosen(self) -> dict[str, Any]:
        """``base``, ``mode``, ``candidates`` and ``reason`` where it chose between students."""
        ...


class Kind(Protocol):
    """A type of task; the modules of this package are its implementations."""

    def trained_files(self, task: Task) -> Sequence[str]:
        """The files that a finished training has left in the student's folder."""
        ...

    def bases(self, options: StudentSpec) -> list[list[str]]:
        """Name and SHA-256 of each pretrained model that the training may start from."""
        ...

    def train(self, work: Stages) -> TrainedStudent:
        """Train on the rows of the run; write the student's folder."""
        ...

    def export(self, work: Stages, lineage: Mapping[str, Any]) -> PackedStudent:
        """Pack the student into the model's folder."""
        ...


_KINDS: dict[str, Kind] = {
    "classification": labels,
    "multilabel": labels,
    "extraction": fields,
    "generation": texts,
}


def kind_of(task: Task) -> Kind:
    """What knows how to train and pack a student for this task."""
    return _KINDS[task.type]
