"""`export_extractor`: from trained weights that extract to a model folder that has been measured."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from potstill.data.example import Example
from potstill.data.values import Convention
from potstill.errors import ExportError
from potstill.export.candidates import make_candidates
from potstill.export.choose import Candidate, choose, time_all
from potstill.export.describe import describe_task, versions
from potstill.export.extraction_fit import fit_decision
from potstill.export.extraction_reading import (
    Difference,
    Document,
    FoundByField,
    compare,
    cut_documents,
    read_documents,
    trained_score,
)
from potstill.export.inputs import shuffled, silent, whole_tokenizer
from potstill.export.pack import write_folder
from potstill.export.student import Exported
from potstill.runtime.extraction.decision import ExtractionDecision
from potstill.runtime.extraction.extractor import Extractor, said, window_reader
from potstill.runtime.extraction.values import ValueReader
from potstill.runtime.folder import Card
from potstill.runtime.reference import Reference
from potstill.runtime.session import run_one
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str, int, int], None]

_MOST_WINDOWS = 1000
"""Windows that the trained weights and every candidate read: some fifty contracts, or a thousand
short texts, with an answer for each field; twenty contracts cannot tell 1% from 3%. All of them
together take a tenth of a second a window."""

_MOST_FITTED_WINDOWS = 5000
"""Windows that the graph that ships reads for the fit of its decision."""

_SAMPLES = {
    "text": "Alpine Software Ltd",
    "date": "3 March 2021",
    "integer": "forty-two",
    "money": "USD 1,250.00",
    "duration": "two (2) years",
}
"""A value of each type, for the probes."""

_MOST_PROBES = 8


class ExportableExtractor(Protocol):
    """What an export needs to know of a trained student that extracts."""

    @property
    def module(self) -> nn.Module:
        """``forward(input_ids (batch, token), attention_mask (batch, token)) -> logits (batch, token, width, field)``."""
        ...

    @property
    def tokenizer_file(self) -> Path:
        """The ``tokenizer.json`` of the base."""
        ...

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """What is looked for, in the order of the logits."""
        ...

    @property
    def conventions(self) -> Mapping[str, Convention]:
        """How the values of a field are recorded."""
        ...

    @property
    def windows(self) -> WindowSpec:
        """How a document is read."""
        ...

    @property
    def base(self) -> Mapping[str, Any]:
        """The base's name, revision, licence and size."""
        ...


