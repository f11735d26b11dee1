"""The tuned candidate: the encoder learns too, from the head that was best without that.

Linear probing, then fine-tuning (Kumar et al. 2022): the head enters already fitted to the
frozen encoder, so the first gradients improve the features and do not tear them apart for the
sake of a random head.

One code path serves one process and many: under ``torchrun`` each process takes its share of
every batch and the gradients are averaged. A step draws its dropout from the seed and its own
number, so that a training that was killed goes on exactly as it would have gone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional

from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, lower_precision, pad_id_of, run_over
from potstill.train.schedule import parameter_groups, rate_factor
from potstill.train.student import Network
from potstill.train.targets import row_scores
from potstill.train.tokens import TokenIds, pad, shuffled_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector

_PATIENCE_EPOCHS = 3
_LARGEST_GRADIENT = 1.0
_HEAD_DROPOUT = 0.1
_CHECKPOINT_S = 120.0
"""Seconds of work that a kill can cost at most."""


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
    """

    rows: TokenIds
    targets: Matrix
    dev_rows: TokenIds
    dev_targets: Matrix
    prior: Vector
    multilabel: bool


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
) -> list[dict[str, Any]]:
    """Train encoder and head in place; the epoch that was best on the development rows stays.

    Args:
        network: its head is already fitted to its encoder.
        lesson: the rows.
        options: epochs, batch size and learning rate.
        seed: of batches and dropout.
        checkpoint: where the training left off, and is kept.
        progress: called as ("tune", rows done, rows in all).

    Returns:
        A row for each epoch: epoch, loss, dev_accuracy, rows_per_s.

    Raises:
        TrainingError: the loss is no number any more.
        StorageError: a checkpoint cannot be written.
    """
    tuning = _Tuning(network, lesson, options, seed, checkpoint)
    history = tuning.run(progress)
    network.eval()
    return history


class _Tuning:
    """The state of one fine-tuning, between two steps."""

    def __init__(
        self,
        network: Network,
        lesson: Lesson,
        options: StudentSpec,
        seed: int,
        checkpoint: Checkpoint,
    ) -> None:
        # Autocast is ours (`lower_precision`), so that training and evaluation agree on it.
        self.accelerator = Accelerator(mixed_precision="no")
        self.lesson, self.options, self.seed = lesson, options, seed
        self.checkpoint = checkpoint
        self.pad_id = pad_id_of(network.encoder)
        self.lengths = [len(row) for row in lesson.rows]
        self.deep = Deep(network.encoder, network.head)
        optimizer = torch.optim.AdamW(parameter_groups(network, options.learning_rate), fused=True)
        prepared = self.accelerator.prepare(self.deep, optimizer)
        self.model, self.optimizer = cast("tuple[nn.Module, torch.optim.Optimizer]", prepared)
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.best_score = -math.inf
        self.best: dict[str, torch.Tensor] | None = None
        self.epoch_loss = 0.0
        self.epoch_s = 0.0

    def run(self, progress: Progress | None) -> list[dict[str, Any]]:
        self._resume()
        per_epoch = math.ceil(len(self.lengths) / self.options.batch_size)
        steps = per_epoch * self.options.epochs
        rows = len(self.lengths) * self.options.epochs
        saved = time.monotonic()
        for epoch in range(self.step // per_epoch, self.options.epochs):
            if self._stalled():
                break
            order = np.random.default_rng([self.seed, epoch])
            batches = shuffled_batches(self.lengths, self.options.batch_size, order)
            for index in range(self.step - epoch * per_epoch, per_epoch):
                started = time.monotonic()
                self._learn(batches[index], rate_factor(self.step, steps))
                self.step += 1
                self.epoch_s += time.monotonic() - started
                if progress is not None:
                    progress("tune", min(rows, self.step * self.options.batch_size), rows)
                if time.monotonic() - saved > _CHECKPOINT_S:
                    self._save()
                    saved = time.monotonic()
            self._judge(epoch)
            self._save()
            saved = time.monotonic()
        if self.best is not None:
            self._unwrapped().load_state_dict(self.best)
        self._unwrapped().to("cpu")
        return self.history

    def _learn(self, batch: NDArray[np.int64], factor: float) -> None:
        """One optimiser step; the average over processes is the mean over the whole batch."""
        accelerator, lesson = self.accelerator, self.lesson
        share = batch[accelerator.process_index :: accelerator.num_processes]
        idle = len(share) == 0  # a last batch may have fewer rows than there are processes
        share = batch[:1] if idle else share
        torch.manual_seed(_draw(self.seed, self.step, accelerator.process_index))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        ids, mask = pad([lesson.rows[row] for row in share], self.pad_id)
        device = accelerator.device
        self.model.train()
        with lower_precision(device):
            logits = self.model(ids.to(device), mask.to(device)).float()
        targets = torch.from_numpy(lesson.targets[share]).to(device)
        prior = torch.from_numpy(lesson.prior).to(device)
        total = cross_entropy(logits + prior, targets, lesson.multilabel).sum()
        loss = total * (0.0 if idle else accelerator.num_processes / len(batch))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is no number any more (step {self.step}).",
                hint="Lower 'student.learning_rate'.",
            )
        self.optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self.model.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self.epoch_loss += value * len(batch)

    def _judge(self, epoch: int) -> None:
        """Score the development rows, and keep the weights if they are the best so far."""
        lesson = self.lesson
        logits = run_over(self._unwrapped(), lesson.dev_rows, pad_id=self.pad_id, phase="judge")
        score = float(row_scores(logits, lesson.dev_targets, lesson.multilabel).mean())
        self.history.append(
            {
                "epoch": epoch + 1,
                "loss": self.epoch_loss / len(self.lengths),
                "dev_accuracy": score,
                "rows_per_s": len(self.lengths) / max(self.epoch_s, 1e-9),
            }
        )
        self.epoch_loss, self.epoch_s = 0.0, 0.0
        if score >= self.best_score:  # of equals the later one: it has seen a lower rate
            self.best_score = score
            self.best = _copy(self._unwrapped().state_dict())

    def _stalled(self) -> bool:
        """Whether the last epochs brought nothing better."""
        scores = [row["dev_accuracy"] for row in self.history]
        return len(scores) > _PATIENCE_EPOCHS and max(scores[-_PATIENCE_EPOCHS:]) < max(scores)

    def _save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        self.checkpoint.save(
            {
                "model": self._unwrapped().state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "history": self.history,
                "best": self.best,
                "best_score": self.best_score,
                "epoch_loss": self.epoch_loss,
                "epoch_s": self.epoch_s,
            }
        )

    def _resume(self) -> None:
        state = self.checkpoint.load()
        if state is not None:
            self._unwrapped().load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            self.history = state["history"]
            self.best, self.best_score = state["best"], state["best_score"]
            self.epoch_loss, self.epoch_s = state["epoch_loss"], state["epoch_s"]
        # No process may overwrite the file while another one still reads it.
        self.accelerator.wait_for_everyone()

    def _unwrapped(self) -> nn.Module:
        return self.accelerator.unwrap_model(self.model)


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


def _draw(*numbers: int) -> int:
    """A seed that depends on all the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}
