"""A linear head on fixed features, fitted to hard or soft targets, its strength chosen by rows.

The one departure from a textbook logistic regression is how the penalty is chosen. Labels
that come from a model are wrong in a systematic way; the held-out likelihood of such labels
rewards a head that learns the errors too. So the penalty is judged by held-out accuracy, and
among the penalties that cannot be told from the best one, the strongest is taken (the
one-standard-error rule of Breiman et al. 1984, "Classification and Regression Trees", 3.4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import scipy.optimize
import scipy.special

from potstill.train.targets import row_scores

if TYPE_CHECKING:
    import scipy.sparse
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector

    Features = NDArray[np.float32] | scipy.sparse.csr_matrix

_STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Candidates for C, weakest fit first: the inverse of the penalty, as in scikit-learn."""

_FOLDS = 5
_ENOUGH_HELD_OUT = 2000
"""Held-out rows after which no more folds are fitted: their standard error is under 1 %."""

_FEW_ROWS_A_LABEL = 10
"""Below this many rows of the median label, chance alone decides which labels a fold lacks."""

_MOST_STEPS = 200
_LARGEST_FACTOR = 30.0


@dataclass(frozen=True)
class LinearHead:
    """Weights of ``logits = features @ weight + bias``.

    Attributes:
        weight: (dimension, label).
        bias: (label,).
        strength: the C that was chosen.
    """

    weight: Matrix
    bias: Vector
    strength: float

    def __call__(self, features: Features, /) -> Matrix:
        """Logits (row, label) of features (row, dimension)."""
        return np.asarray(features @ self.weight + self.bias, dtype=np.float32)


@dataclass(frozen=True)
class HeldOut:
    """What heads said of rows that they had not seen.

    Attributes:
        rows: row numbers (held-out row,).
        logits: (held-out row, label), in the order of `rows`.
    """

    rows: NDArray[np.int64]
    logits: Matrix


def fit_head(
    features: Features,
    targets: Matrix,
    *,
    prior: Vector,
    multilabel: bool,
    seed: int,
    flag: int | None = None,
) -> tuple[LinearHead, HeldOut]:
    """A head with its C chosen on held-out rows, then fitted on all of them.

    Args:
        features: (row, dimension), dense or sparse.
        targets: (row, label).
        prior: (label,), added to the logits while fitting and absent from the answer.
        multilabel: one sigmoid a label in place of one softmax a row.
        seed: draws the folds; equal seeds hold out equal rows.
        flag: column of a rare label that is looked for, see `row_scores`.

    Returns:
        The head, and what the heads of the folds said with the chosen C.
    """
    folds = _folds(targets, seed)
    parts: list[list[Matrix]] = [[] for _ in _STRENGTHS]
    for seen, held_out in folds:
        known, asked = features[seen], features[held_out]
        start: Matrix | None = None
        for index, strength in enumerate(_STRENGTHS):
            weight, bias = _minimise(known, targets[seen], prior, strength, multilabel, start)
            start = np.vstack([weight, bias])
            parts[index].append(np.asarray(asked @ weight + bias, dtype=np.float32))
    rows = np.concatenate([held_out for _, held_out in folds])
    by_strength = [np.concatenate(logits) for logits in parts]
    scores = [row_scores(logits, targets[rows], multilabel, flag) for logits in by_strength]
    if flag is None:
        importance = _importance(targets, prior, multilabel)[rows]
        scores = [importance * score for score in scores]
    chosen = _one_standard_error(scores)
    strength = _STRENGTHS[chosen]
    weight, bias = _minimise(features, targets, prior, strength, multilabel, None)
    return LinearHead(weight, bias, strength), HeldOut(rows, by_strength[chosen])


def mix(
    logits: Sequence[Matrix], targets: Matrix, *, prior: Vector, multilabel: bool
) -> list[float]:
    """Factors under which the summed logits of several heads make the targets most likely.

    Stacking (Wolpert 1992) with one weight a head, none negative, on rows that none of them
    was trained on; it scales each head to how sure it may be and weighs it against the others.

    Args:
        logits: of each head (row, label).
        targets: (row, label).
        prior: (label,), as in training.
        multilabel: one sigmoid a label.
    """

    def loss(factors: NDArray[np.float64]) -> float:
        total = prior + sum(factor * said for factor, said in zip(factors, logits, strict=True))
        return _loss_and_error(total, targets, multilabel)[0] / len(targets)

    found = scipy.optimize.minimize(
        loss,
        np.full(len(logits), 1.0 / len(logits)),
        method="L-BFGS-B",
        bounds=[(0.0, _LARGEST_FACTOR)] * len(logits),
    )
    return [float(factor) for factor in found.x]


