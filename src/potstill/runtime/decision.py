"""From logits to an answer: temperature, thresholds, confidence, and the label order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Prediction, Target


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
    """

    labels: tuple[str, ...]
    multilabel: bool
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Decision:
        """Read the decision out of the content of ``model.json``.

        Raises:
            KeyError: something is missing.
            ValueError: a multilabel model without one threshold a label, or a temperature
                that is not positive.
        """
        labels = tuple(document["labels"])
        multilabel = document["type"] == "multilabel"
        temperature = float(document["decision"]["temperature"])
        thresholds = tuple(map(float, document["decision"]["thresholds"]))
        if temperature <= 0.0:
            raise ValueError("the temperature is not positive")
        if len(thresholds) != (len(labels) if multilabel else 0):
            raise ValueError("thresholds and labels do not match")
        return cls(labels, multilabel, temperature, thresholds)

    def to_json(self) -> dict[str, Any]:
        """The part of ``model.json`` that `from_json` reads."""
        return {
            "type": "multilabel" if self.multilabel else "classification",
            "labels": list(self.labels),
            "decision": {"temperature": self.temperature, "thresholds": list(self.thresholds)},
        }

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

    def answer(self, logits: NDArray[np.float32], *, truncated: bool = False) -> Prediction:
        """The prediction for one input.

        For multilabel the confidence is the probability that every label is decided
        rightly, as the product over labels: it takes the labels for independent.

        Args:
            logits: (label).
            truncated: whether the model read only the beginning of the input.
        """
        scores: list[float] = self.probabilities(logits).tolist()
        target, confidence = self.decide(scores)
        return Prediction(
            target, confidence, dict(zip(self.labels, scores, strict=True)), truncated
        )

    def decide(self, scores: list[float]) -> tuple[Target, float]:
        """The target, and the probability that it is right, from a probability for each label."""
        return self._several(scores) if self.multilabel else self._one(scores)

    def _one(self, scores: list[float]) -> tuple[Target, float]:
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
