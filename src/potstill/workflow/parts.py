"""What answers in a node: known by its labels before it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from potstill.data.example import Input, Prediction, Predictor
from potstill.errors import ModelError, SpecError
from potstill.runtime.finding import find_model
from potstill.runtime.folder import CARD_FILE, digest, read_card, reading_card
from potstill.spec.answer import AnswerSpec
from potstill.spec.loading import LoadedTask, LoadedWorkflow, load_task
from potstill.spec.mistakes import near_file
from potstill.spec.task import Columns
from potstill.spec.workflow import NodeSpec
from potstill.workflow.types import Fields, Predicted, Text, type_of

ModelLoader = Callable[[Path], Predictor]
TeacherLoader = Callable[[LoadedTask], Predictor]


@runtime_checkable
class Priced(Protocol):
    """A predictor that knows what its answers cost; of others a model's cost nothing."""

    def predict_priced(self, inputs: list[Input], /) -> list[tuple[Prediction, float | None]]:
        """An answer for each input, with the money in USD that it cost; None is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a node's predictor without loading it.

    Attributes:
        answer: the type of its answers.
        reads: one text, or named fields.
        version: twelve digits that change when it does.
        path: the model folder, the workflow file or the task file.
        free: whether its answers cost nothing beside the machine.
    """

    answer: Predicted
    reads: Text | Fields
    version: str
    path: Path
    free: bool


def reads_of(columns: Columns | Mapping[str, Any] | None) -> Text | Fields:
    """What a column map makes of a row: one text, or named fields."""
    known = columns.input if isinstance(columns, Columns) else (columns or {}).get("input")
    return Fields(tuple(known)) if isinstance(known, list) else Text()


def part_file(name: str, loaded: LoadedWorkflow, where: str) -> Path:
    """The file of another workflow, or of a teacher's task.

    Raises:
        SpecError: it does not exist.
    """
    path = loaded.resolve(name)
    if path.is_file():
        return path
    near = near_file(path)
    raise SpecError(
        f"the file {name!r} does not exist.",
        where=where,
        hint=f"Did you mean {near!r}?" if near else f"It is looked for at {path}",
    )


def model_part(spec: NodeSpec, loaded: LoadedWorkflow, where: str) -> Part:
    """What ``model.json`` says of a node's model.

    Raises:
        SpecError: there is no model, or its card is damaged.
    """
    path = loaded.resolve(str(spec.model))
    try:
        folder = find_model(path)
    except ModelError:
        task = loaded.resolve(spec.task) if spec.task else "TASK.yaml"
        raise SpecError(
            f"there is no model at {spec.model!r}.",
            where=where,
            hint=f"Make it with: potstill run {task} --out {path}",
        ) from None
    try:
        card = read_card(folder)
        with reading_card(folder / CARD_FILE):
            answer = type_of(AnswerSpec.of_card(card.document))
    except ModelError as error:
        raise SpecError(error.message, where=where, hint=error.hint) from error
    task_facts = card.document.get("task") or {}
    return Part(
        answer,
        reads_of(task_facts.get("columns")),
        str(card.document["checksum"])[:12],
        folder,
        free=True,
    )


def teacher_part(spec: NodeSpec, loaded: LoadedWorkflow, where: str) -> Part:
    """What a task file says of its teacher.

    Raises:
        SpecError: the file is missing or no task, or it has no teacher.
    """
    task = load_task(part_file(str(spec.teacher), loaded, where), check_files=False)
    if task.task.teacher is None:
        raise SpecError(
            f"the task {spec.teacher!r} has no teacher.",
            where=where,
            hint=f"Give it a 'teacher' section: {task.path}",
        )
    return Part(
        type_of(task.task.answer),
        reads_of(task.task.data.columns),
        digest(task.path.read_bytes())[:12],
        task.path,
        free=False,
    )
