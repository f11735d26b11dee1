"""`export_student`: from trained weights to a model folder that has been measured."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example, labels_of
from potstill.errors import ExportError
from potstill.export.candidates import make_candidates
from potstill.export.choose import Candidate, choose, disagreement, time_all
from potstill.export.deferral import Answered, settle
from potstill.export.describe import describe_task, make_probes, versions
from potstill.export.inputs import silent
from potstill.export.logits import graph_logits, trained_logits
from potstill.export.pack import write_folder
from potstill.runtime.decision import Decision
from potstill.runtime.reading import Reader
from potstill.runtime.reference import Reference
from potstill.spec.deferral import DeferSpec
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

Progress = Callable[[str, int, int], None]

_MOST_ROWS = 2000
"""Rows that are compared; enough to tell 2 % from 3 %."""

_MOST_CERTIFYING = 10_000
"""Development rows that a deferral is fitted and certified on; more hardly lower its bound."""


class ExportableStudent(Protocol):
    """What an export needs to know of a trained student."""

    @property
    def module(self) -> nn.Module:
        """``forward(input_ids (batch, token), attention_mask (batch, token)) -> logits (batch, label)``."""
        ...

    @property
    def tokenizer_file(self) -> Path:
        """The ``tokenizer.json`` of the base."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the logits."""
        ...

    @property
    def multilabel(self) -> bool:
        """Whether an input may have several labels, or none."""
        ...

    @property
    def base(self) -> Mapping[str, Any]:
        """The base's name, revision, licence and size."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that the student reads."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A model folder, and the figures with which it was chosen.

    Attributes:
        folder: where it lies.
        precision: ``int8`` or ``fp32``.
        engine: what runs it, and how its activations are quantised.
        megabytes: size of the folder (a million bytes each).
        parity: rows compared, the development rows among them, the share of answers that differ from the trained
            weights, and the largest difference of a probability; ``candidates`` has the share
            for each graph that was tried.
        calibration: temperature, thresholds, rows and the likelihood before and after.
        deferral: from which confidence it answers, how it tells what is out of scope, and the
            certificate with its statement; None where it answers everything.
        timings: for each candidate, milliseconds a text on one thread: mean over development
            texts, and at 16, 64 and 256 tokens.
        chosen: where several trained students were packed, ``base``, ``mode``, ``candidates`` and
            ``reason`` of the one that ships, as a training tells them; empty otherwise.
    """

    folder: Path
    precision: str
    engine: str
    megabytes: float
    parity: dict[str, Any]
    calibration: dict[str, Any]
    deferral: dict[str, Any] | None
    timings: dict[str, dict[str, float]]
    chosen: dict[str, Any] = field(default_factory=dict[str, Any])


