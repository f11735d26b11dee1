"""`export_picker`: from trained weights that pick sentences to a model folder that has been measured."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from potstill.data.example import Example, Input
from potstill.errors import ExportError
from potstill.export.candidates import make_candidates
from potstill.export.choose import Candidate, choose, time_all
from potstill.export.describe import describe_task, versions
from potstill.export.extraction_reading import trained_score
from potstill.export.inputs import shuffled, silent, whole_tokenizer
from potstill.export.pack import write_folder
from potstill.export.student import Exported
from potstill.runtime.extraction.windows import WindowReader
from potstill.runtime.picking import PickDecision, Picks, pick_reader
from potstill.runtime.session import run_one
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from torch import nn

    from potstill.export.extraction_reading import Score

Progress = Callable[[str, int, int], None]

_MOST_WINDOWS = 1000
"""Windows that are read with every candidate."""

_PROBES = (
    "The first sentence names the parties. The second one says what they agree. The third one, "
    "which is longer than both of them together, says for how long they do so. The last one "
    "says where they signed.",
    "you may use the service for free. we may stop it at any time. there is no guarantee.",
    "One sentence alone.",
)
"""Made up for the purpose, and never data."""


class ExportablePicker(Protocol):
    """What an export needs to know of a trained student that picks sentences."""

    @property
    def module(self) -> nn.Module:
        """``forward(input_ids (batch, token), attention_mask (batch, token)) -> scores (batch, token, 1)``."""
        ...

    @property
    def tokenizer_file(self) -> Path:
        """The ``tokenizer.json`` of the base."""
        ...

    @property
    def decision(self) -> PickDecision:
        """How scores become an answer."""
        ...

    @property
    def base(self) -> Mapping[str, Any]:
        """The base's name, revision, licence and size."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a window."""
        ...


def export_picker(
    picker: ExportablePicker,
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
    """Export, quantise, compare, choose, and write the model folder.

    Args:
        picker: the trained weights, with their tokenizer and decision.
        name: the model's name, usually the task's.
        dev: development documents: their texts decide parity and precision. Never test documents.
        more: further documents, of training for instance, whose texts stand beside those of a
            small `dev`: forty rows cannot tell 1 % from 3 %.
        options: ``precision`` and ``max_disagreement`` are read.
        folder: where the model goes; an older one there is replaced once the new is whole.
        task: its description, rules and text are copied into ``model.json``.
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
    tokenizer = whole_tokenizer(picker.tokenizer_file)
    reader = pick_reader(tokenizer, picker.max_tokens)
    inputs = _some([*shuffled(dev, seed), *shuffled(more, seed)], reader)
    chosen, parity, timings = _choose(picker, inputs, reader, options, tick)
    parity["development_rows"] = min(len(dev), len(inputs))
    engine = f"onnxruntime {version('onnxruntime')}, CPU"
    ours = Picks(reader, partial(run_one, chosen.session), picker.decision)
    document: dict[str, Any] = {
        "name": name,
        "type": "generation",
        "mode": "extractive",
        "labels": [],
        "picks": picker.decision.to_json(),
        "task": describe_task(task),
        "max_tokens": picker.max_tokens,
        "base": dict(picker.base),
        "export": {
            "precision": chosen.precision,
            "graph": chosen.name,
            "engine": engine,
            "parity": parity,
            "timings_ms": timings,
            "versions": versions(),
            "machine": platform.machine(),
        },
        "probes": [{"text": text, "said": ours.pick(text).text} for text in _PROBES],
    }
    megabytes = write_folder(
        folder,
        document=document,
        graph=chosen.graph,
        tokenizer=tokenizer.to_str(),
        lineage=lineage or {},
    )
    return Exported(folder, chosen.precision, engine, megabytes, parity, {}, None, timings)


def _choose(
    picker: ExportablePicker,
    inputs: Sequence[Input],
    reader: WindowReader,
    options: StudentSpec,
    tick: Progress,
) -> tuple[Candidate, dict[str, Any], dict[str, dict[str, float]]]:
    """The graph that ships, how it agrees with the trained weights, and the timings of all."""

    def answers(score: Score) -> list[str]:
        picks = Picks(reader, score, picker.decision)
        return [picks.pick(value).text for value in inputs]

    ids = [window.ids for value in inputs for window in reader.read(value)] or [[0]]
    tick("parity", 0, len(inputs))
    trained = answers(trained_score(picker.module))
    tick("parity", len(inputs), len(inputs))
    candidates = make_candidates(picker.module, ids, precision=options.precision, tick=tick)
    if not candidates:
        raise ExportError(
            "there is no pretrained encoder inside this student to quantise.",
            hint="Set 'student.precision: auto' or 'fp32'.",
        )
    for done, one in enumerate(candidates, 1):
        pairs = zip(answers(partial(run_one, one.session)), trained, strict=True)
        one.disagreement = float(np.mean([ours != theirs for ours, theirs in pairs]))
        tick("compare", done, len(candidates))
    time_all(candidates, ids, max_tokens=picker.max_tokens)
    chosen = choose(candidates, max_disagreement=options.max_disagreement)
    parity = {
        "rows": len(inputs),
        "windows": len(ids),
        "disagreement": chosen.disagreement,
        "max_allowed": options.max_disagreement,
        "candidates": {one.name: one.disagreement for one in candidates},
    }
    return chosen, parity, {one.name: one.timings_ms for one in candidates}


def _some(rows: Sequence[Example], reader: WindowReader) -> list[Input]:
    """The first documents, until there are windows enough."""
    taken: list[Input] = []
    windows = 0
    for row in rows:
        if windows >= _MOST_WINDOWS:
            break
        taken.append(row.input)
        windows += sum(1 for _ in reader.read(row.input))
    return taken
