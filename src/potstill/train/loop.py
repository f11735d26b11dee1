"""Fine-tuning, whatever is learnt: steps, epochs, the best epoch, a state that survives a kill.

One code path serves one process and many: under ``torchrun`` each process takes its share of
every batch and the gradients are averaged. A step draws its dropout from the seed and its own
number, so that a training that was killed goes on exactly as it would have gone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Progress
from potstill.train.schedule import rate_factor
from potstill.train.tokens import shuffled_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PATIENCE_EPOCHS = 3
_LARGEST_GRADIENT = 1.0
_CHECKPOINT_S = 120.0
"""Seconds of work that a kill can cost at most."""


class Work(Protocol):
    """What is to be learnt, and what decides when it is learnt."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each training row: rows of like length share a batch."""
        ...

    def losses(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """The loss of each of some training rows (batch,) float32.

        Args:
            model: on the device where it learns, maybe wrapped for several processes.
            rows: row numbers (batch,).
        """
        ...

    def score(self, model: nn.Module) -> float:
        """How well a model does on the development rows; higher is better."""
        ...


def tune(
    model: nn.Module,
    work: Work,
    *,
    groups: list[dict[str, Any]],
    options: StudentSpec,
    seed: int,
    checkpoint: Checkpoint,
    phase: str = "tune",
    progress: Progress | None = None,
    give_up: Callable[[Sequence[float]], bool] | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place; the epoch that was best on the development rows stays.

    Args:
        model: any network.
        work: the rows.
        groups: of its parameters, each with its peak rate as ``peak``; see `schedule`.
        options: ``epochs`` and ``batch_size`` are read.
        seed: of batches and dropout.
        checkpoint: where the training left off, and is kept.
        phase: named to `progress`.
        progress: called as (phase, rows done, rows in all).
        give_up: whether the scores of the epochs so far leave no hope; None never gives up.

    Returns:
        A row for each epoch: epoch, loss, dev_accuracy, rows_per_s.

    Raises:
        TrainingError: the loss is no number any more.
        StorageError: a checkpoint cannot be written.
    """
    tuning = _Tuning(model, work, groups, options, seed, checkpoint, give_up)
    history = tuning.run(phase, progress)
    model.eval()
    return history


class _Tuning:
    """The state of one fine-tuning, between two steps."""

    def __init__(
        self,
        model: nn.Module,
        work: Work,
        groups: list[dict[str, Any]],
        options: StudentSpec,
        seed: int,
        checkpoint: Checkpoint,
        give_up: Callable[[Sequence[float]], bool] | None,
    ) -> None:
        # Autocast is the work's (`lower_precision`), so that training and evaluation agree on it.
        self.accelerator = Accelerator(mixed_precision="no")
        self.work, self.options, self.seed = work, options, seed
        self.checkpoint, self.give_up = checkpoint, give_up
        optimizer = torch.optim.AdamW(groups, fused=True)
        prepared = self.accelerator.prepare(model, optimizer)
        self.model, self.optimizer = cast("tuple[nn.Module, torch.optim.Optimizer]", prepared)
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.best_score = -math.inf
        self.best: dict[str, torch.Tensor] | None = None
        self.epoch_loss = 0.0
        self.epoch_s = 0.0

    def run(self, phase: str, progress: Progress | None) -> list[dict[str, Any]]:
        self._resume()
        per_epoch = math.ceil(len(self.work.lengths) / self.options.batch_size)
        steps = per_epoch * self.options.epochs
        rows = len(self.work.lengths) * self.options.epochs
        saved = time.monotonic()
        for epoch in range(self.step // per_epoch, self.options.epochs):
            if self._stalled():
                break
            order = np.random.default_rng([self.seed, epoch])
            batches = shuffled_batches(self.work.lengths, self.options.batch_size, order)
            for index in range(self.step - epoch * per_epoch, per_epoch):
                started = time.monotonic()
                self._learn(batches[index], rate_factor(self.step, steps))
                self.step += 1
                self.epoch_s += time.monotonic() - started
                if progress is not None:
                    progress(phase, min(rows, self.step * self.options.batch_size), rows)
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
        accelerator = self.accelerator
        share = batch[accelerator.process_index :: accelerator.num_processes]
        idle = len(share) == 0  # a last batch may have fewer rows than there are processes
        share = batch[:1] if idle else share
        torch.manual_seed(_draw(self.seed, self.step, accelerator.process_index))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.model.train()
        total = self.work.losses(self.model, share).sum()
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
        score = self.work.score(self._unwrapped())
        self.history.append(
            {
                "epoch": epoch + 1,
                "loss": self.epoch_loss / len(self.work.lengths),
                "dev_accuracy": score,
                "rows_per_s": len(self.work.lengths) / max(self.epoch_s, 1e-9),
            }
        )
        self.epoch_loss, self.epoch_s = 0.0, 0.0
        if score >= self.best_score:  # of equals the later one: it has seen a lower rate
            self.best_score = score
            self.best = _copy(self._unwrapped().state_dict())

    def _stalled(self) -> bool:
        """Whether the last epochs brought nothing better, or all of them too little."""
        scores = [row["dev_accuracy"] for row in self.history]
        if self.give_up is not None and self.give_up(scores):
            return True
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


def _draw(*numbers: int) -> int:
    """A seed that depends on all the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}
