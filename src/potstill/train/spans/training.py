"""Train the student of an extraction.

Reads examples; writes the student's folder (see `potstill.train.spans.student`) and, while a
training is under way, a checkpoint of each candidate beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from accelerate import PartialState

from potstill.data.example import Example
from potstill.errors import TrainingError
from potstill.runtime.extraction.extractor import window_reader
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec
from potstill.train.bases import resolve_base
from potstill.train.candidates import choose
from potstill.train.checkpoint import identity_of
from potstill.train.encoder import Progress, load_encoder, pad_id_of, usable_tokens
from potstill.train.spans.candidates import Course
from potstill.train.spans.lesson import read_lesson
from potstill.train.spans.student import save_extractor
from potstill.train.spans.work import Documents
from potstill.train.student import base_facts
from potstill.train.tokens import load_whole_tokenizer
from potstill.train.training import Trained, finished


def train_extractor(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    fields: Mapping[str, FieldSpec],
    windows: WindowSpec,
    options: StudentSpec,
    seed: int,
    folder: Path,
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
        progress: called as (phase, done, total).

    Raises:
        TrainingError: nothing can be learnt from the rows, or the loss is no number any more.
        SpecError: there is no such base, or its windows are too small for the widest value.
        MissingExtraError: its weights are not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    seed %= 2**32  # what the random generators accept
    if options.mode == "tuned" and not dev:
        raise TrainingError(
            "fine-tuning needs development rows, which tell when to stop.",
            hint="Give the task more rows, or use 'student.mode: frozen'.",
        )
    base = resolve_base(options.base)
    windows = windows.model_copy(update={"tokens": usable_tokens(base, windows.tokens)})
    identity = identity_of(
        train,
        dev,
        labels=[repr(fields), repr(windows)],
        multilabel=False,
        options=options,
        seed=seed,
        base_sha256=base.sha256,
    )
    done = finished(folder, identity)
    if done is not None:
        return done
    tokenizer = load_whole_tokenizer(base.folder / "tokenizer.json")
    reader = window_reader(tokenizer, windows)
    lesson = read_lesson(
        train,
        fields=fields,
        reader=reader,
        widest=windows.widest_value,
        seed=seed,
        progress=progress,
    )
    encoder = load_encoder(base)
    documents = Documents.of(
        dev,
        reader=reader,
        pad_id=pad_id_of(encoder),
        fields=fields,
        conventions=lesson.conventions,
    )
    course = Course(encoder, lesson, documents, windows, options, seed, folder, identity, progress)
    candidates = course.run()
    chosen = choose(candidates, options.mode)
    trained = Trained(
        folder=folder,
        base=base.name,
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
            "located": lesson.located,
        }
        save_extractor(
            folder,
            chosen.network,
            tokenizer,
            fields=fields,
            conventions=lesson.conventions,
            windows=windows,
            base=base_facts(base, encoder),
            facts=facts,
        )
        course.clear()
    PartialState().wait_for_everyone()
    return trained
