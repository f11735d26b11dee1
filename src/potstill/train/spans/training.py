"""Train the student of an extraction.

Reads examples; writes the student's folder (see `potstill.train.spans.student`) and, while a
training is under way, a checkpoint of each candidate beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState

from potstill.data.example import Example
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import Gate, StudentSpec
from potstill.train.auto.compare import compare
from potstill.train.bases import AUTO, Base, candidate_bases
from potstill.train.checkpoint import identity_of
from potstill.train.encoder import Progress
from potstill.train.spans.arm import Measure, SpanArm
from potstill.train.spans.candidates import Course
from potstill.train.spans.student import save_extractor
from potstill.train.student import base_facts
from potstill.train.training import Trained, alone, check_judged, finished, start_of


def train_extractor(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    fields: Mapping[str, FieldSpec],
    windows: WindowSpec,
    options: StudentSpec,
    seed: int,
    folder: Path,
    accept: Mapping[Any, Gate] | None = None,
    measure: Measure | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train an extractor; with an interrupted training of the same rows in `folder`, go on with it.

    Args:
        train: the documents to learn from, each with an `Extraction` for its target. Values
            without a place are located wherever the document says them.
        dev: the documents that decide: the best epoch, the candidate.
        fields: what is looked for, in the order of the logits.
        windows: how documents are read.
        options: base, mode and the rest.
        seed: of the windows that are learnt from, of batches and dropout.
        folder: a private work folder.
        accept: the task's gates, which ``base: auto`` keeps to where it can.
        measure: tells what a candidate of ``base: auto`` costs to run.
        progress: called as (phase, done, total).

    Raises:
        TrainingError: nothing can be learnt from the rows, or the loss is no number any more.
        SpecError: there is no such base, or its windows are too small for the widest value.
        MissingExtraError: its weights are not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    seed %= 2**32  # what the random generators accept
    check_judged(options, dev)
    bases = candidate_bases(options, labels=False)
    gates = dict(accept or {})
    identity = identity_of(
        train,
        dev,
        labels=[repr(fields), repr(windows)],
        multilabel=False,
        options=options,
        seed=seed,
        base_sha256=start_of(bases, gates),
    )
    done = finished(folder, identity)
    if done is not None:
        return done

    def course_of(base: Base) -> Course:
        return Course.of(
            base,
            train,
            dev,
            fields=fields,
            spec=windows,
            options=options,
            seed=seed,
            folder=folder,
            identity=identity,
            progress=progress,
        )

    if options.base == AUTO:
        ended = compare(
            [SpanArm(base, partial(course_of, base), measure) for base in bases],
            rows=len(train),
            answers=len(fields),
            accept=gates,
            options=options,
            seed=seed,
        )
        assert isinstance(ended.arm, SpanArm)
        course = ended.arm.course
    else:
        course = course_of(bases[0])
        ended = alone(course.run(), options.mode)
    chosen = ended.candidate
    trained = Trained(
        folder=folder,
        base=course.base.name,
        mode=chosen.mode,
        candidates=ended.rows,
        seconds=round(time.monotonic() - started, 1),
        rows=len(train),
        history=ended.history,
        reason=ended.reason,
    )
    if PartialState().is_main_process:
        save_extractor(
            folder,
            chosen.network,
            course.tokenizer,
            fields=fields,
            conventions=course.lesson.conventions,
            windows=course.spec,
            base=base_facts(course.base, course.encoder),
            facts={"identity": identity, **trained.facts, "located": course.lesson.located},
        )
        course.clear()
    PartialState().wait_for_everyone()
    return trained