def export_student(
    student: ExportableStudent,
    *,
    name: str,
    dev: Sequence[Example],
    more: Sequence[Example] = (),
    out_of_scope: Sequence[Example] = (),
    defer: DeferSpec | None = None,
    options: StudentSpec,
    folder: Path,
    task: Task | None = None,
    lineage: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Exported:
    """Export, quantise, compare, choose, calibrate, and write the model folder.

    Args:
        student: the trained weights, with their tokenizer and labels.
        name: the model's name, usually the task's.
        dev: development rows: their texts decide parity and precision, their targets the
            calibration; rows with the task's label for what is out of scope count as errors
            wherever they are answered. Never test rows.
        more: further rows, of training for instance, whose texts stand beside those of a small
            `dev` in the parity check: fifty rows cannot tell 1 % from 3 %.
        out_of_scope: further rows that fit no label, of training for instance: the model learns
            from them how such rows look.
        defer: how many of the answers may be wrong at most; what is less sure is deferred. The
            student must not have been chosen by `certifying_rows` of `dev`.
        options: ``precision`` and ``max_disagreement`` are read.
        folder: where the model goes; an older one there is replaced once the new is whole.
        task: its description and rules are copied into ``model.json``.
        lineage: the content of ``lineage.json``.
        seed: which development rows stand for all of them where there are over 2,000, and which
            of them certify.
        progress: called with (phase, done, total).

    Raises:
        ExportError: no development rows, a label among them that the student does not know, or
            answers that differ too often from the trained weights in every precision allowed.
        MissingExtraError: the ``train`` extra is not installed.
        StorageError: the folder cannot be written.
    """
    if not dev:
        raise ExportError(
            "there are no development rows, so nothing shows that the exported model answers "
            "like the trained weights.",
            hint="Give it some rows: 'data.dev_fraction' sets them aside.",
        )
    _check_targets(dev, (*student.labels, *_name_outside(task)))
    import onnxruntime

    rows = _sample(dev, seed, _MOST_ROWS)
    tick = progress or silent
    tokenizer = read_tokenizer(student)
    reader = Reader(tokenizer)
    texts = [*rows, *_sample(more, seed, _MOST_ROWS - len(rows))]
    ids = [reader.read(example.input)[0] for example in texts]
    trained = trained_logits(student.module, ids, labels=len(student.labels), tick=tick)
    candidates = make_candidates(student.module, ids, precision=options.precision, tick=tick)
    if not candidates:
        raise ExportError(
            "the encoder of this student has no matrix product that could be quantised.",
            hint="Set 'student.precision: auto' or 'fp32'.",
        )
    chosen = _compare(candidates, student, ids, trained, options, tick)
    answer = partial(graph_logits, chosen, reader)
    rest = _sample(_without(dev, rows), seed, _MOST_CERTIFYING - len(rows)) if defer else []
    answered = Answered([*rows, *rest], np.concatenate([chosen.logits[: len(rows)], answer(rest)]))
    settled = settle(
        Decision(tuple(student.labels), student.multilabel),
        answered,
        more_outside=answer(_sample(out_of_scope, seed, _MOST_ROWS)),
        defer=defer,
        flag=None if task is None else task.flag,
        seed=seed,
    )
    decision = settled.decision
    parity = {
        "rows": len(texts),
        "development_rows": len(rows),
        "disagreement": chosen.disagreement,
        "max_allowed": options.max_disagreement,
        "max_probability_difference": _difference(decision, chosen.logits, trained),
        "candidates": {one.name: one.disagreement for one in candidates},
    }
    timings = {one.name: one.timings_ms for one in candidates}
    engine = f"onnxruntime {onnxruntime.__version__}, CPU"
    document: dict[str, Any] = {
        "name": name,
        **decision.to_json(),
        "task": describe_task(task),
        "max_tokens": reader.max_tokens,
        "calibration": settled.calibration,
        "base": dict(student.base),
        "export": {
            "precision": chosen.precision,
            "graph": chosen.name,
            "engine": engine,
            "parity": parity,
            "timings_ms": timings,
            "versions": versions(),
            "machine": platform.machine(),
        },
        "probes": make_probes(decision, chosen.session, reader, task),
    }
    if settled.deferral is not None:
        document["deferral"] = settled.deferral
    predictions = [decision.answer(logits) for logits in answered.logits]
    document["reference"] = Reference.of(predictions, answered.rows, decision.labels).to_json()
    megabytes = write_folder(
        folder,
        document=document,
        graph=chosen.graph,
        tokenizer=tokenizer.to_str(),
        lineage=lineage or {},
    )
    return Exported(
        folder,
        chosen.precision,
        engine,
        megabytes,
        parity,
        settled.calibration,
        settled.deferral,
        timings,
    )


def _check_targets(dev: Sequence[Example], labels: tuple[str, ...]) -> None:
    for example in dev:
        unknown = set(labels_of(example.target)).difference(labels)
        if unknown:
            raise ExportError(
                f"the development row {example.id} has the label {min(unknown)!r}, which the "
                "student does not know.",
                hint="Train on rows of every label that the development rows have.",
            )


def _name_outside(task: Task | None) -> tuple[str, ...]:
    """The label of rows that fit no label, where the task has one."""
    if task is None or task.data.out_of_scope is None:
        return ()
    return (task.data.out_of_scope,)


def _without(rows: Sequence[Example], taken: Sequence[Example]) -> list[Example]:
    gone = {id(row) for row in taken}
    return [row for row in rows if id(row) not in gone]


def _sample(rows: Sequence[Example], seed: int, most: int) -> list[Example]:
    if len(rows) <= most:
        return list(rows)
    kept = np.random.default_rng(seed).choice(len(rows), most, replace=False)
    return [rows[at] for at in sorted(kept.tolist())]


def read_tokenizer(student: ExportableStudent) -> Tokenizer:
    """The base's tokenizer as it ships: it truncates, and it does not pad."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(student.tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length=student.max_tokens)
    return tokenizer


def _compare(
    candidates: list[Candidate],
    student: ExportableStudent,
    ids: Sequence[list[int]],
    trained: NDArray[np.float32],
    options: StudentSpec,
    tick: Progress,
) -> Candidate:
    total = len(candidates) * len(ids)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        tick("compare", done, total)

    for candidate in candidates:
        candidate.run_all(ids, step)
        candidate.disagreement = disagreement(
            candidate.logits, trained, multilabel=student.multilabel
        )
    time_all(candidates, ids, max_tokens=student.max_tokens)
    return choose(candidates, max_disagreement=options.max_disagreement)


def _difference(
    decision: Decision, ours: NDArray[np.float32], trained: NDArray[np.float32]
) -> float:
    """The largest difference of a calibrated probability that the export made."""
    return float(np.abs(decision.probabilities(ours) - decision.probabilities(trained)).max())
