"""Train the student that picks sentences: a head on a frozen encoder, then both together.

Reads examples; writes the student's folder (see `potstill.train.picking.student`) and, while a
fine-tuning is under way, ``checkpoint.pt`` beside it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from torch import nn

from potstill.data.example import Example
from potstill.errors import TrainingError
from potstill.runtime.picking import PickDecision, pick_reader
from potstill.spec.generation import TextSpec
from potstill.spec.task import StudentSpec
from potstill.train.bases import resolve_base
from potstill.train.candidates import affordable, choose
from potstill.train.checkpoint import Checkpoint, identity_of
from potstill.train.encoder import Encoder, Progress, load_encoder, pad_id_of, usable_tokens
from potstill.train.loop import tune
from potstill.train.picking.frozen import fit_picker
from potstill.train.picking.lesson import PickRow, States, means_of, pick_rows
from potstill.train.picking.network import PickNetwork, keep_lower_layers
from potstill.train.picking.student import save_picker
from potstill.train.picking.work import PickWork
from potstill.train.schedule import parameter_groups
from potstill.train.student import base_facts
from potstill.train.tokens import load_whole_tokenizer
from potstill.train.training import Trained, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHECKPOINT = "checkpoint.pt"


def train_picker(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    text: TextSpec,
    options: StudentSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Trained:
    """Train a picker; with an interrupted training of the same rows in `folder`, go on with it.

    Args:
        train: the documents to learn from, each with a `Text` for its target.
        dev: the documents that decide: the best epoch, the candidate.
        text: how long an answer may be.
        options: base and the settings of the fine-tuning.
        seed: of folds, batches and dropout.
        folder: a private work folder.
        progress: called as (phase, done, total).

    Raises:
        TrainingError: nothing can be learnt from the rows, or the loss is no number any more.
        SpecError: there is no such base.
        MissingExtraError: its weights, or rouge-score, are not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    seed %= 2**32  # what the random generators accept
    base = resolve_base(options.base)
    identity = identity_of(
        train,
        dev,
        labels=[f"at most {text.max_words} words"],
        multilabel=False,
        options=options,
        seed=seed,
        base_sha256=base.sha256,
    )
    done = finished(folder, identity)
    if done is not None:
        return done
    max_tokens = usable_tokens(base, options.max_tokens)
    tokenizer = load_whole_tokenizer(base.folder / "tokenizer.json")
    reader = pick_reader(tokenizer, max_tokens)
    rows = pick_rows(train, reader, progress)
    if not any(len(row.sentences) > 1 and np.ptp(row.gains) > 0 for row in rows):
        raise TrainingError(
            "no training document has one sentence that says more of the wanted text than another.",
            hint="Give it longer documents, or texts in the words of their documents.",
        )
    encoder = load_encoder(base)
    keep_lower_layers(encoder.transformer)
    checkpoint = Checkpoint(folder / _CHECKPOINT, identity)
    course = _Course(
        encoder,
        rows,
        pick_rows(dev, reader),
        text.max_words,
        options,
        seed,
        checkpoint,
        progress,
    )
    candidates = course.run()
    chosen = choose(candidates, "auto")
    trained = Trained(
        folder=folder,
        base=base.name,
        mode="extractive",
        candidates=[{"base": base.name, **one.row(one is chosen)} for one in candidates],
        seconds=round(time.monotonic() - started, 1),
        rows=len(train),
        history=[row for one in candidates for row in one.history],
    )
    if PartialState().is_main_process:
        facts = {
            "identity": identity,
            "mode": trained.mode,
            "candidates": trained.candidates,
            "seconds": trained.seconds,
            "rows": trained.rows,
            "history": trained.history,
        }
        save_picker(
            folder,
            chosen.network,
            tokenizer,
            decision=chosen.decision,
            base=base_facts(base, encoder),
            max_tokens=max_tokens,
            facts=facts,
        )
        checkpoint.clear()
    PartialState().wait_for_everyone()
    return trained


@dataclass(frozen=True)
class _Candidate:
    """A trained network and how well it does on each development document."""

    mode: str
    network: PickNetwork
    decision: PickDecision
    dev_scores: NDArray[np.float64]
    seconds: float
    history: list[dict[str, Any]]

    def row(self, chosen: bool) -> dict[str, Any]:
        return {
            "mode": f"extractive, {self.mode}",
            "dev_accuracy": float(self.dev_scores.mean()) if len(self.dev_scores) else None,
            "seconds": round(self.seconds, 1),
            "chosen": chosen,
        }


@dataclass(frozen=True)
class _Course:
    """Everything that the candidates have in common."""

    encoder: Encoder
    rows: Sequence[PickRow]
    dev: Sequence[PickRow]
    max_words: int
    options: StudentSpec
    seed: int
    checkpoint: Checkpoint
    progress: Progress | None

    def run(self) -> list[_Candidate]:
        """The frozen candidate, and the tuned one where it can be judged and is affordable."""
        frozen = self._frozen()
        tokens = sum(len(window.ids) for row in self.rows for window in row.windows)
        if not self.dev or not affordable(self.encoder, tokens * self.options.epochs):
            return [frozen]
        return [frozen, self._tuned(frozen)]

    def _frozen(self) -> _Candidate:
        started = time.monotonic()
        transformer = self.encoder.transformer
        head = nn.Linear(int(transformer.config.hidden_size), 1)  # pyright: ignore
        network = PickNetwork(transformer, head).to(PartialState().device)
        states = means_of(
            self.rows, States(network), pad_id=pad_id_of(self.encoder), progress=self.progress
        )
        fit = fit_picker(self.rows, states, max_words=self.max_words, seed=self.seed)
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(fit.weight)[None])
            head.bias.zero_()
        scores = self._work(fit.decision).each(network)
        return _Candidate(
            "frozen", network.to("cpu").eval(), fit.decision, scores, time.monotonic() - started, []
        )

    def _tuned(self, frozen: _Candidate) -> _Candidate:
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
        scores = work.each(network)
        return _Candidate(
            "tuned", network, frozen.decision, scores, time.monotonic() - started, history
        )

    def _work(self, decision: PickDecision) -> PickWork:
        return PickWork(self.rows, self.dev, decision, pad_id_of(self.encoder))
