"""Train a student: the frozen candidate, the tuned one, and the choice between them.

Reads examples; writes the student's folder (see `potstill.train.student`) and, while a
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
from accelerate import PartialState
from tokenizers import Tokenizer

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train.bases import Base, resolve_base
from potstill.train.checkpoint import Checkpoint, identity_of
from potstill.train.encoder import (
    Encoder,
    Progress,
    load_encoder,
    pad_id_of,
    run_over,
    usable_tokens,
)
from potstill.train.frozen import Heads, assemble, fit_heads
from potstill.train.linear import mix
from potstill.train.student import Network, base_facts, read_card, save_student
from potstill.train.targets import check_learnable, log_prior, row_scores, target_matrix
from potstill.train.tokens import load_tokenizer, read_texts
from potstill.train.tuned import Lesson, fine_tune

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Vector

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Attributes:
        folder: of the student, for `load_student`.
        mode: ``frozen`` or ``tuned``.
        candidates: a row for each that was trained: mode, dev_accuracy (multilabel: mean F1 of
            the rows; None without development rows), seconds, chosen.
        seconds: of this training.
        rows: training rows.
        history: a row for each epoch of the tuned candidate.
    """

    folder: Path
    mode: str
    candidates: list[dict[str, Any]]
    seconds: float
    rows: int
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class _Candidate:
    mode: str
    network: Network
    dev_scores: Vector
    seconds: float
    history: list[dict[str, Any]]

    def row(self, chosen: bool) -> dict[str, Any]:
        accuracy = float(self.dev_scores.mean()) if len(self.dev_scores) else None
        return {
            "mode": self.mode,
            "dev_accuracy": accuracy,
            "seconds": round(self.seconds, 1),
            "chosen": chosen,
        }


