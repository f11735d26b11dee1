"""`run_task`: distil a task from its file to a report, or go on where an earlier run stopped."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.data.files import writing_folder
from potstill.errors import SpecError, StorageError
from potstill.run import judge
from potstill.run.events import Listener, ignore
from potstill.run.folder import RunFolder, folder_of
from potstill.run.stages import Stages
from potstill.run.starts import resolve_starts
from potstill.run.teaching import LEDGER, Teaching
from potstill.spec import LoadedTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        folder: the run folder.
        model: the model folder; None when the run stopped before `export`.
        report: the content of ``report.json``; None when it stopped before `report`.
        gates_passed: whether every acceptance gate was met; None without a report.
        seconds: time spent in each stage, when it was done.
    """

    folder: Path
    model: Path | None
    report: Mapping[str, Any] | None
    gates_passed: bool | None
    seconds: Mapping[str, float]


def run_task(
    loaded: LoadedTask,
    *,
    runs: Path,
    until: str | None = None,
    restart: str | None = None,
    out: Path | None = None,
    budget_usd: float | None = None,
    prices: Path | None = None,
    listener: Listener = ignore,
) -> Outcome:
    """Distil a task, or resume where an earlier run of the same task stopped.

    Args:
        loaded: the task.
        runs: folder that holds all runs.
        until: the last stage to do.
        restart: the first stage to do again, though nothing changed.
        out: a folder that receives a copy of the finished model.
        budget_usd: the most that the teachers of this task may cost in all, earlier runs
            included; None is no cap.
        prices: a price file that goes before the one that ships.
        listener: receives events as they happen.

    Raises:
        BudgetReached: the next call could pass the cap; the same command goes on later.
        PotstillError: any mistake in the task, the data or the environment; the stages that
            were finished stay finished.
    """
    if out is not None:
        _check_replaceable(out)
    resolve_starts(loaded)
    spec = loaded.task.model_dump(mode="json")
    folder = RunFolder(folder_of(loaded, runs), listener)
    teaching = Teaching(loaded, folder.path.parent / LEDGER, budget_usd, prices)
    with folder.opened(spec, loaded.task.seed), closing(teaching):
        work = Stages(loaded, folder, teaching)
        for name in (until, restart):
            _check_stage(name, work.order)
        if restart is not None:
            work.forget_from(restart)
        for stage in work.order:
            getattr(work, stage)()
            if stage == until:
                break
        if out is not None and work.model.exists():
            with writing_folder(out) as partial:
                shutil.copytree(work.model, partial, dirs_exist_ok=True)
    seconds = {name: stage["seconds"] for name, stage in folder.stages.items()}
    finished = "report" in seconds and until in (None, "report")
    report = judge.load_report(folder.path) if finished else None
    return Outcome(
        folder=folder.path,
        model=work.model if work.model.exists() else None,
        report=report,
        gates_passed=all(gate["passed"] for gate in report["gates"]) if report else None,
        seconds=seconds,
    )


def _check_stage(name: str | None, known: Sequence[str]) -> None:
    if name is not None and name not in known:
        raise SpecError(
            f"no stage of this task is called {name!r}.", hint=f"Stages: {', '.join(known)}."
        )


def _check_replaceable(out: Path) -> None:
    """Refuse to copy a model over anything but a model."""
    if out.is_dir() and (not any(out.iterdir()) or (out / "model.json").is_file()):
        return
    if out.exists():
        raise StorageError(
            "this is no model folder, and what it holds would be lost.",
            where=str(out),
            hint="Name a folder that is new, empty or holds a model.",
        )
