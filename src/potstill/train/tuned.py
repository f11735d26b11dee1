"""The tuned candidate: the encoder learns too, from the head that was best without that.

Linear probing, then fine-tuning (Kumar et al. 2022): the head enters already fitted to the
frozen encoder, so the first gradients improve the features and do not tear them apart for the
sake of a random head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from potstill.spec.task import StudentSpec
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, lower_precision, pad_id_of, run_over
from potstill.train.loop import tune
from potstill.train.schedule import parameter_groups
from potstill.train.student import Network
from potstill.train.targets import row_scores
from potstill.train.tokens import TokenIds, pad

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector

_HEAD_DROPOUT = 0.1

_TRIAL_EPOCHS = 2
"""Epochs after which a fine-tuning is compared with its rival."""


@dataclass(frozen=True)
class Lesson:
    """What is to be learnt, and what decides when it is learnt.

    Attributes:
        rows: token ids of the training rows (row, token).
        targets: (row, label).
        dev_rows: token ids of the development rows.
        dev_targets: (row, label).
        prior: (label,), added to the logits while training.
        multilabel: one sigmoid a label in place of one softmax a row.
        flag: column of a rare label that is looked for, see `row_scores`.
    """

    rows: TokenIds
    targets: Matrix
    dev_rows: TokenIds
    dev_targets: Matrix
    prior: Vector
    multilabel: bool
    flag: int | None = None

    def dev_scores(self, logits: Matrix) -> Vector:
        """How right each development row is, see `row_scores`.

        Args:
            logits: (development row, label).
        """
        return row_scores(logits, self.dev_targets, self.multilabel, self.flag)


class Deep(nn.Module):
    """Encoder and head without the lexical branch: the part that fine-tuning changes."""

    def __init__(self, encoder: Encoder, head: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(_HEAD_DROPOUT)
        self.head = head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (batch, label) float32."""
        return self.head(self.dropout(self.encoder(input_ids, attention_mask))).float()


def fine_tune(
    network: Network,
    lesson: Lesson,
    *,
    options: StudentSpec,
    seed: int,
    checkpoint: Checkpoint,
    progress: Progress | None = None,
    rival: Vector | None = None,
) -> list[dict[str, Any]]:
    """Train encoder and head in place; the epoch that was best on the development rows stays.

    Args:
        network: of a transformer; its head is already fitted to it.
        lesson: the rows.
        options: epochs, batch size and learning rate.
        seed: of batches and dropout.
        checkpoint: where the training left off, and is kept.
        progress: called as ("tune", rows done, rows in all).
        rival: scores of the frozen candidate on the development rows; a training that is far
            behind them after its second epoch is given up.

    Returns:
        A row for each epoch: epoch, loss, dev_accuracy, rows_per_s.

    Raises:
        TrainingError: the loss is no number any more.
        StorageError: a checkpoint cannot be written.
    """
    assert isinstance(network.encoder, Encoder) and network.head is not None
    deep = Deep(network.encoder, network.head)
    history = tune(
        deep,
        _Labelling(lesson, pad_id_of(network.encoder)),
        groups=parameter_groups(deep, options.learning_rate),
        options=options,
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
        give_up=None if rival is None else partial(_hopeless, rival=rival),
    )
    network.eval()
    return history


def _hopeless(scores: Sequence[float], *, rival: Vector) -> bool:
    """Whether the epochs so far leave a fine-tuning more than two standard errors behind.

    The standard error is that of the rival's mean, the rival the same encoder frozen. What
    profits from fine-tuning starts at its level, dips while the rate is high, and passes it.
    """
    margin = 2.0 * float(rival.std()) / len(rival) ** 0.5
    return len(scores) >= _TRIAL_EPOCHS and max(scores) < float(rival.mean()) - margin


class _Labelling:
    """Labels as the work of the loop."""

    def __init__(self, lesson: Lesson, pad_id: int) -> None:
        self.lesson, self.pad_id = lesson, pad_id
        self.lengths = [len(row) for row in lesson.rows]

    def losses(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        lesson = self.lesson
        device = next(model.parameters()).device
        ids, mask = pad([lesson.rows[row] for row in rows], self.pad_id)
        with lower_precision(device):
            logits = model(ids.to(device), mask.to(device)).float()
        targets = torch.from_numpy(lesson.targets[rows]).to(device)
        prior = torch.from_numpy(lesson.prior).to(device)
        return cross_entropy(logits + prior, targets, lesson.multilabel)

    def score(self, model: nn.Module) -> float:
        lesson = self.lesson
        logits = run_over(model, lesson.dev_rows, pad_id=self.pad_id, phase="judge")
        return float(lesson.dev_scores(logits).mean())


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, multilabel: bool) -> torch.Tensor:
    """Loss of each row (batch,): softmax against a distribution, or a sum of sigmoid losses.

    With a soft target this is, up to a constant, the divergence from the teacher's
    distribution (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", eq. 2
    at temperature 1).

    Args:
        logits: (batch, label).
        targets: (batch, label).
        multilabel: one sigmoid a label in place of one softmax a row.
    """
    if multilabel:
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return losses.sum(dim=1)
    return functional.cross_entropy(logits, targets, reduction="none")
