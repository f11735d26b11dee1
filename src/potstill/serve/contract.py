"""What the parts of the server know of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, overload

from potstill.data.example import Input, Prediction

AnsweredBy = Literal["model", "workflow", "teacher", "nobody"]
"""Who gave an answer; `nobody` where it was deferred and stayed so."""


class Servable(Protocol):
    """A predictor that is answered from: a model or a workflow; safe to share between threads."""

    @property
    def name(self) -> str:
        """The name in its routes."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in their one fixed order."""
        ...

    @property
    def multilabel(self) -> bool:
        """Whether an answer is a tuple of labels."""
        ...

    @overload
    def predict(self, inputs: str | Mapping[str, str], /) -> Prediction: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]: ...

    def predict(self, inputs: Input | Sequence[Input], /) -> Prediction | list[Prediction]:
        """Answer one input, or each of a sequence."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a caller for one input.

    Attributes:
        prediction: of the model, or of the fallback that stood in for it.
        by: who gave it.
        fallback: what became of a deferred input: ``teacher``, ``queued``, ``abstained``, or
            ``unavailable`` where the fallback could not be asked; None where none was needed.
        cost_usd: money that this one answer cost beside the machine; None is unknown.
    """

    prediction: Prediction
    by: AnsweredBy
    fallback: str | None = None
    cost_usd: float | None = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One answered input, as it is counted, logged and recorded.

    Attributes:
        request: the request's id, as the response header has it.
        model: the name in the route.
        version: the model's version: the first twelve digits of its checksum.
        value: the input; whoever keeps it asks the owner's rules first.
        answer: what went back.
        ms: milliseconds from the arrival of the request to its answer.
        own: the model's own prediction, where a fallback's went back; None where they are one.
        more: further facts of whoever answered.
    """

    request: str
    model: str
    version: str
    value: Input
    answer: Answer
    ms: float
    own: Prediction | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


class Fallback(Protocol):
    """Who answers what a model deferred."""

    async def answer(self, model: str, value: Input, prediction: Prediction) -> Answer:
        """An answer for one deferred input; never raises for a fallback that is out of order.

        Args:
            model: the name in the route.
            value: the input.
            prediction: what the model would have guessed, and why it did not answer.
        """
        ...

    async def close(self) -> None:
        """Write out what is still in memory, and stop."""
        ...


class Recorder(Protocol):
    """Who keeps what was served; must not slow the server down."""

    @property
    def dropped(self) -> int:
        """Answered inputs that were not kept: too many waited, or the disk took no more."""
        ...

    def record(self, served: Served) -> None:
        """Keep one answered input; returns at once, and drops (and counts) what it cannot keep."""
        ...

    def close(self) -> None:
        """Write out what is still in memory, and stop."""
        ...
