"""One rare label that must not be missed: when a text is flagged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from potstill.spec.base import Spec

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Costs(Spec):
    """What the two kinds of errors cost, in any one unit."""

    miss: Annotated[float, Field(gt=0.0)]
    """Cost of a text that should have been flagged and was not."""
    false_alarm: Annotated[float, Field(gt=0.0)] = 1.0
    """Cost of a text that was flagged and should not have been."""


class FlagSpec(Spec):
    """One of two labels is flagged, from a probability that costs, precision or recall decide."""

    label: str
    """The label that is looked for; the other one is what is left."""
    costs: Costs | None = None
    """The threshold at which both kinds of errors together cost least."""
    precision: Share | None = None
    """The threshold that finds most while at least this share of the flagged texts is right."""
    recall: Share | None = None
    """The threshold that raises the fewest false alarms while at least this share is found."""

    @model_validator(mode="after")
    def _one_aim(self) -> FlagSpec:
        aims = [self.costs, self.precision, self.recall]
        if sum(aim is not None for aim in aims) != 1:
            raise ValueError("give one of 'costs', 'precision' and 'recall'")
        return self