def export_extractor(
    student: ExportableExtractor,
    *,
    name: str,
    dev: Sequence[Example],
    more: Sequence[Example] = (),
    options: StudentSpec,
    folder: Path,
    task: Task | None = None,
    lineage: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Exported:
    """Export, quantise, compare, choose, calibrate, and write the model folder.

    Args:
        student: the trained weights, with their tokenizer, fields and windows.
        name: the model's name, usually the task's.
        dev: development documents: their texts decide parity and precision, their values the
            calibration. Never test documents, and none that the student learnt from.
        more: further documents, of training for instance, whose texts stand beside those of a
            small `dev` in the parity check.
        options: ``precision`` and ``max_disagreement`` are read.
        folder: where the model goes; an older one there is replaced once the new is whole.
        task: its description and rules are copied into ``model.json``, and its ``confidence`` says
            from where on a field is answered.
        lineage: the content of ``lineage.json``.
        seed: which documents stand for all of them where there are many.
        progress: called with (phase, done, total).

    Raises:
        ExportError: no development documents, or answers that differ too often from the trained
            weights in every precision allowed.
        MissingExtraError: the ``train`` extra is not installed.
        StorageError: the folder cannot be written.
    """
    if not dev:
        raise ExportError(
            "there are no development documents, so nothing shows that the exported model "
            "answers like the trained weights.",
            hint="Give it some rows: 'data.dev_fraction' sets them aside.",
        )
    tick = progress or silent
    tokenizer = whole_tokenizer(student.tokenizer_file)
    reader = window_reader(tokenizer, student.windows)
    values = ValueReader(student.fields, student.conventions)
    least = task.confidence.min_confidence if task is not None else 0.0
    fit = partial(fit_decision, fields=student.fields, min_confidence=least)
    order = shuffled(dev, seed)
    texts = cut_documents([*order, *shuffled(more, seed)], reader, most_windows=_MOST_WINDOWS)
    judged = texts[: len(order)]
    chosen = _choose(student, texts, len(judged), values, fit, options, tick)
    rest = cut_documents(
        order[len(judged) :], reader, most_windows=_MOST_FITTED_WINDOWS - _windows(texts)
    )
    found = [
        *chosen.found[: len(judged)],
        *read_documents(rest, partial(run_one, chosen.graph.session), values),
    ]
    rows = [one.example for one in (*judged, *rest)]
    decision, calibration = fit(found, rows)
    predictions = [decision.answer(one) for one in found]
    engine = f"onnxruntime {version('onnxruntime')}, CPU"
    document: dict[str, Any] = {
        "name": name,
        **decision.to_json(),
        "windows": student.windows.model_dump(),
        "conventions": {name: one.to_json() for name, one in student.conventions.items()},
        "task": describe_task(task),
        "max_tokens": student.windows.tokens,
        "calibration": calibration,
        "reference": Reference.of(predictions, rows, decision.fields).to_json(),
        "base": dict(student.base),
        "export": {
            "precision": chosen.graph.precision,
            "graph": chosen.graph.name,
            "engine": engine,
            "parity": chosen.parity,
            "timings_ms": chosen.timings,
            "versions": versions(),
            "machine": platform.machine(),
        },
    }
    card = Card(name, "extraction", document)
    ours = Extractor(card, reader, chosen.graph.session, decision, values, workers=1)
    document["probes"] = _probes(ours)
    megabytes = write_folder(
        folder,
        document=document,
        graph=chosen.graph.graph,
        tokenizer=tokenizer.to_str(),
        lineage=lineage or {},
    )
    return Exported(
        folder,
        chosen.graph.precision,
        engine,
        megabytes,
        chosen.parity,
        calibration,
        None,
        chosen.timings,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The graph that ships, what it found in each document, and the figures of the choice."""

    graph: Candidate
    found: list[FoundByField]
    parity: dict[str, Any]
    timings: dict[str, dict[str, float]]


def _choose(
    student: ExportableExtractor,
    texts: Sequence[Document],
    judged: int,
    values: ValueReader,
    fit: Callable[..., tuple[ExtractionDecision, dict[str, Any]]],
    options: StudentSpec,
    tick: Progress,
) -> _Chosen:
    """Compare all graphs with the trained weights on some documents.

    Args:
        student: the trained weights.
        texts: documents, of which the first `judged` have values that nothing was learnt from.
        judged: how many.
        values: reads values from evidence.
        fit: fits a decision, under which the answers are compared.
        options: ``precision`` and ``max_disagreement`` are read.
        tick: called with (phase, done, total).
    """
    # A document without a token has no window; of nothing but such, one token is run.
    ids = [window.ids for document in texts for window in document.windows] or [[0]]
    step = _Steps(tick, "parity", len(ids))
    trained = read_documents(texts, trained_score(student.module), values, step=step)
    decision, _ = fit(trained[:judged], [one.example for one in texts[:judged]])
    candidates = make_candidates(student.module, ids, precision=options.precision, tick=tick)
    if not candidates:
        raise ExportError(
            "there is no pretrained encoder inside this student to quantise.",
            hint="Set 'student.precision: auto' or 'fp32'.",
        )
    step = _Steps(tick, "compare", len(candidates) * len(ids))
    found: dict[str, list[FoundByField]] = {}
    differences: dict[str, Difference] = {}
    for one in candidates:
        found[one.name] = read_documents(texts, partial(run_one, one.session), values, step=step)
        differences[one.name] = compare(found[one.name], trained, decision)
        one.disagreement = differences[one.name].answers
    time_all(candidates, ids, max_tokens=student.windows.tokens)
    graph = choose(candidates, max_disagreement=options.max_disagreement)
    parity = {
        "rows": len(texts),
        "development_rows": judged,
        "windows": len(ids),
        "disagreement": graph.disagreement,
        "documents_that_differ": differences[graph.name].documents,
        "max_allowed": options.max_disagreement,
        "max_probability_difference": differences[graph.name].confidence,
        "candidates": {one.name: one.disagreement for one in candidates},
    }
    timings = {one.name: one.timings_ms for one in candidates}
    return _Chosen(graph, found[graph.name], parity, timings)


@dataclass(slots=True)
class _Steps:
    """Tells a progress of one window after another."""

    tick: Progress
    phase: str
    total: int
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        self.tick(self.phase, self.done, self.total)


def _windows(documents: Sequence[Document]) -> int:
    return sum(len(document.windows) for document in documents)


def _probes(extractor: Extractor) -> list[dict[str, Any]]:
    """Inputs made of field names and made-up values, never of data, with the model's answers."""
    lines = [
        f"{name.replace('_', ' ').capitalize()}: {_SAMPLES.get(spec.type) or next(iter(spec.choices))}."
        for name, spec in extractor.fields.items()
    ]
    probes: list[dict[str, Any]] = []
    for text in (*lines[:_MOST_PROBES], "\n".join(lines)):
        answer = extractor.predict(text)
        scores = list((answer.scores or {}).values())
        probes.append({"text": text, "scores": scores, "said": said(answer)})
    return probes
