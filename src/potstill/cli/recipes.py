"""Tables of recipes: what they would do, what their stages left, and how two of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.cli import terminal

if TYPE_CHECKING:
    from potstill.run.recipe.asking import Asked
    from potstill.run.recipe.checking import RecipeCheck
    from potstill.run.recipe.comparing import StageComparison
    from potstill.run.recipe.estimating import StagePlan


def print_check(path: Path, found: RecipeCheck) -> None:
    """What every stage would read and do, the flowchart, and the warnings."""
    print(", ".join(f"{count:,} {name}" for name, count in found.rows.items()))
    terminal.print_table(
        ["stage", "is", "starts from", "reads", "rows", "steps", "completions", "tokens", "time"],
        [_plan_row(stage) for stage in found.stages],
        text_columns=4,
    )
    judged = found.stages[0].judged
    print(
        f"≤ is at most, ≈ by an earlier run; weights are judged by {judged:,} completions on {found.judge!r} each"
    )
    known = [stage.seconds for stage in found.stages if stage.seconds is not None]
    if found.measured is None:
        print("time: unknown, since no run of this recipe has measured it here")
    else:
        missing = len(found.stages) - len(known)
        more = f", and {missing} stages of unknown time" if missing else ""
        print(f"time: {_time(sum(known))} in all{more}; speeds were measured in {found.measured}")
    print(found.mermaid)
    for warning in found.warnings:
        terminal.warn(warning)
    terminal.next_step(f"potstill run {path}")


def _plan_row(stage: StagePlan) -> list[str]:
    most = "" if stage.exact else "≤ "
    written = stage.completions
    return [
        stage.name,
        stage.kind,
        stage.start or "",
        ", ".join(stage.reads),
        f"{most}{stage.rows:,}" if stage.reads else "",
        "" if stage.steps is None else f"{most}{stage.steps:,}",
        f"{most}{written:,}" if written else "",
        _tokens(stage),
        "unknown" if stage.seconds is None else f"{most}{_time(stage.seconds)}",
    ]


def _tokens(stage: StagePlan) -> str:
    if stage.tokens is None:
        return "unknown"
    if not stage.tokens:
        return ""
    return f"{'≤' if stage.completions or not stage.exact else '≈'} {stage.tokens:,}"


def _time(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200.0 else f"{seconds / 3600:,.1f} h"


def print_recipe(report: Mapping[str, Any], folder: Path) -> None:
    """The stages of a recipe, one a row."""
    from potstill.evaluate.recipe_words import HEAD, cells, gate_words

    terminal.print_table(HEAD, [cells(entry) for entry in report["stages"]])
    for gate in report["gates"]:
        print(f"gate {gate_words(gate)}")
    print(f"report: {folder / 'report.html'}")


def print_stages_compared(found: StageComparison) -> None:
    """Differences with intervals, the finding, and answers that are right in one alone."""
    from potstill.evaluate.stability_words import comparison_table, comparison_words

    header, rows = comparison_table(found.comparison)
    terminal.print_table(header, rows)
    print(comparison_words(found.comparison))
    first, second = found.comparison.names
    for changed, title in ((found.better, "better"), (found.worse, "worse")):
        if changed:
            terminal.print_table(
                [f"{first} is {title}", "wanted", first, second, f"right: {first}", second],
                [
                    (
                        terminal.short(one.question, 40),
                        terminal.short(one.wanted, 20),
                        terminal.short(_end(one.first), 40),
                        terminal.short(_end(one.second), 40),
                        f"{one.first_right:.0%}",
                        f"{one.second_right:.0%}",
                    )
                    for one in changed
                ],
                text_columns=4,
            )
    for warning in found.warnings:
        terminal.warn(warning)


def print_asked(found: Asked) -> None:
    """Accuracy, agreement and lengths, with intervals."""
    from potstill.evaluate.stability_words import stability_table, stability_words

    header, rows = stability_table([found.stability])
    terminal.print_table(header, [*rows, ["Milliseconds an answer", f"{found.ms:,.1f}"]])
    for sentence in stability_words(found.stability):
        print(sentence)
    for note in found.notes:
        terminal.say(f"note: {note}")


def _end(text: str) -> str:
    """The last line of a completion: its answer, as a rule."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
