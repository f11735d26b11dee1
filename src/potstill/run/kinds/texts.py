"""Students that answer with a short text: sentences of the source, or words of their own.

The one that picks sentences is always trained: it stands in where a guard stops the one that
writes, and ships alone where writing is no better.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.data.example import Example
from potstill.evaluate import usd_per_million
from potstill.run.evidence import load_saved
from potstill.run.kinds.rivals import Rival, choose
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from potstill.export import ExportablePicker, Exported
    from potstill.run.stages import Stages
    from potstill.train import Trained

PICKER = "picker"
WRITER = "writer"


def trained_files(task: Task) -> Sequence[str]:
    """The cards of the students, which are written last."""
    students = [PICKER] if task.student.mode == "extractive" else [PICKER, WRITER]
    return [f"{student}/student.json" for student in students]


def bases(options: StudentSpec) -> list[list[str]]:
    """The encoder that picks, or those that `auto` compares, and the language model that writes."""
    from potstill.train import candidate_bases, resolve_writer

    found = candidate_bases(options, labels=False)
    if options.mode != "extractive":
        found.append(resolve_writer(options.writer))
    return [[base.name, base.sha256] for base in found]


def train(work: Stages) -> Trained:
    """The student that picks, and after it the one that writes."""
    from potstill.train import train_picker, train_writer

    task, seed = work.task, work.task.seed
    rows, dev = load_saved(work.file("train")), load_saved(work.file("dev"))
    picker = train_picker(
        rows,
        dev,
        text=task.text,
        options=task.student,
        seed=seed,
        folder=work.student / PICKER,
        accept=task.accept,
        measure=partial(_cost, rows, task.student),
        progress=work.folder.progress("train"),
    )
    if task.student.mode == "extractive":
        return picker
    writer = train_writer(
        rows,
        dev,
        task=task,
        options=task.student,
        seed=seed,
        folder=work.student / WRITER,
        progress=work.folder.progress("train"),
    )
    return replace(
        writer,
        candidates=[*picker.candidates, *writer.candidates],
        seconds=round(picker.seconds + writer.seconds, 1),
    )


def _cost(
    rows: Sequence[Example], options: StudentSpec, student: ExportablePicker
) -> dict[str, float]:
    """What a picker would cost to run on documents like these."""
    from potstill.export import footprint_of_windows
    from potstill.runtime.picking import pick_reader

    found = footprint_of_windows(
        student.module,
        student.tokenizer_file,
        partial(pick_reader, tokens=student.max_tokens),
        [row.input for row in rows],
        precision=options.precision,
    )
    return found | {"usd_per_million": usd_per_million(found["latency_ms"])}


def export(work: Stages, lineage: Mapping[str, Any]) -> Exported:
    """The model folder of the student that the task names, or that is better."""
    from potstill.export import export_picker, export_writer
    from potstill.train import load_picker, load_writer

    dev, more = load_saved(work.file("dev")), load_saved(work.file("train"))

    def facts(folder: Path) -> dict[str, Any]:
        return {
            "name": work.task.name,
            "dev": dev,
            "options": work.task.student,
            "folder": folder,
            "task": work.task,
            "lineage": lineage,
            "seed": work.task.seed,
            "progress": work.folder.progress("export"),
        }

    mode = work.task.student.mode
    picker = load_picker(work.student / PICKER)
    if mode == "extractive":
        return export_picker(picker, more=more, **facts(work.model))
    with tempfile.TemporaryDirectory(dir=work.folder.path, prefix=".pack.") as scratch:
        packed = Path(scratch) / PICKER
        picked = export_picker(picker, more=more, **facts(packed))
        writer = load_writer(work.student / WRITER)
        written = export_writer(writer, picker=packed, **facts(work.model))
        if mode == "abstractive":
            return written
        ships = choose(
            Rival.of("picks", picker, packed, picked.megabytes, dev),
            Rival.of("writes", writer, work.model, written.megabytes, dev),
            dev,
            accept=work.task.accept,
            seed=work.task.seed,
        )
        if ships["mode"] == "abstractive":
            return replace(written, chosen=ships)
        shutil.rmtree(work.model)
        packed.rename(work.model)
        return replace(picked, folder=work.model, chosen=ships)
