"""Students that answer with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from potstill.data import Example
from potstill.evaluate import usd_per_million
from potstill.run.evidence import load_saved
from potstill.spec.task import StudentSpec, Task

if TYPE_CHECKING:
    from potstill.export import ExportableStudent, Exported
    from potstill.run.stages import Stages
    from potstill.train import Trained


def trained_files(task: Task) -> Sequence[str]:
    """The student's card and its weights."""
    return ("student.json", "student.safetensors")


def bases(options: StudentSpec) -> list[list[str]]:
    """The base that the task names, or those that `auto` compares."""
    from potstill.train import candidate_bases

    return [[base.name, base.sha256] for base in candidate_bases(options)]


def train(work: Stages) -> Trained:
    """One head on one encoder, or the best of several candidates."""
    from potstill.train import train_student

    flag = work.task.flag
    rows = load_saved(work.file("train"))
    return train_student(
        rows,
        work.steering(load_saved(work.file("dev"))),
        labels=work.task.label_names,
        multilabel=work.task.multilabel,
        options=work.task.student,
        seed=work.task.seed,
        folder=work.student,
        flag=None if flag is None else flag.label,
        accept=work.task.accept,
        measure=partial(_cost, rows, work.task.student),
        progress=work.folder.progress("train"),
    )


def _cost(
    rows: Sequence[Example], options: StudentSpec, student: ExportableStudent
) -> dict[str, float]:
    """What a candidate would cost to run on texts like these."""
    from potstill.export import footprint

    found = footprint(student, [row.input for row in rows], precision=options.precision)
    return found | {"usd_per_million": usd_per_million(found["latency_ms"])}


def export(work: Stages, lineage: Mapping[str, Any]) -> Exported:
    """An ONNX graph that is calibrated, and defers where the task says so."""
    from potstill.export import export_student
    from potstill.train import load_student

    return export_student(
        load_student(work.final_student),
        name=work.task.name,
        dev=[*load_saved(work.taught("dev")), *work.strangers("dev")],
        more=load_saved(work.taught("train")),
        out_of_scope=work.strangers("train"),
        defer=work.task.defer,
        options=work.task.student,
        folder=work.model,
        task=work.task,
        lineage=lineage,
        seed=work.task.seed,
        progress=work.folder.progress("export"),
    )