def _importance(targets: Matrix, prior: Vector, multilabel: bool) -> Vector:
    """Weight of each row's score: under a balanced prior each label counts alike (row,)."""
    if multilabel:
        return np.ones(len(targets), dtype=np.float32)
    return targets @ np.exp(-prior)


def _folds(targets: Matrix, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(seen, held out) row numbers, as many folds as give enough held-out rows.

    With a few rows a label, whoever holds one out leaves its label the rarest of those seen,
    so that a head does worse than chance on the very rows that judge it, and no penalty is
    strong enough. There each label is dealt out evenly, over as many folds as it has rows.
    A row whose label no seen row has cannot be judged and is not held out.
    """
    rows = len(targets)
    order = np.random.default_rng(seed).permutation(rows)
    labels = targets.argmax(axis=1)
    usual = int(np.median(np.unique(labels, return_counts=True)[1]))
    if usual < _FEW_ROWS_A_LABEL:
        order = order[np.argsort(labels[order], kind="stable")]
        count = min(_FOLDS, max(2, usual), rows)
        parts = [order[fold::count] for fold in range(count)]
    else:
        parts = np.array_split(order, min(_FOLDS, rows))
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    held_out = 0
    for part in parts:
        seen = np.setdiff1d(order, part)
        known = part[np.isin(labels[part], labels[seen])]
        folds.append((seen, known if len(known) else part))
        held_out += len(part)
        if held_out >= _ENOUGH_HELD_OUT:
            break
    return folds


def _one_standard_error(scores: Sequence[Vector]) -> int:
    """The first candidate that the best one does not beat by more than a standard error.

    The error is that of the paired difference, row by row: far smaller than that of either
    score alone, because both candidates fail on the same hard rows.
    """
    best = max(range(len(scores)), key=lambda index: float(scores[index].mean()))
    for index, candidate in enumerate(scores):
        lost = scores[best] - candidate
        if lost.mean() <= lost.std() / np.sqrt(len(lost)):
            return index
    return best


def _loss_and_error(logits: Matrix, targets: Matrix, multilabel: bool) -> tuple[float, Matrix]:
    """The summed cross-entropy, and its gradient by the logits: what was said minus the target.

    Both come from one pass of exponentials, which are most of a fit's time.
    """
    if multilabel:
        said = scipy.special.expit(logits)
        loss = np.logaddexp(0.0, logits) - targets * logits
        return float(loss.sum(dtype=np.float64)), said - targets
    shifted = logits - logits.max(axis=1, keepdims=True)
    said = np.exp(shifted)
    total = said.sum(axis=1, keepdims=True)
    said /= total
    loss = np.log(total).sum(dtype=np.float64) - (targets * shifted).sum(dtype=np.float64)
    return float(loss), said - targets


def _minimise(
    features: Features,
    targets: Matrix,
    prior: Vector,
    strength: float,
    multilabel: bool,
    start: Matrix | None,
) -> tuple[Matrix, Vector]:
    """The minimum of  sum(cross-entropy) + |weight|² / (2 C),  the bias unpenalised.

    L-BFGS on both losses; convex, so the start changes the time taken and not the answer.

    Args:
        features: (row, dimension).
        targets: (row, label).
        prior: (label,), added to the logits.
        strength: C.
        multilabel: sigmoid in place of softmax.
        start: weight and bias stacked (dimension + 1, label).
    """
    rows, dimension = cast("tuple[int, int]", features.shape)
    labels = targets.shape[1]
    shape = (dimension + 1, labels)

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight_and_bias = flat.reshape(shape).astype(np.float32)
        weight, bias = weight_and_bias[:-1], weight_and_bias[-1]
        logits = np.asarray(features @ weight) + (bias + prior)
        loss, error = _loss_and_error(logits, targets, multilabel)
        gradient = np.empty(shape)
        gradient[:-1] = features.T @ error + weight / strength
        gradient[-1] = error.sum(axis=0)
        penalty = float(np.square(weight, dtype=np.float64).sum()) / (2.0 * strength)
        return (loss + penalty) / rows, gradient.ravel() / rows

    first = np.zeros(shape) if start is None else start.astype(np.float64)
    found = scipy.optimize.minimize(
        objective,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MOST_STEPS, "ftol": 1e-7, "gtol": 1e-5},
    )
    solution = found.x.reshape(shape).astype(np.float32)
    return solution[:-1], solution[-1]
