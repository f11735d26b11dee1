"""What a student is to answer, as numbers: target matrices, class priors, and row scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from potstill.data import Example, labels_of
from potstill.errors import TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Vector = NDArray[np.float32]

ClassWeight = Literal["auto", "none", "balanced"]

_MILD_IMBALANCE = 3.0
"""`auto` balances while the most frequent label has at most this many times the rarest's rows."""


def target_matrix(examples: Sequence[Example], labels: Sequence[str], multilabel: bool) -> Matrix:
    """Targets (row, label): a distribution a row, or with `multilabel` a probability a label.

    A soft target is used where there is one, the hard target otherwise.

    Raises:
        TrainingError: a row without a target, or with a label that the task does not have.
    """
    column = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(examples), len(labels)), dtype=np.float32)
    for row, example in enumerate(examples):
        try:
            for label, share in _shares(example, multilabel):
                matrix[row, column[label]] = share
        except KeyError as error:
            raise TrainingError(
                f"the row {example.id!r} has the label {error.args[0]!r}, which the task has not.",
                hint="Add the label to the task, or leave the row out.",
            ) from error
        if not multilabel:
            total = matrix[row].sum()
            if total <= 0:
                raise TrainingError(f"the row {example.id!r} has no target.")
            matrix[row] /= total
    return matrix


def _shares(example: Example, multilabel: bool) -> list[tuple[str, float]]:
    if example.soft_target is not None:
        return list(example.soft_target.items())
    if example.target is None:
        raise TrainingError(f"the row {example.id!r} has no target.")
    labels = labels_of(example.target)
    if not multilabel and len(labels) != 1:
        raise TrainingError(f"the row {example.id!r} has {len(labels)} labels, not one.")
    return [(label, 1.0) for label in labels]


def check_learnable(targets: Matrix, labels: Sequence[str], multilabel: bool) -> None:
    """Refuse rows from which no distinction can be learnt.

    Raises:
        TrainingError: no rows, or rows that all say the same.
    """
    if len(targets) == 0:
        raise TrainingError("there are no training rows.")
    if multilabel:
        told_apart = (targets.min(axis=0) < 0.5) & (targets.max(axis=0) >= 0.5)
        if not told_apart.any():
            raise TrainingError("every training row has the same labels.")
    elif len(set(targets.argmax(axis=1).tolist())) < 2:
        only = labels[int(targets[0].argmax())]
        raise TrainingError(
            f"every training row has the label {only!r}.",
            hint="A student needs rows of at least two labels.",
        )


def log_prior(targets: Matrix, class_weight: ClassWeight, multilabel: bool) -> Vector:
    """The frequencies to unlearn: what is added to the logits while training (label,).

    Menon et al. 2021 ("Long-tail learning via logit adjustment", eq. 10): a network whose
    logits are trained with log p(label) added answers, without it, as if every label were
    equally frequent. With sigmoids the log-odds of each label take its place.

    Teachers lean towards some labels, and a student exaggerates the leaning. `auto` therefore
    adjusts while the imbalance is mild; a strong one is taken as the world's, not the teacher's.

    Args:
        targets: (row, label).
        class_weight: `none` gives zeros.
        multilabel: one sigmoid a label.
    """
    mass = targets.sum(axis=0)
    smallest = max(float(mass.min()), 1e-9)
    if class_weight == "none" or (
        class_weight == "auto" and (multilabel or mass.max() / smallest > _MILD_IMBALANCE)
    ):
        return np.zeros(targets.shape[1], dtype=np.float32)
    # Half a row for each label, so that a label that never occurs has a finite prior.
    share = (mass + 0.5) / (len(targets) + (1.0 if multilabel else 0.5 * len(mass)))
    prior = np.log(share / (1.0 - share)) if multilabel else np.log(share * len(mass))
    return prior.astype(np.float32)


def row_scores(
    logits: Matrix, targets: Matrix, multilabel: bool, flag: int | None = None
) -> Vector:
    """How right each row is, 0 to 1 (row,).

    One label: the share of the target that the most probable label holds, so 0 or 1 for hard
    targets. Several: F1 of the labels above one half, and 1 where there are none on either
    side (example-based F1, Godbole and Sarawagi 2004).

    Args:
        logits: (row, label).
        targets: (row, label).
        multilabel: an input may have several labels, or none.
        flag: column of a rare label that is looked for. Accuracy would hardly notice it, so the
            rows that have it score instead, and no others: each the precision down to its rank,
            whose mean is the average precision.
    """
    if flag is not None and (targets[:, flag] >= 0.5).any():
        rest = np.delete(logits, flag, axis=1).max(axis=1)
        return precision_at_ranks(logits[:, flag] - rest, targets[:, flag] >= 0.5)
    if not multilabel:
        return targets[np.arange(len(targets)), logits.argmax(axis=1)]
    said, true = logits > 0.0, targets >= 0.5
    both = (said & true).sum(axis=1)
    total = said.sum(axis=1) + true.sum(axis=1)
    return np.where(total == 0, 1.0, 2.0 * both / np.maximum(total, 1)).astype(np.float32)


def precision_at_ranks(scores: Vector, wanted: NDArray[np.bool_]) -> Vector:
    """For each wanted row the precision among all rows that score at least as high (wanted row,).

    Args:
        scores: (row,).
        wanted: (row,).
    """
    ascending, own = np.sort(scores), scores[wanted]
    reached = len(scores) - np.searchsorted(ascending, own, side="left")
    hits = len(own) - np.searchsorted(np.sort(own), own, side="left")
    return (hits / reached).astype(np.float32)
