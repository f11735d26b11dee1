"""The teacher and the nearest gold together: one calibrated distribution over the labels.

A language model and an embedding of a few gold examples err on different rows. A conditional
logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior") joins them:

    P(l | row) = softmax_l( a log p(l) + b s(l) + c [l is the teacher's answer] )

with p the teacher's own distribution, mixed with a little of the uniform one so that labels it
did not name keep a chance, and s the label's retrieval score. The three weights are those of
the greatest likelihood on gold, under a small ridge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FOLDS = 10

_FLOOR = 0.05
_RIDGE = 0.05
_STEPS = 50
_LEAST = 1e-12
_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Fusion:
    """The weights, and what stands behind them.

    Attributes:
        name: the rule's name, for the lineage.
        labels: the taxonomy in its fixed order.
        belief: weight of the teacher's log-probability (a).
        nearness: weight of the retrieval score (b).
        answer: weight of being the teacher's answer (c).
    """

    name: str
    labels: tuple[str, ...]
    belief: float
    nearness: float
    answer: float

    @classmethod
    def fit(cls, name: str, labels: tuple[str, ...], evidence: Evidence) -> Fusion:
        """The weights that make the gold of some rows likeliest."""
        return cls(name, labels, *map(float, _fit(evidence.features, evidence.gold)))

    def join(self, teacher: Mapping[str, float], scores: Floats) -> dict[str, float]:
        """The joint distribution for one row.

        Args:
            teacher: the teacher's probability of each label; those it lacks are 0.
            scores: the retrieval scores (label,).
        """
        weights = np.array([self.belief, self.nearness, self.answer])
        joint = _softmax(_features(teacher, scores, self.labels) @ weights)
        return dict(zip(self.labels, joint.tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            "name": self.name,
            "belief": self.belief,
            "nearness": self.nearness,
            "answer": self.answer,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """Gold rows with what the teacher and the retrieval say of them.

    Attributes:
        features: (row, label, feature), as the equation has them.
        gold: place of the gold label (row,).
    """

    features: Floats
    gold: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        labels: tuple[str, ...],
        teacher: Sequence[Mapping[str, float]],
        scores: Floats,
        gold: Sequence[str],
    ) -> Evidence:
        """From the teacher's distribution, the retrieval scores and the gold label of each row.

        Args:
            labels: the taxonomy in its fixed order.
            teacher: one distribution a row; empty where there is no usable answer.
            scores: the retrieval scores (row, label).
            gold: one label a row.
        """
        pairs = zip(teacher, scores, strict=True)
        features = np.stack([_features(said, score, labels) for said, score in pairs])
        places = [labels.index(label) for label in gold]
        return cls(features, np.array(places, dtype=np.int64))

    def of_rows(self, rows: Sequence[int]) -> Evidence:
        """That of some rows."""
        return Evidence(self.features[rows], self.gold[rows])

    def teacher(self) -> Floats:
        """The teacher's own distribution (row, label), as the fusion reads it."""
        return np.exp(self.features[:, :, 0])

    def loss(self, shares: Floats) -> Floats:
        """Negative log-probability (row,) that a distribution (row, label) gives the gold label."""
        return -np.log(np.maximum(shares[np.arange(len(self.gold)), self.gold], _LEAST))

    def nearness_alone(self) -> Evidence:
        """The same without the teacher."""
        return Evidence(self.features[:, :, 1:2], self.gold)

    def held_out(self) -> Floats:
        """The joint distribution (row, label) of each row by weights fitted without its fold."""
        joint = np.empty(self.features.shape[:2])
        for fold in range(min(FOLDS, len(self.gold))):
            out = np.arange(len(self.gold)) % FOLDS == fold
            weights = _fit(self.features[~out], self.gold[~out])
            joint[out] = _softmax(self.features[out] @ weights)
        return joint


def _features(teacher: Mapping[str, float], scores: Floats, labels: tuple[str, ...]) -> Floats:
    """(label, 3): log-probability, retrieval score, whether it is the answer."""
    said = np.array([teacher.get(label, 0.0) for label in labels])
    smooth = (1.0 - _FLOOR) * said + _FLOOR / len(labels)
    answer = np.zeros(len(labels))
    answer[int(said.argmax())] = float(said.any())
    return np.column_stack([np.log(smooth), scores, answer])


def _fit(features: Floats, gold: NDArray[np.int64]) -> Floats:
    """Newton's method on the ridged log-likelihood, which is concave.

    The ridge is on features of equal spread within a row, since a constant added to all labels
    of a row changes nothing.
    """
    centred = features - features.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=(0, 1)))
    scaled = centred / np.where(spread > 0.0, spread, 1.0)
    rows = np.arange(len(gold))
    weights = np.zeros(features.shape[2])
    for _ in range(_STEPS):
        chance = _softmax(scaled @ weights)
        mean = np.einsum("rl,rlf->rf", chance, scaled)
        gradient = (scaled[rows, gold] - mean).sum(axis=0) - _RIDGE * weights
        second = np.einsum("rl,rlf,rlg->fg", chance, scaled, scaled) - mean.T @ mean
        step = np.linalg.solve(second + _RIDGE * np.eye(len(weights)), gradient)
        while _likelihood(scaled, gold, weights + step) < _likelihood(scaled, gold, weights):
            step /= 2
        weights += step
        if np.abs(step).max() < _TOLERANCE:
            break
    return weights / np.where(spread > 0.0, spread, 1.0)


def _likelihood(features: Floats, gold: NDArray[np.int64], weights: Floats) -> float:
    """The ridged log-likelihood."""
    scores = features @ weights
    top = scores.max(axis=1)
    log_sum = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    fit = float((scores[np.arange(len(gold)), gold] - log_sum).sum())
    return fit - _RIDGE * float(weights @ weights) / 2


def _softmax(scores: Floats) -> Floats:
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)
