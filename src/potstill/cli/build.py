"""The verbs that make a model: init, check, plan, run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from potstill.cli import terminal
from potstill.errors import EXIT_GATE, SpecError

if TYPE_CHECKING:
    from potstill.api import CheckResult
    from potstill.workflow import Graph

TaskFile = Annotated[Path, typer.Argument(help="Task file (YAML).", show_default=False)]
RunFile = Annotated[Path, typer.Argument(help="Task or recipe file (YAML).", show_default=False)]
SpecFile = Annotated[
    Path, typer.Argument(help="Task, workflow or recipe file (YAML).", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors and warnings only on stderr.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Replace a setting, e.g. student.base=mpnet-base."
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(
        min=0.0, help="Most money that the task's teachers may cost, earlier runs included."
    ),
]
Prices = Annotated[
    Path | None, typer.Option(help="Price file that goes before the one that ships.")
]


def init(
    path: Annotated[Path, typer.Argument(help="Where to write the task file.")] = Path("task.yaml"),
    name: Annotated[
        str | None, typer.Option(help="Name of the task; default: that of the file.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--type", help="classification, multilabel, extraction or generation.")
    ] = "classification",
    gold: Annotated[
        Path | None,
        typer.Option(help="A file with a person's answers, to take the labels or fields from."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented task file to start from.

    Example: potstill init task.yaml --gold gold.csv
    """
    from potstill.run.starting import start_task

    if path.exists() and not force:
        raise SpecError(
            "the file exists already.", where=str(path), hint="Use --force to overwrite it."
        )
    start_task(path, name=name, kind=kind, gold=gold)
    terminal.say(f"wrote {path}")
    terminal.next_step(f"edit it, then: potstill check {path}")


