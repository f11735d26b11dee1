"""The verbs that make a model: check, plan, run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.spec import LoadedTask, load_task
from potstill.spec.loading import kind_of, load_recipe

if TYPE_CHECKING:
    from potstill.run.distil import Outcome
    from potstill.run.events import Listener
    from potstill.run.planning import Plan
    from potstill.run.recipe.checking import RecipeCheck
    from potstill.workflow import Graph

RUNS = Path("runs")


def run(
    task: Path | str | LoadedTask,
    *,
    overrides: Sequence[str] = (),
    runs: Path = RUNS,
    until: str | None = None,
    restart: str | None = None,
    out: Path | None = None,
    budget_usd: float | None = None,
    prices: Path | None = None,
    listener: Listener | None = None,
) -> Outcome:
    """Distil a task into a model folder, or do the stages of a recipe; running it again resumes.

    Args:
        task: a task file, or one that is loaded; or a recipe file.
        overrides: ``path=value`` settings that replace those of the file.
        runs: folder of all runs.
        until: last stage to do.
        restart: first stage to do again.
        out: folder that receives a copy of the finished model.
        budget_usd: the most that the task's teachers may cost in all, earlier runs included.
        prices: a price file that goes before the one that ships.
        listener: receives events while the run works.

    Raises:
        BudgetReached: the next call could pass the budget; running again goes on.
        PotstillError: any mistake in the task, the data or the environment.
    """
    from potstill.run.events import ignore

    if not isinstance(task, LoadedTask) and kind_of(Path(task)) == "recipe":
        from potstill.run.recipe.cooking import run_recipe

        return run_recipe(
            load_recipe(Path(task), overrides),
            runs=runs,
            until=until,
            restart=restart,
            out=out,
            listener=listener or ignore,
        )
    from potstill.run.distil import run_task

    loaded = task if isinstance(task, LoadedTask) else load_task(Path(task), overrides)
    return run_task(
        loaded,
        runs=runs,
        until=until,
        restart=restart,
        out=out,
        budget_usd=budget_usd,
        prices=prices,
        listener=listener or ignore,
    )


def plan(
    task: Path | str | LoadedTask,
    *,
    overrides: Sequence[str] = (),
    runs: Path = RUNS,
    pilot: int = 0,
    budget_usd: float | None = None,
    prices: Path | None = None,
) -> Plan:
    """Estimate what `run` would ask of a live teacher, and what that costs.

    Args:
        task: a task file, or one that is loaded.
        overrides: ``path=value`` settings that replace those of the file.
        runs: folder of all runs, where the task's ledger lies.
        pilot: rows to ask for real, so that the range becomes narrow; the run does not pay
            for them again.
        budget_usd: the most that the task's teachers may cost in all, the pilot included.
        prices: a price file that goes before the one that ships.

    Raises:
        TeacherError: the task has no live teacher, or it cannot be asked.
        PotstillError: any mistake in the task or the data.
    """
    from potstill.run.planning import plan_task

    loaded = task if isinstance(task, LoadedTask) else load_task(Path(task), overrides)
    return plan_task(loaded, runs=runs, pilot=pilot, budget_usd=budget_usd, prices=prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What `check` found.

    Attributes:
        task: the task's name.
        rows: rows by role: unlabeled, train, dev, test.
        kind: what an answer consists of: ``label``, or ``field``.
        labels: rows with a person's answer, for each label or field.
        answered: answers by teacher among the unlabelled rows.
        rejected: rows set aside, by cause.
        warnings: what a person should look at before paying.
        steps: what `run` would do, in order.
    """

    task: str
    rows: Mapping[str, int]
    kind: str
    labels: Mapping[str, int]
    answered: Mapping[str, int]
    rejected: Mapping[str, int]
    warnings: Sequence[str] = field(default_factory=list)
    steps: Sequence[str] = field(default_factory=list)


def check(
    path: Path | str, *, overrides: Sequence[str] = (), runs: Path = RUNS
) -> CheckResult | Graph | RecipeCheck:
    """Read a task and all its data, a workflow and all its parts, or a recipe and its sources.

    Args:
        path: the file.
        overrides: ``path=value`` settings that replace those of the file.
        runs: folder of all runs, where measured speeds of a recipe may lie.

    Returns:
        For a task what `run` would do; for a workflow its typed graph; for a recipe what every
        stage would read and do.

    Raises:
        PotstillError: the task or the recipe cannot be run at all, or the workflow cannot be
            loaded.
    """
    kind = kind_of(Path(path))
    if kind == "recipe":
        from potstill.run.recipe.checking import check_recipe

        return check_recipe(load_recipe(Path(path), overrides), runs=runs)
    if kind == "workflow":
        from potstill.spec.loading import load_workflow
        from potstill.workflow import read_graph

        return read_graph(load_workflow(Path(path), overrides))
    from potstill.run.checking import check_task

    return CheckResult(**check_task(load_task(Path(path), overrides)))
