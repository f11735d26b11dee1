"""From a path to something that answers: a model, a workflow or recorded answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import ModelError
from potstill.runtime.finding import find_model

if TYPE_CHECKING:
    from potstill.data import Predictor
    from potstill.runtime import Loaded
    from potstill.spec.loading import LoadedTask
    from potstill.workflow import Workflow


def load(
    path: Path | str, *, overrides: Sequence[str] = (), workers: int | None = None
) -> Loaded | Workflow:
    """The model in a folder, or the workflow of a file.

    Args:
        path: a model folder, a run folder, the folder of a task's runs (its newest model), or
            a workflow file.
        overrides: ``path=value`` settings that replace those of a workflow file.
        workers: threads for several inputs; None is one for each core.

    Raises:
        ModelError: there is none, or it is damaged.
        SpecError: the workflow cannot be used.
    """
    path = Path(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        from potstill.workflow import Workflow

        return Workflow.load(path, overrides=overrides, load_teacher=teacher, workers=workers)
    from potstill.runtime import load_model

    return load_model(find_model(path), workers=workers)


def teacher(loaded: LoadedTask) -> Predictor:
    """The teacher of a task as a predictor: what a workflow's teacher node asks.

    Raises:
        TeacherError: the task has none, or it cannot be asked.
    """
    from potstill.api.making import RUNS
    from potstill.run.asked import teacher_predictor

    return teacher_predictor(loaded, runs=RUNS)


def must_exist(path: Path) -> None:
    """Refuse a path that leads nowhere.

    Raises:
        ModelError: there is nothing at the path.
    """
    if not path.exists():
        raise ModelError(
            "no such model.",
            where=str(path),
            hint="Name a model folder, a run folder, a workflow or a file of recorded answers; a "
            f"model is made with: potstill run TASK.yaml --out {path}",
        )
