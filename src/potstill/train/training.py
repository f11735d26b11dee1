"""Train a student: the frozen candidate, the tuned one, and the choice between them.

Reads examples; writes the student's folder (see `potstill.train.student`) and, while a
fine-tuning is under way, ``checkpoint.pt`` beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import PartialState

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train.bases import resolve_base
from potstill.train.candidates import Course, choose
from potstill.train.checkpoint import Checkpoint, identity_of
from potstill.train.encoder import Progress, usable_tokens
from potstill.train.student import base_facts, damaged_file, read_card, save_student
from potstill.train.targets import check_learnable, log_prior, target_matrix
from potstill.train.tokens import load_tokenizer, read_texts
from potstill.train.tuned import Lesson

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    seed %= 2**32  # what the random generators accept
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
    course = Course(base, tokenizer, lesson, options, seed, checkpoint, progress)
    candidates = course.train(features)
    chosen = choose(candidates, options.mode)
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


def _finished(folder: Path, identity: str) -> Trained | None:
    """The result of the same training, where it has already ended and its files are whole."""
    card = read_card(folder)
    if card is None or card["facts"]["identity"] != identity:
        return None
    if damaged_file(folder, card) is not None:
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
