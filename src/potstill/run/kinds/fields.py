"""Students that find the values of fields in documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.run.evidence import load_saved
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from potstill.export import Exported
    from potstill.run.stages import Stages
    from potstill.train import Trained


def trained_files(task: Task) -> Sequence[str]:
    """The student's card and its weights."""
    return ("student.json", "student.safetensors")


def bases(options: StudentSpec) -> list[list[str]]:
    """The base that the task names."""
    from potstill.train import resolve_base

    return [[options.base, resolve_base(options.base).sha256]]


def train(work: Stages) -> Trained:
    """A head over spans on an encoder that reads documents in windows."""
    from potstill.train import train_extractor

    return train_extractor(
        load_saved(work.file("train")),
        load_saved(work.file("dev")),
        fields=work.task.fields,
        windows=work.task.windows,
        options=work.task.student,
        seed=work.task.seed,
        folder=work.student,
        progress=work.folder.progress("train"),
    )


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