def train_student(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    labels: tuple[str, ...],
    multilabel: bool,
    options: StudentSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    features: NDArray[np.float32] | None = None,
) -> Trained:
    """Train a student; with an interrupted training of the same rows in `folder`, go on with it.

    Under ``torchrun`` every process calls this; the first one writes.

    Args:
        train: the rows to learn from, with hard or soft targets.
        dev: the rows that decide: the best epoch, the weight of each branch, the candidate.
        labels: the taxonomy in its one order.
        multilabel: an input may have several labels, or none.
        options: base, mode and the rest.
        seed: of folds, batches and dropout.
        folder: a private work folder.
        progress: called as (phase, done, total).
        features: `embed` of the training rows (row, dimension), where it is at hand.

    Raises:
        TrainingError: nothing can be learnt from the rows, or the loss is no number any more.
        SpecError: there is no such base.
        MissingExtraError: its weights are not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    targets = target_matrix(train, labels, multilabel)
    dev_targets = target_matrix(dev, labels, multilabel)
    check_learnable(targets, labels, multilabel)
    if options.mode == "tuned" and not dev:
        raise TrainingError(
            "fine-tuning needs development rows, which tell when to stop.",
            hint="Give the task more rows, or use 'student.mode: frozen'.",
        )
    base = resolve_base(options.base)
    identity = identity_of(
        train,
        dev,
        labels=labels,
        multilabel=multilabel,
        options=options,
        seed=seed,
        base_sha256=base.sha256,
    )
    finished = _finished(folder, identity)
    if finished is not None:
        return finished
    max_tokens = usable_tokens(base, options.max_tokens)
    tokenizer = load_tokenizer(base.folder / "tokenizer.json", max_tokens)
    lesson = Lesson(
        rows=read_texts([example.text for example in train], tokenizer),
        targets=targets,
        dev_rows=read_texts([example.text for example in dev], tokenizer),
        dev_targets=dev_targets,
        prior=log_prior(targets, options.class_weight, multilabel),
        multilabel=multilabel,
    )
    checkpoint = Checkpoint(folder / _CHECKPOINT, identity)
    work = _Work(base, tokenizer, lesson, options, seed, checkpoint, progress)
    candidates = work.candidates(features)
    chosen = _choose(candidates, options.mode)
    trained = Trained(
        folder=folder,
        mode=chosen.mode,
        candidates=[candidate.row(candidate is chosen) for candidate in candidates],
        seconds=round(time.monotonic() - started, 1),
        rows=len(train),
        history=[row for candidate in candidates for row in candidate.history],
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
        save_student(
            folder,
            chosen.network,
            tokenizer,
            labels=labels,
            multilabel=multilabel,
            base=base_facts(base, chosen.network.encoder),
            max_tokens=max_tokens,
            facts=facts,
        )
        checkpoint.clear()
    PartialState().wait_for_everyone()
    return trained


@dataclass(frozen=True)
class _Work:
    base: Base
    tokenizer: Tokenizer
    lesson: Lesson
    options: StudentSpec
    seed: int
    checkpoint: Checkpoint
    progress: Progress | None

    def candidates(self, features: NDArray[np.float32] | None) -> list[_Candidate]:
        """The frozen candidate, and the tuned one where the mode wants it."""
        encoder = load_encoder(self.base)
        started = time.monotonic()
        if features is None:
            device = PartialState().device
            features = run_over(
                encoder.to(device),
                self.lesson.rows,
                pad_id=pad_id_of(encoder),
                phase="embed",
                progress=self.progress,
            )
            encoder.to("cpu")
        heads = fit_heads(
            self.lesson.rows,
            features,
            self.lesson.targets,
            tokenizer=self.tokenizer,
            prior=self.lesson.prior,
            multilabel=self.lesson.multilabel,
            seed=self.seed,
        )
        frozen = self._frozen(encoder, heads, started)
        if self.options.mode == "frozen" or not self.lesson.dev_rows:
            return [frozen]
        return [frozen, self._tuned(copy.deepcopy(encoder), heads)]

    def _frozen(self, encoder: Encoder, heads: Heads, started: float) -> _Candidate:
        network = assemble(encoder, heads, self.tokenizer)
        network.rescale(*heads.factors)
        scores = self._scores(self._dev_logits(network))
        return _Candidate("frozen", network, scores, time.monotonic() - started, [])

    def _tuned(self, encoder: Encoder, heads: Heads) -> _Candidate:
        started = time.monotonic()
        network = assemble(encoder, heads, self.tokenizer)
        history = fine_tune(
            network,
            self.lesson,
            options=self.options,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
        )
        lexical = heads.words(heads.terms.features(self.lesson.dev_rows))
        deep = self._dev_logits(network) - lexical
        factors = mix(
            [deep, lexical],
            self.lesson.dev_targets,
            prior=self.lesson.prior,
            multilabel=self.lesson.multilabel,
        )
        network.rescale(factors[0], factors[1])
        mixed = np.asarray(factors[0] * deep + factors[1] * lexical, dtype=np.float32)
        scores = self._scores(mixed)
        return _Candidate("tuned", network, scores, time.monotonic() - started, history)

    def _dev_logits(self, network: Network) -> NDArray[np.float32]:
        if not self.lesson.dev_rows:
            return np.empty_like(self.lesson.dev_targets)
        pad_id = pad_id_of(network.encoder)
        return run_over(network, self.lesson.dev_rows, pad_id=pad_id, phase="judge")

    def _scores(self, logits: NDArray[np.float32]) -> Vector:
        return row_scores(logits, self.lesson.dev_targets, self.lesson.multilabel)


def _choose(candidates: Sequence[_Candidate], mode: str) -> _Candidate:
    """The tuned candidate if it was asked for, or beats the frozen one by more than noise.

    Noise is one standard error of the paired difference on the development rows. A tie goes to
    the frozen candidate, whose accuracy on new rows follows from fewer choices.
    """
    frozen, *rest = candidates
    if not rest:
        return frozen
    tuned = rest[0]
    gained = tuned.dev_scores - frozen.dev_scores
    noise = float(gained.std()) / np.sqrt(len(gained))
    return tuned if mode == "tuned" or float(gained.mean()) > noise else frozen


def _finished(folder: Path, identity: str) -> Trained | None:
    """The result of the same training, where it has already ended."""
    card = read_card(folder)
    if card is None or card["facts"]["identity"] != identity:
        return None
    facts = card["facts"]
    return Trained(
        folder=folder,
        mode=facts["mode"],
        candidates=facts["candidates"],
        seconds=facts["seconds"],
        rows=facts["rows"],
        history=facts["history"],
    )
