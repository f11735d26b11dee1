"""Train a student: the frozen candidate, the tuned one, and the choice between them.

Reads examples; writes the student's folder (see `potstill.train.student`) and, while a
fine-tuning is under way, ``checkpoint.pt`` beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import PartialState

from potstill.data import Example
from potstill.errors import SpecError, TrainingError
from potstill.spec.task import Gate, StudentSpec
from potstill.train.arm import LabelArm, Measure, SharedWords
from potstill.train.auto.arms import C
from potstill.train.auto.compare import Ended, compare
from potstill.train.bases import AUTO, Base, candidate_bases
from potstill.train.candidates import Course, choose
from potstill.train.checkpoint import Checkpoint, identity_of
from potstill.train.encoder import Progress, usable_tokens
from potstill.train.student import base_facts, damaged_file, read_card, save_student
from potstill.train.targets import check_learnable, log_prior, target_matrix
from potstill.train.tokens import load_tokenizer, read_texts
from potstill.train.tuned import Lesson

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

_CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Attributes:
        folder: of the student, for `load_student`.
        base: name of what it started from.
        mode: ``frozen`` or ``tuned``.
        candidates: a row for each that was trained: base, mode, dev_accuracy (multilabel: mean
            F1 of the rows; flagging: average precision; None without development rows),
            seconds, chosen; of ``base: auto`` see `potstill.train.auto.choice.lines`.
        seconds: of this training.
        rows: training rows.
        history: a row for each epoch of the tuned candidate.
        reason: why ``base: auto`` chose as it did, in a sentence; empty where it had no choice.
    """

    folder: Path
    base: str
    mode: str
    candidates: list[dict[str, Any]]
    seconds: float
    rows: int
    history: list[dict[str, Any]]
    reason: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """Everything but the folder, for the student's card."""
        return {name: value for name, value in vars(self).items() if name != "folder"}


