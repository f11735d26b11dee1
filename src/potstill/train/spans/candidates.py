"""The candidates for an extractor: the head on a frozen encoder, and both of them tuned."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from tokenizers import Tokenizer
from torch import nn

from potstill.data.example import Example
from potstill.runtime.extraction.extractor import window_reader
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec
from potstill.train.bases import Base
from potstill.train.candidates import affordable
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, load_encoder, pad_id_of, usable_tokens
from potstill.train.loop import tune
from potstill.train.schedule import parameter_groups
from potstill.train.spans.lesson import Lesson, read_lesson
from potstill.train.spans.network import SpanHead, SpanNetwork
from potstill.train.spans.work import Documents, SpanWork, Windows, row_f1, with_states
from potstill.train.student import plain_config
from potstill.train.tokens import load_whole_tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FROZEN_RATE = 2e-3
"""Peak rate of a head alone: it starts from nothing and has no features to ruin."""

_FROZEN_EPOCHS = 15
"""At most: the encoder reads once for all of them, and what brings nothing more ends early."""


@dataclass(frozen=True)
class Candidate:
    """A trained network and how well it does on each development document.

    Attributes:
        base: name of the pretrained encoder.
        mode: ``frozen`` or ``tuned``.
        network: ready to be saved.
        dev_scores: F1 (development document,).
        seconds: of its training.
        history: a row for each epoch.
    """

    base: str
    mode: str
    network: SpanNetwork
    dev_scores: NDArray[np.float64]
    seconds: float
    history: list[dict[str, Any]]

    @property
    def held_out_scores(self) -> NDArray[np.float64]:
        """None: no part of it is trained without some of the documents."""
        return np.empty(0)

    def row(self, chosen: bool) -> dict[str, Any]:
        """A line for the report."""
        return {
            "base": self.base,
            "mode": self.mode,
            "dev_accuracy": float(self.dev_scores.mean()) if len(self.dev_scores) else None,
            "seconds": round(self.seconds, 1),
            "chosen": chosen,
        }


@dataclass(frozen=True)
class Course:
    """The training of one base, in its modes.

    Attributes:
        base: the pretrained encoder.
        tokenizer: neither cuts nor pads.
        encoder: of the base.
        lesson: what is learnt from.
        documents: what judges.
        spec: how documents are read.
        options: mode and the settings of the fine-tuning.
        seed: of the head, of batches and dropout.
        folder: for checkpoints, and for what is seen of a frozen encoder meanwhile.
        identity: of the training; see `Checkpoint`.
        progress: called as (phase, windows done, windows).
    """

    base: Base
    tokenizer: Tokenizer
    encoder: Encoder
    lesson: Lesson
    documents: Documents
    spec: WindowSpec
    options: StudentSpec
    seed: int
    folder: Path
    identity: str
    progress: Progress | None

    @classmethod
    def of(
        cls,
        base: Base,
        train: Sequence[Example],
        dev: Sequence[Example],
        *,
        fields: Mapping[str, FieldSpec],
        spec: WindowSpec,
        options: StudentSpec,
        seed: int,
        folder: Path,
        identity: str,
        progress: Progress | None,
    ) -> Course:
        """Read the documents as the base reads them.

        Raises:
            TrainingError: there is nothing to learn from.
        """
        spec = spec.model_copy(update={"tokens": usable_tokens(base, spec.tokens)})
        tokenizer = load_whole_tokenizer(base.folder / "tokenizer.json")
        reader = window_reader(tokenizer, spec)
        widest = spec.widest_value
        lesson = read_lesson(
            train, fields=fields, reader=reader, widest=widest, seed=seed, progress=progress
        )
        encoder = load_encoder(base)
        documents = Documents.of(
            dev,
            reader=reader,
            pad_id=pad_id_of(encoder),
            fields=fields,
            conventions=lesson.conventions,
        )
        return cls(
            base,
            tokenizer,
            encoder,
            lesson,
            documents,
            spec,
            options,
            seed,
            folder,
            identity,
            progress,
        )

    def run(self) -> list[Candidate]:
        """What the mode asks for: the frozen candidate, the tuned one, or both to choose from.

        Where both are trained, tuning starts from the head that was best on the frozen encoder.
        """
        if self.options.mode == "tuned":
            return [self.tuned(self._new_head())]
        frozen = self.frozen()
        if self.options.mode == "frozen" or not self.documents.examples:
            return [frozen]
        if self.options.mode == "auto" and not affordable(self.encoder, self.tuned_tokens):
            return [frozen]
        return [frozen, self.tuned(frozen.network.head)]

    @property
    def tuned_tokens(self) -> int:
        """Tokens that a fine-tuning reads."""
        return sum(self._windows(self.lesson).lengths) * self.options.epochs

    def frozen_operations(self, documents: NDArray[np.int64]) -> float:
        """Operations of the frozen candidate on some documents, beside what the encoder takes.

        Returns:
            those of the head, a weight and token in each epoch.
        """
        tokens = sum(self._windows(self.lesson.of(documents)).lengths)
        weights = sum(weight.numel() for weight in self._new_head().parameters())
        return float(_FROZEN_EPOCHS * weights * tokens)

    def tokens(self, documents: NDArray[np.int64]) -> int:
        """Tokens of what is learnt from some documents, and of all that judge."""
        learnt = self._windows(self.lesson.of(documents)).lengths
        return sum(learnt) + sum(self.documents.windows.lengths)

    def frozen(self, documents: NDArray[np.int64] | None = None) -> Candidate:
        """The head on an encoder that stays as it is.

        Args:
            documents: numbers of those to learn from; None for all of them.
        """
        started = time.monotonic()
        lesson = self.lesson if documents is None else self.lesson.of(documents)
        windows = self._windows(lesson)
        head = self._new_head()
        transformer = self.encoder.transformer.to(PartialState().device)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as kept:
            seen = partial(with_states, encoder=transformer, progress=self.progress)
            judged = seen(self.documents.windows, file=Path(kept) / "dev.npy")
            work = SpanWork(
                lesson.rows,
                seen(windows, file=Path(kept) / "train.npy"),
                replace(self.documents, windows=judged),
            )
            transformer.to("cpu")
            groups: list[dict[str, Any]] = [
                {"params": list(head.parameters()), "lr": 0.0, "peak": _FROZEN_RATE}
            ]
            options = self.options.model_copy(update={"epochs": _FROZEN_EPOCHS})
            checkpoint = self._checkpoint(f"frozen {len(lesson.documents)}")
            history = self._tune(head, work, groups, checkpoint, options, "frozen")
            scores = row_f1(work.documents.counts(head))
        network = SpanNetwork(self.encoder.transformer, head)
        spent = time.monotonic() - started
        return Candidate(self.base.name, "frozen", network, scores, spent, history)

    def tuned(self, head: SpanHead) -> Candidate:
        """Encoder and head, both learning.

        Args:
            head: where the fine-tuning starts; it stays as it is.
        """
        started = time.monotonic()
        network = SpanNetwork(copy.deepcopy(self.encoder.transformer), copy.deepcopy(head))
        work = SpanWork(self.lesson.rows, self._windows(self.lesson), self.documents)
        groups = parameter_groups(network, self.options.learning_rate)
        history = self._tune(
            network, work, groups, self._checkpoint("tuned"), self.options, "tuned"
        )
        scores = row_f1(work.documents.counts(network))
        spent = time.monotonic() - started
        return Candidate(self.base.name, "tuned", network, scores, spent, history)

    def clear(self) -> None:
        """Remove what only an interrupted training needs."""
        for file in self.folder.glob("*.pt"):
            file.unlink()

    def _windows(self, lesson: Lesson) -> Windows:
        """To learn from, as token ids."""
        return Windows([row.window for row in lesson.rows], pad_id_of(self.encoder))

    def _new_head(self) -> SpanHead:
        torch.manual_seed(self.seed)
        dimension = plain_config(self.encoder.transformer)["hidden_size"]
        return SpanHead(dimension, len(self.documents.fields), self.spec.widest_value)

    def _tune(
        self,
        model: nn.Module,
        work: SpanWork,
        groups: list[dict[str, Any]],
        checkpoint: Checkpoint,
        options: StudentSpec,
        phase: str,
    ) -> list[dict[str, Any]]:
        return tune(
            model,
            work,
            groups=groups,
            options=options,
            seed=self.seed,
            checkpoint=checkpoint,
            phase=phase,
            progress=self.progress,
        )

    def _checkpoint(self, name: str) -> Checkpoint:
        """Of one training of this base, which knows whether it still fits."""
        file = f"{_plain(self.base.name)}-{name.replace(' ', '-')}.pt"
        return Checkpoint(self.folder / file, f"{self.identity} {self.base.name} {name}")


def _plain(name: str) -> str:
    """A base's name, which may be a path or a hub id, as part of a file's name."""
    return "".join(one if one.isalnum() or one in "-_." else "-" for one in name)
