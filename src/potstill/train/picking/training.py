"""Train the student that picks sentences: a head on a frozen encoder, then both together.

Reads examples; writes the student's folder (see `potstill.train.picking.student`) and, while a
fine-tuning is under way, ``checkpoint.pt`` beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState

from potstill.data.example import Example
from potstill.spec.generation import TextSpec
from potstill.spec.task import Gate, StudentSpec
from potstill.train.auto.compare import compare
from potstill.train.bases import AUTO, Base, candidate_bases
from potstill.train.checkpoint import Checkpoint, identity_of
from potstill.train.encoder import Progress
from potstill.train.picking.arm import Measure, PickArm
from potstill.train.picking.candidates import Course
from potstill.train.picking.student import save_picker
from potstill.train.student import base_facts
from potstill.train.training import Trained, alone, check_judged, finished, start_of


def train_picker(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    text: TextSpec,
    options: StudentSpec,
    seed: int,
    folder: Path,
    accept: Mapping[Any, Gate] | None = None,
    measure: Measure | None = None,
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
        accept: the task's gates, which ``base: auto`` keeps to where it can.
        measure: tells what a candidate of ``base: auto`` costs to run.
        progress: called as (phase, done, total).

    Raises:
        TrainingError: nothing can be learnt from the rows, or the loss is no number any more.
        SpecError: there is no such base.
        MissingExtraError: its weights, or rouge-score, are not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    seed %= 2**32  # what the random generators accept
    check_judged(options, dev, folds=True)
    bases = candidate_bases(options, labels=False)
    gates = dict(accept or {})
    identity = identity_of(
        train,
        dev,
        labels=[f"at most {text.max_words} words"],
        multilabel=False,
        options=options,
        seed=seed,
        base_sha256=start_of(bases, gates),
    )
    done = finished(folder, identity)
    if done is not None:
        return done

    def course_of(number: int, base: Base) -> Course:
        file = folder / (f"checkpoint-{number}.pt" if number else "checkpoint.pt")
        return Course.of(
            base,
            train,
            dev,
            text=text,
            options=options,
            seed=seed,
            checkpoint=Checkpoint(file, f"{identity}:{base.name}"),
            progress=progress,
        )

    if options.base == AUTO:
        arms = [
            PickArm(base, partial(course_of, at, base), measure) for at, base in enumerate(bases)
        ]
        ended = compare(arms, rows=len(train), answers=1, accept=gates, options=options, seed=seed)
        assert isinstance(ended.arm, PickArm)
        course = ended.arm.course
    else:
        course = course_of(0, bases[0])
        ended = alone(course.run(), "auto")
    chosen = ended.candidate
    trained = Trained(
        folder=folder,
        base=course.base.name,
        mode="extractive",
        candidates=ended.rows,
        seconds=round(time.monotonic() - started, 1),
        rows=len(train),
        history=ended.history,
        reason=ended.reason,
    )
    if PartialState().is_main_process:
        save_picker(
            folder,
            chosen.network,
            course.tokenizer,
            decision=chosen.decision,
            base=base_facts(course.base, course.encoder),
            max_tokens=course.max_tokens,
            facts={"identity": identity, **trained.facts},
        )
        for file in folder.glob("checkpoint*.pt"):
            file.unlink()
    PartialState().wait_for_everyone()
    return trained
