"""The candidates for an extractor: the head on a frozen encoder, and both of them tuned."""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from torch import nn

from potstill.spec.extraction import WindowSpec
from potstill.spec.task import StudentSpec
from potstill.train.candidates import affordable
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, pad_id_of
from potstill.train.loop import tune
from potstill.train.schedule import parameter_groups
from potstill.train.spans.lesson import Lesson
from potstill.train.spans.network import SpanHead, SpanNetwork
from potstill.train.spans.work import Documents, SpanWork, Windows, row_f1, with_states
from potstill.train.student import plain_config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FROZEN_RATE = 2e-3
"""Peak rate of a head alone: it starts from nothing and has no features to ruin."""

_FROZEN_EPOCHS = 15
"""At most: the encoder reads once for all of them, and what brings nothing more ends early."""


@dataclass(frozen=True)
class Candidate:
    """A trained network and how well it does on each development document.

    Attributes:
        mode: ``frozen`` or ``tuned``.
        network: ready to be saved.
        dev_scores: F1 (development document,).
        seconds: of its training.
        history: a row for each epoch.
    """

    mode: str
    network: SpanNetwork
    dev_scores: NDArray[np.float64]
    seconds: float
    history: list[dict[str, Any]]

    def row(self, chosen: bool) -> dict[str, Any]:
        """A line for the report."""
        return {
            "mode": self.mode,
            "dev_accuracy": float(self.dev_scores.mean()) if len(self.dev_scores) else None,
            "seconds": round(self.seconds, 1),
            "chosen": chosen,
        }


@dataclass(frozen=True)
class Course:
    """Everything that the candidates have in common.

    Attributes:
        encoder: pretrained.
        lesson: what is learnt from.
        documents: what judges.
        spec: how documents are read.
        options: mode and the settings of the fine-tuning.
        seed: of the head, of batches and dropout.
        folder: for checkpoints, and for what is seen of a frozen encoder meanwhile.
        identity: of the training; see `Checkpoint`.
        progress: called as (phase, windows done, windows).
    """

    encoder: Encoder
    lesson: Lesson
    documents: Documents
    spec: WindowSpec
    options: StudentSpec
    seed: int
    folder: Path
    identity: str
    progress: Progress | None

    def run(self) -> list[Candidate]:
        """What the mode asks for: the frozen candidate, the tuned one, or both to choose from.

        Where both are trained, tuning starts from the head that was best on the frozen encoder.
        """
        if self.options.mode == "tuned":
            return [self._tuned(self._new_head())]
        frozen = self._frozen()
        tokens = sum(self._windows.lengths) * self.options.epochs
        if self.options.mode == "frozen" or not self.documents.examples:
            return [frozen]
        if self.options.mode == "auto" and not affordable(self.encoder, tokens):
            return [frozen]
        return [frozen, self._tuned(frozen.network.head)]

    def clear(self) -> None:
        """Remove what only an interrupted training needs."""
        for mode in ("frozen", "tuned"):
            self._checkpoint(mode).clear()

    @property
    def _windows(self) -> Windows:
        """To learn from, as token ids."""
        return Windows([row.window for row in self.lesson.rows], pad_id_of(self.encoder))

    def _new_head(self) -> SpanHead:
        torch.manual_seed(self.seed)
        dimension = plain_config(self.encoder.transformer)["hidden_size"]
        return SpanHead(dimension, len(self.documents.fields), self.spec.widest_value)

    def _frozen(self) -> Candidate:
        started = time.monotonic()
        head = self._new_head()
        transformer = self.encoder.transformer.to(PartialState().device)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as kept:
            seen = partial(with_states, encoder=transformer, progress=self.progress)
            judged = seen(self.documents.windows, file=Path(kept) / "dev.npy")
            work = SpanWork(
                self.lesson.rows,
                seen(self._windows, file=Path(kept) / "train.npy"),
                replace(self.documents, windows=judged),
            )
            transformer.to("cpu")
            groups: list[dict[str, Any]] = [
                {"params": list(head.parameters()), "lr": 0.0, "peak": _FROZEN_RATE}
            ]
            options = self.options.model_copy(update={"epochs": _FROZEN_EPOCHS})
            history = self._tune(head, work, groups, "frozen", options)
            scores = row_f1(work.documents.counts(head))
        network = SpanNetwork(self.encoder.transformer, head)
        return Candidate("frozen", network, scores, time.monotonic() - started, history)

    def _tuned(self, head: SpanHead) -> Candidate:
        started = time.monotonic()
        network = SpanNetwork(copy.deepcopy(self.encoder.transformer), copy.deepcopy(head))
        work = SpanWork(self.lesson.rows, self._windows, self.documents)
        groups = parameter_groups(network, self.options.learning_rate)
        history = self._tune(network, work, groups, "tuned", self.options)
        scores = row_f1(work.documents.counts(network))
        return Candidate("tuned", network, scores, time.monotonic() - started, history)

    def _tune(
        self,
        model: nn.Module,
        work: SpanWork,
        groups: list[dict[str, Any]],
        mode: str,
        options: StudentSpec,
    ) -> list[dict[str, Any]]:
        return tune(
            model,
            work,
            groups=groups,
            options=options,
            seed=self.seed,
            checkpoint=self._checkpoint(mode),
            phase=mode,
            progress=self.progress,
        )

    def _checkpoint(self, mode: str) -> Checkpoint:
        return Checkpoint(self.folder / f"{mode}.pt", f"{self.identity} {mode}")