def check(
    path: SpecFile,
    settings: Settings = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Read a task, a workflow or a recipe with all that it names, and report what is wrong.

    Of a task it says what `run` would do, of a recipe what every stage would read and cost;
    workflows and recipes it draws, as Mermaid.

    Example: potstill check examples/complaints/task.yaml
    """
    from potstill import api

    result = api.check(path, overrides=settings or (), runs=runs)
    if isinstance(result, api.CheckResult):
        _tell_task(path, result, as_json=as_json)
        return
    from potstill.cli.recipes import print_check
    from potstill.run.recipe.checking import RecipeCheck

    if isinstance(result, RecipeCheck):
        if as_json:
            terminal.print_json(result.to_json())
        else:
            print_check(path, result)
    else:
        _tell_workflow(path, result, as_json=as_json)


def _tell_workflow(path: Path, graph: Graph, *, as_json: bool) -> None:
    from potstill.workflow.mermaid import mermaid

    drawn = mermaid(graph)
    if as_json:
        nodes = [
            {
                "node": node.name,
                "kind": node.spec.part,
                "output": str(node.kind),
                "needs": sorted(node.needs),
            }
            for node in graph.nodes
        ]
        facts = {
            "workflow": graph.loaded.workflow.name,
            "version": graph.version,
            "answer": str(graph.answer),
            "labels": list(getattr(graph.answer, "labels", ())),
            "nodes": nodes,
            "warnings": list(graph.warnings),
            "mermaid": drawn,
        }
        terminal.print_json(facts)
        return
    terminal.print_table(
        ["node", "is", "needs", "output"],
        [
            (
                node.name,
                node.spec.part,
                ", ".join(sorted(node.needs)),
                terminal.short(str(node.kind)),
            )
            for node in graph.nodes
        ],
        text_columns=4,
    )
    print(drawn)
    for warning in graph.warnings:
        terminal.warn(warning)
    terminal.next_step(f"potstill evaluate {path} --data gold.jsonl")


def _tell_task(path: Path, result: CheckResult, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(asdict(result))
        return
    rows = [(role, f"{count:,}") for role, count in result.rows.items()]
    terminal.print_table(["rows", ""], rows)
    if result.labels:
        terminal.print_table(
            [result.kind, "a person's rows"],
            [(name, f"{count:,}") for name, count in result.labels.items()],
        )
    if result.answered:
        terminal.print_table(
            ["teacher", "answers"], [(name, f"{n:,}") for name, n in result.answered.items()]
        )
    if result.rejected:
        terminal.print_table(
            ["rejected because", "rows"], [(name, f"{n:,}") for name, n in result.rejected.items()]
        )
    print("run would:")
    for number, step in enumerate(result.steps, start=1):
        print(f"  {number}. {step}")
    for warning in result.warnings:
        terminal.warn(warning)
    terminal.next_step(f"potstill run {path}")


def plan(
    path: TaskFile,
    settings: Settings = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    pilot: Annotated[
        int, typer.Option(min=0, help="Ask this many rows for real, to narrow the estimate.")
    ] = 0,
    budget_usd: Budget = None,
    prices: Prices = None,
    as_json: Json = False,
) -> None:
    """Estimate the calls, tokens, money and time that `run` needs of a live teacher.

    Example: potstill plan task.yaml --pilot 20
    """
    from potstill import api
    from potstill.cli.tables import print_plan

    result = api.plan(
        path,
        overrides=settings or (),
        runs=runs,
        pilot=pilot,
        budget_usd=budget_usd,
        prices=prices,
    )
    if as_json:
        terminal.print_json(result.to_json())
        return
    print_plan(result)
    if not result.pilot:
        terminal.next_step(f"measure instead of guessing: potstill plan {path} --pilot 20")
    else:
        terminal.next_step(f"potstill run {path}")


def run(
    path: RunFile,
    settings: Settings = None,
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    out: Annotated[
        Path | None, typer.Option(help="Also copy the finished model folder here.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    restart: Annotated[
        str | None, typer.Option("--from", help="Do this stage and the following ones again.")
    ] = None,
    budget_usd: Budget = None,
    prices: Prices = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Distil a task into a model, or do a recipe's stages; running it again resumes.

    Stages of a task: read, label, filter, train, export, evaluate, report; with a live teacher also
    audition, synthesise, ask and rounds. Of a recipe: read, base, its own names, report.
    Exit codes: 0 done, 1 an acceptance gate failed, 2 a mistake, 3 budget reached, 130 interrupted.

    Example: potstill run examples/complaints/task.yaml --set student.base=mpnet-base
    """
    from potstill import api
    from potstill.cli.progress import shown
    from potstill.cli.recipes import print_recipe
    from potstill.cli.tables import print_report

    terminal.be_quiet(quiet)
    with shown(quiet=quiet) as listener:
        outcome = api.run(
            path,
            overrides=settings or (),
            runs=runs,
            until=until,
            restart=restart,
            out=out,
            budget_usd=budget_usd,
            prices=prices,
            listener=listener,
        )
    model = out if out is not None and outcome.model else outcome.model
    if as_json:
        terminal.print_json(
            {
                "run": str(outcome.folder),
                "model": str(model) if model else None,
                "report": str(outcome.folder / "report.html") if outcome.report else None,
                "gates_passed": outcome.gates_passed,
                "seconds": dict(outcome.seconds),
                "results": outcome.report,
            }
        )
    elif outcome.report is not None and outcome.report.get("kind") == "recipe":
        print_recipe(outcome.report, outcome.folder)
    elif outcome.report is not None:
        print_report(outcome.report, outcome.folder)
    if outcome.report is None:
        terminal.next_step(f"potstill run {path}")
    elif not outcome.gates_passed:
        terminal.next_step(f"read {outcome.folder / 'report.html'}: an acceptance gate failed")
        raise typer.Exit(EXIT_GATE)
    elif outcome.report.get("kind") == "recipe":
        last = outcome.model.parent.name if outcome.model else "base"
        terminal.next_step(f"potstill compare {outcome.folder}:{last} {outcome.folder}:base")
    else:
        sample = """echo '{"text": "…"}' | potstill predict"""
        terminal.next_step(f"{sample} {model} -")
