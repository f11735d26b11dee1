"""From logits to an answer: temperature, thresholds, confidence, label order, and deferral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Prediction, Target
from potstill.runtime.deferral import DeferralPolicy


@dataclass(frozen=True, slots=True)
class Flag:
    """From when on a rare label is answered, however much more probable the other one is.

    Attributes:
        label: that is looked for.
        threshold: the probability from which it is answered.
    """

    label: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Decision:
    """How a model's logits become a `Prediction`; written once, in ``model.json``.

    Attributes:
        labels: the labels in the order of the logits: the one place that fixes it.
        multilabel: whether an input may have several labels, or none.
        temperature: divides the logits (Guo et al. 2017, section 4.2), fitted on the
            exported graph.
        thresholds: for multilabel, the probability from which each label is answered, in
            label order; empty otherwise.
        deferral: when the target is no answer; None answers everything.
        flag: of two labels the one that is looked for; None answers the more probable one.
    """

    labels: tuple[str, ...]
    multilabel: bool
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    deferral: DeferralPolicy | None = None
    flag: Flag | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Decision:
        """Read the decision out of the content of ``model.json``.

        Raises:
            KeyError: something is missing.
            ValueError: a multilabel model without one threshold a label, a temperature that
                is not positive, or a flag or a deferral that cannot be meant.
        """
        labels = tuple(document["labels"])
        multilabel = document["type"] == "multilabel"
        temperature = float(document["decision"]["temperature"])
        thresholds = tuple(map(float, document["decision"]["thresholds"]))
        if temperature <= 0.0:
            raise ValueError("the temperature is not positive")
        if len(thresholds) != (len(labels) if multilabel else 0):
            raise ValueError("thresholds and labels do not match")
        deferral = document.get("deferral")
        policy = None if deferral is None else DeferralPolicy.from_json(deferral)
        if multilabel and policy is not None and policy.scope is not None:
            raise ValueError("a multilabel model has no scope: no label at all is an answer")
        flagging = document["decision"].get("flag")
        flag = None if flagging is None else Flag(flagging["label"], float(flagging["threshold"]))
        if flag is not None and (multilabel or len(labels) != 2 or flag.label not in labels):
            raise ValueError("a flag is one of two labels")
        return cls(labels, multilabel, temperature, thresholds, policy, flag)

    def to_json(self) -> dict[str, Any]:
        """The part of ``model.json`` that `from_json` reads."""
        document: dict[str, Any] = {
            "type": "multilabel" if self.multilabel else "classification",
            "labels": list(self.labels),
            "decision": {"temperature": self.temperature, "thresholds": list(self.thresholds)},
        }
        if self.flag is not None:
            flag = {"label": self.flag.label, "threshold": self.flag.threshold}
            document["decision"]["flag"] = flag
        if self.deferral is not None:
            document["deferral"] = self.deferral.to_json()
        return document

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities: softmax over labels, for multilabel a sigmoid each.

        Args:
            logits: (..., label).

        Returns:
            probabilities (..., label).
        """
        scaled = logits.astype(np.float64) / self.temperature
        if self.multilabel:
            # The hyperbolic tangent neither overflows nor warns at either end.
            return 0.5 * (1.0 + np.tanh(0.5 * scaled))
        scaled -= scaled.max(axis=-1, keepdims=True)
        np.exp(scaled, out=scaled)
        scaled /= scaled.sum(axis=-1, keepdims=True)
        return scaled

    def energy(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """The logarithm of the sum of the exponentials of the scaled logits.

        High for what resembles the rows of the training, low for what resembles none of them.

        Args:
            logits: (..., label).

        Returns:
            energies (...).
        """
        scaled = logits.astype(np.float64) / self.temperature
        most = scaled.max(axis=-1)
        return most + np.log(np.exp(scaled - most[..., None]).sum(axis=-1))

    def answer(self, logits: NDArray[np.float32], *, truncated: bool = False) -> Prediction:
        """The prediction for one input.

        For multilabel the confidence is the probability that every label is decided
        rightly, as the product over labels: it takes the labels for independent. Where the
        model knows its scope, the confidence counts that no label may be right.

        Args:
            logits: (label).
            truncated: whether the model read only the beginning of the input.
        """
        scores: list[float] = self.probabilities(logits).tolist()
        target, sure = self.decide(scores)
        by_label = dict(zip(self.labels, scores, strict=True))
        if self.deferral is None:
            return Prediction(target, sure, by_label, truncated)
        scope = self.deferral.scope
        outside = None if scope is None else scope.outside(float(self.energy(logits)))
        return Prediction(
            target,
            sure * (1.0 - (outside or 0.0)),
            by_label,
            truncated,
            self.deferral.reason(sure, outside or 0.0),
            outside,
        )

    def decide(self, scores: list[float]) -> tuple[Target, float]:
        """The target, and how probably it is right if any is, from a probability for each label."""
        return self._several(scores) if self.multilabel else self._one(scores)

    def _one(self, scores: list[float]) -> tuple[Target, float]:
        if self.flag is not None:
            flagged = self.labels.index(self.flag.label)
            at = flagged if scores[flagged] >= self.flag.threshold else 1 - flagged
            return self.labels[at], scores[at]
        confidence = max(scores)
        return self.labels[scores.index(confidence)], confidence

    def _several(self, scores: list[float]) -> tuple[Target, float]:
        chosen: list[str] = []
        confidence = 1.0
        for label, score, threshold in zip(self.labels, scores, self.thresholds, strict=True):
            if score >= threshold:
                chosen.append(label)
                confidence *= score
            else:
                confidence *= 1.0 - score
        return tuple(chosen), confidence
