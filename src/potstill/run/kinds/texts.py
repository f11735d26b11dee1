"""Students that answer with a short text: sentences of the source, or words of their own.

The one that picks sentences is always trained: it stands in where a guard stops the one that
writes, and ships alone where writing is no better.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.run.evidence import load_saved
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from potstill.export import Exported
    from potstill.run.stages import Stages
    from potstill.train import Trained

PICKER = "picker"
WRITER = "writer"


def trained_files(task: Task) -> Sequence[str]:
    """The cards of the students, which are written last."""
    students = [PICKER] if task.student.mode == "extractive" else [PICKER, WRITER]
    return [f"{student}/student.json" for student in students]


def bases(options: StudentSpec) -> list[list[str]]:
    """The encoder that picks, and the language model that writes."""
    from potstill.train import resolve_base, resolve_writer

    found = [resolve_base(options.base)]
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
    if mode == "extractive":
        return export_picker(load_picker(work.student / PICKER), more=more, **facts(work.model))
    with tempfile.TemporaryDirectory(dir=work.folder.path, prefix=".pack.") as scratch:
        packed = Path(scratch) / PICKER
        picked = export_picker(load_picker(work.student / PICKER), more=more, **facts(packed))
        writer = load_writer(work.student / WRITER)
        written = export_writer(writer, picker=packed, **facts(work.model))
        if mode == "abstractive" or _writes_better(work, packed):
            return written
        shutil.rmtree(work.model)
        packed.rename(work.model)
        return replace(picked, folder=work.model)


def _writes_better(work: Stages, picker: Path) -> bool:
    """Whether the student that writes beats the one that picks by more than noise, on dev rows."""
    from potstill.evaluate import compare_texts
    from potstill.runtime import load_model

    dev = load_saved(work.file("dev"))
    inputs = [row.input for row in dev]
    written, picked = (load_model(path, workers=1).predict(inputs) for path in (work.model, picker))
    found = compare_texts(written, picked, dev, names=(WRITER, PICKER), seed=work.task.seed)
    return found.outcome == "better"
