"""When a model does not answer: too little confidence, or a text that fits none of its labels.

A text that belongs to no label raises no logit much, whereas softmax makes a distribution of
any logits, however low. The logarithm of the sum of their exponentials keeps what softmax
divides out: the free energy of Liu et al. 2020 ("Energy-based out-of-distribution detection",
eq. 4) with its sign turned. One logistic curve (Platt 1999) makes a probability of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from potstill.data.example import Deferral

_SURE_OUTSIDE = 0.5
"""From here on a text more likely fits no label than any, and none is forced on it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How probable it is that a text fits none of the labels, from its energy.

    Attributes:
        slope: of the log-odds, negative where the energy tells anything.
        intercept: of the log-odds; it holds how frequent such texts were among the rows of
            the fit.
    """

    slope: float
    intercept: float

    def outside(self, energy: float) -> float:
        """The probability that a text of this energy fits none of the labels."""
        # The hyperbolic tangent neither overflows nor warns at either end.
        return 0.5 * (1.0 + math.tanh(0.5 * (self.slope * energy + self.intercept)))


@dataclass(frozen=True, slots=True)
class DeferralPolicy:
    """What a model leaves to somebody else.

    Attributes:
        min_confidence: it answers from this confidence on; zero sets no bound, and infinity
            defers everything: a guarantee was asked for that the calibration rows could not
            give.
        scope: recognises texts that fit none of the labels; None where no such rows were
            there to learn it from.
    """

    min_confidence: float = 0.0
    scope: Scope | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> DeferralPolicy:
        """Read what `to_json` wrote; further keys are for people.

        Raises:
            KeyError: something is missing.
            ValueError: a confidence below zero, or no number where one is needed.
        """
        least, scope = document["min_confidence"], document["scope"]
        policy = cls(
            math.inf if least is None else float(least),
            None if scope is None else Scope(float(scope["slope"]), float(scope["intercept"])),
        )
        if not policy.min_confidence >= 0.0:
            raise ValueError("the least confidence of an answer is below zero")
        return policy

    def to_json(self) -> dict[str, Any]:
        """``min_confidence`` (null: nothing is answered) and ``scope`` (null: not recognised)."""
        return {
            "min_confidence": self.min_confidence if math.isfinite(self.min_confidence) else None,
            "scope": None
            if self.scope is None
            else {"slope": self.scope.slope, "intercept": self.scope.intercept},
        }

    def reason(self, sure: float, outside: float) -> Deferral | None:
        """Why a target is no answer; None where it is one.

        Of the two ways in which an answer would be wrong, the more probable one is the reason.

        Args:
            sure: probability that the target is right, if any label is.
            outside: probability that none is.
        """
        if outside > _SURE_OUTSIDE:
            return "out_of_scope"
        inside = 1.0 - outside
        if sure * inside >= self.min_confidence:
            return None
        return "out_of_scope" if outside > (1.0 - sure) * inside else "unsure"
