"""The candidates for a picker: the head on a frozen encoder, and both of them tuned."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from tokenizers import Tokenizer
from torch import nn

from potstill.data.example import Example
from potstill.errors import TrainingError
from potstill.runtime.picking import PickDecision, pick_reader
from potstill.spec.generation import TextSpec
from potstill.spec.task import StudentSpec
from potstill.train.bases import Base
from potstill.train.candidates import affordable
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, load_encoder, pad_id_of, usable_tokens
from potstill.train.loop import tune
from potstill.train.picking.frozen import fit_picker
from potstill.train.picking.lesson import PickRow, States, means_of, pick_rows
from potstill.train.picking.network import PickNetwork, keep_lower_layers
from potstill.train.picking.work import PickWork
from potstill.train.schedule import parameter_groups
from potstill.train.student import plain_config
from potstill.train.tokens import load_whole_tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray


FEWEST_DEV_ROWS = 20
"""Development documents below which one ROUGE-L more or less would promote a fine-tuning."""


@dataclass(frozen=True)
class Candidate:
    """A trained network and how well it does on documents that it has not learnt from.

    Attributes:
        base: name of the pretrained encoder.
        mode: ``frozen`` or ``tuned``.
        network: ready to be saved.
        decision: how scores become an answer.
        dev_scores: ROUGE-L (development document,).
        held_out_scores: ROUGE-L of training documents in their folds; empty for a tuned one.
        seconds: of its training.
        history: a row for each epoch.
    """

    base: str
    mode: str
    network: PickNetwork
    decision: PickDecision
    dev_scores: NDArray[np.float64]
    held_out_scores: NDArray[np.float64]
    seconds: float
    history: list[dict[str, Any]]

    def row(self, chosen: bool) -> dict[str, Any]:
        """A line for the report."""
        return {
            "base": self.base,
            "mode": f"extractive, {self.mode}",
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
        encoder: the lower layers of the base.
        rows: documents to learn from.
        dev: documents that judge.
        max_words: of an answer.
        max_tokens: of a window.
        options: the settings of the fine-tuning.
        seed: of folds, batches and dropout.
        checkpoint: of the fine-tuning.
        progress: called as (phase, done, total).
    """

    base: Base
    tokenizer: Tokenizer
    encoder: Encoder
    rows: Sequence[PickRow]
    dev: Sequence[PickRow]
    max_words: int
    max_tokens: int
    options: StudentSpec
    seed: int
    checkpoint: Checkpoint
    progress: Progress | None

    @classmethod
    def of(
        cls,
        base: Base,
        train: Sequence[Example],
        dev: Sequence[Example],
        *,
        text: TextSpec,
        options: StudentSpec,
        seed: int,
        checkpoint: Checkpoint,
        progress: Progress | None,
    ) -> Course:
        """Read the documents as the base reads them.

        Raises:
            TrainingError: no document has anything to choose from.
        """
        max_tokens = usable_tokens(base, options.max_tokens)
        tokenizer = load_whole_tokenizer(base.folder / "tokenizer.json")
        reader = pick_reader(tokenizer, max_tokens)
        rows = pick_rows(train, reader, progress)
        if not any(len(row.sentences) > 1 and np.ptp(row.gains) > 0 for row in rows):
            raise TrainingError(
                "no training document has one sentence that says more of the wanted text than "
                "another.",
                hint="Give it longer documents, or texts in the words of their documents.",
            )
        encoder = load_encoder(base)
        keep_lower_layers(encoder.transformer)
        return cls(
            base,
            tokenizer,
            encoder,
            rows,
            pick_rows(dev, reader),
            text.max_words,
            max_tokens,
            options,
            seed,
            checkpoint,
            progress,
        )

    def run(self) -> list[Candidate]:
        """The frozen candidate, and the tuned one where it can be judged and is affordable."""
        frozen = self.frozen()
        tokens = self.tokens(range(len(self.rows))) * self.options.epochs
        if len(self.dev) < FEWEST_DEV_ROWS or not affordable(self.encoder, tokens):
            return [frozen]
        return [frozen, self.tuned(frozen)]

    def tokens(self, documents: Sequence[int]) -> int:
        """Tokens of some documents, by their numbers."""
        return sum(len(window.ids) for at in documents for window in self.rows[at].windows)

    @cached_property
    def states(self) -> dict[int, NDArray[np.float32]]:
        """What the frozen encoder says of the sentences of documents that it has read so far."""
        return {}

    def frozen(self, documents: Sequence[int] | None = None) -> Candidate:
        """The head on an encoder that stays as it is.

        Args:
            documents: numbers of those to learn from; None for all of them.
        """
        started = time.monotonic()
        documents = range(len(self.rows)) if documents is None else documents
        dimension = plain_config(self.encoder.transformer)["hidden_size"]
        head = nn.Linear(dimension, 1)
        network = PickNetwork(self.encoder.transformer, head).to(PartialState().device)
        new = [at for at in documents if at not in self.states]
        read = means_of(
            [self.rows[at] for at in new],
            States(network),
            pad_id=pad_id_of(self.encoder),
            progress=self.progress,
        )
        self.states.update(zip(new, read, strict=True))
        fit = fit_picker(
            [self.rows[at] for at in documents],
            [self.states[at] for at in documents],
            max_words=self.max_words,
            seed=self.seed,
        )
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(fit.weight)[None])
            head.bias.zero_()
        scores = self._work(fit.decision).each(network)
        return Candidate(
            self.base.name,
            "frozen",
            network.to("cpu").eval(),
            fit.decision,
            scores,
            fit.held_out,
            time.monotonic() - started,
            [],
        )

    def tuned(self, frozen: Candidate) -> Candidate:
        """Encoder and head, both learning; it starts where the frozen candidate ended."""
        started = time.monotonic()
        network = copy.deepcopy(frozen.network)
        work = self._work(frozen.decision)
        history = tune(
            network,
            work,
            groups=parameter_groups(network, self.options.learning_rate),
            options=self.options,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
        )
        return Candidate(
            self.base.name,
            "tuned",
            network,
            frozen.decision,
            work.each(network),
            np.empty(0),
            time.monotonic() - started,
            history,
        )

    def _work(self, decision: PickDecision) -> PickWork:
        return PickWork(self.rows, self.dev, decision, pad_id_of(self.encoder))
