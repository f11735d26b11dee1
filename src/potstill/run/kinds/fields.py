"""Students that find the values of fields in documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data.example import Example
from potstill.evaluate import usd_per_million
from potstill.run.evidence import load_saved
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from potstill.export import ExportableExtractor, Exported
    from potstill.run.stages import Stages
    from potstill.train import Trained


def trained_files(task: Task) -> Sequence[str]:
    """The student's card and its weights."""
    return ("student.json", "student.safetensors")


def bases(options: StudentSpec) -> list[list[str]]:
    """The base that the task names, or those that `auto` compares."""
    from potstill.train import candidate_bases

    return [[base.name, base.sha256] for base in candidate_bases(options, labels=False)]


def train(work: Stages) -> Trained:
    """A head over spans on an encoder that reads documents in windows."""
    from potstill.train import train_extractor

    rows = load_saved(work.file("train"))
    return train_extractor(
        rows,
        load_saved(work.file("dev")),
        fields=work.task.fields,
        windows=work.task.windows,
        options=work.task.student,
        seed=work.task.seed,
        folder=work.student,
        accept=work.task.accept,
        measure=partial(_cost, rows, work.task.student),
        progress=work.folder.progress("train"),
    )


def located(work: Stages) -> dict[str, dict[str, int]]:
    """Of each field how many values were recorded, found in their documents, and learnt."""
    card = orjson.loads((work.student / "student.json").read_bytes())
    return card["facts"].get("located", {})


def _cost(
    rows: Sequence[Example], options: StudentSpec, student: ExportableExtractor
) -> dict[str, float]:
    """What a candidate would cost to run on documents like these."""
    from potstill.export import footprint_of_windows
    from potstill.runtime.extraction.extractor import window_reader

    found = footprint_of_windows(
        student.module,
        student.tokenizer_file,
        partial(window_reader, windows=student.windows),
        [row.input for row in rows],
        precision=options.precision,
    )
    return found | {"usd_per_million": usd_per_million(found["latency_ms"])}


def export(work: Stages, lineage: Mapping[str, Any]) -> Exported:
    """An ONNX graph, and what decides from its spans about the values of a document."""
    from potstill.export import export_extractor
    from potstill.train import load_extractor

    return export_extractor(
        load_extractor(work.student),
        name=work.task.name,
        dev=load_saved(work.file("dev")),
        more=load_saved(work.file("train")),
        options=work.task.student,
        folder=work.model,
        task=work.task,
        lineage=lineage,
        seed=work.task.seed,
        progress=work.folder.progress("export"),
    )