def train_student(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    labels: tuple[str, ...],
    multilabel: bool,
    options: StudentSpec,
    seed: int,
    folder: Path,
    flag: str | None = None,
    accept: Mapping[Any, Gate] | None = None,
    measure: Measure | None = None,
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
        flag: a rare label that is looked for: average precision decides in place of accuracy.
        accept: the task's gates, which ``base: auto`` keeps to where it can.
        measure: tells what a candidate of ``base: auto`` costs to run.
        progress: called as (phase, done, total).
        features: `embed` of the training rows (row, dimension), where it is at hand and the task
            names one base.

    Raises:
        TrainingError: nothing can be learnt from the rows, or the loss is no number any more.
        SpecError: there is no such base, or it has nothing that could be tuned.
        MissingExtraError: its weights are not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    seed %= 2**32  # what the random generators accept
    targets = target_matrix(train, labels, multilabel)
    dev_targets = target_matrix(dev, labels, multilabel)
    check_learnable(targets, labels, multilabel)
    bases = candidate_bases(options)
    _check_mode(options, bases, dev)
    gates = dict(accept or {})
    identity = identity_of(
        train,
        dev,
        labels=labels,
        multilabel=multilabel,
        options=options,
        seed=seed,
        base_sha256=repr([start_of(bases, gates), flag]),
    )
    done = finished(folder, identity)
    if done is not None:
        return done
    blank = Lesson(
        rows=[],
        targets=targets,
        dev_rows=[],
        dev_targets=dev_targets,
        prior=log_prior(targets, options.class_weight, multilabel),
        multilabel=multilabel,
        flag=None if flag is None else labels.index(flag),
    )
    files = [folder / (f"checkpoint-{n}.pt" if n else _CHECKPOINT) for n in range(len(bases))]
    lessons = _lessons(bases, blank, train, dev, options.max_tokens)
    courses = [
        Course(base, *lesson, options, seed, Checkpoint(file, f"{identity}:{base.name}"), progress)
        for base, lesson, file in zip(bases, lessons, files, strict=True)
    ]
    if options.base == AUTO:
        words, telling = SharedWords(), _telling(train, dev)
        ended = compare(
            [LabelArm(course, labels, words, telling, measure) for course in courses],
            rows=len(train),
            answers=len(labels),
            accept=gates,
            options=options,
            seed=seed,
        )
    else:
        ended = alone(courses[0].train(features), options.mode)
    chosen = ended.candidate
    base = chosen.course.base
    trained = Trained(
        folder=folder,
        base=base.name,
        mode=chosen.mode,
        candidates=ended.rows,
        seconds=round(time.monotonic() - started, 1),
        rows=len(train),
        history=ended.history,
        reason=ended.reason,
    )
    if PartialState().is_main_process:
        save_student(
            folder,
            chosen.network,
            chosen.course.tokenizer,
            labels=labels,
            multilabel=multilabel,
            base=base_facts(base, chosen.network.encoder),
            max_tokens=chosen.course.max_tokens,
            facts={"identity": identity, **trained.facts},
        )
        for course in courses:
            course.checkpoint.clear()
    PartialState().wait_for_everyone()
    return trained


def _check_mode(options: StudentSpec, bases: Sequence[Base], dev: Sequence[Example]) -> None:
    """Refuse a mode that the base or the rows cannot serve."""
    if options.mode == "tuned" and options.base != AUTO and bases[0].kind != "transformer":
        raise SpecError(
            f"the base {bases[0].name!r} has no encoder that could be tuned.",
            hint="Leave out 'student.mode', or name another base.",
        )
    check_judged(options, dev, folds=True)


def check_judged(options: StudentSpec, dev: Sequence[Example], *, folds: bool = False) -> None:
    """Refuse a choice that no rows could judge.

    Args:
        options: base and mode.
        dev: development rows.
        folds: whether training rows, held out in folds, judge a frozen candidate as well.

    Raises:
        SpecError: a mode where the mode is part of the choice.
        TrainingError: there are no development rows where some are needed.
    """
    if options.base == AUTO and options.mode == "tuned":
        raise SpecError(
            "'student.base: auto' chooses the mode as well.",
            hint="Leave out 'student.mode', or name the base that is to be tuned.",
        )
    if dev:
        return
    if options.mode == "tuned":
        raise TrainingError(
            "fine-tuning needs development rows, which tell when to stop.",
            hint="Give the task more rows, or use 'student.mode: frozen'.",
        )
    if options.base == AUTO and not folds:
        raise TrainingError(
            "'student.base: auto' needs development rows, which judge the candidates.",
            hint="Give the task more rows, or name a base.",
        )


def start_of(bases: Sequence[Base], gates: Mapping[str, Gate]) -> str:
    """What a training starts from, and which gates may choose between the bases."""
    known = [f"{base.name}:{base.sha256}" for base in bases]
    return repr([known, {name: gate.model_dump() for name, gate in gates.items()}])


def _lessons(
    bases: Sequence[Base],
    blank: Lesson,
    train: Sequence[Example],
    dev: Sequence[Example],
    max_tokens: int,
) -> list[tuple[Tokenizer, Lesson, int]]:
    """Tokenizer, lesson and usable tokens of each base; the same tokenizer reads once."""
    known: dict[tuple[Path, int], tuple[Tokenizer, Lesson, int]] = {}
    keys = [(base.folder / "tokenizer.json", usable_tokens(base, max_tokens)) for base in bases]
    for file, usable in keys:
        if (file, usable) not in known:
            tokenizer = load_tokenizer(file, usable)
            rows, dev_rows = (
                read_texts([example.text for example in part], tokenizer) for part in (train, dev)
            )
            known[file, usable] = tokenizer, replace(blank, rows=rows, dev_rows=dev_rows), usable
    return [known[key] for key in keys]


def _telling(train: Sequence[Example], dev: Sequence[Example]) -> NDArray[np.bool_]:
    """The training rows that tell as much as development rows do (training row,).

    What a model labelled, or wrote, is easier and wrong in other ways than what a person
    labelled: beside a person's development rows, only a person's training rows count.
    """
    if any(row.is_gold for row in dev):
        return np.array([row.is_gold for row in train], dtype=np.bool_)
    return np.ones(len(train), dtype=np.bool_)


def alone(candidates: Sequence[C], mode: str) -> Ended[C]:
    """The candidates of one base, and the choice between them."""
    chosen = choose(candidates, mode)
    return Ended(
        candidate=chosen,
        rows=[candidate.row(candidate is chosen) for candidate in candidates],
        history=[row for candidate in candidates for row in candidate.history],
    )


def finished(folder: Path, identity: str) -> Trained | None:
    """The result of the same training, where it has already ended and its files are whole."""
    card = read_card(folder)
    if card is None or card["facts"]["identity"] != identity:
        return None
    if damaged_file(folder, card) is not None:
        return None
    facts = card["facts"]
    return Trained(
        folder=folder,
        base=card["base"]["name"],
        mode=facts["mode"],
        candidates=facts["candidates"],
        seconds=facts["seconds"],
        rows=facts["rows"],
        history=facts["history"],
        reason=facts.get("reason", ""),
    )
