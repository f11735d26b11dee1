"""A recipe as a Mermaid flowchart: which rows go where, and whose weights each stage starts from."""

from __future__ import annotations

from collections.abc import Iterator

from potstill.spec.recipe import BASE, DistilStage, LearningSpec, Recipe, RejectStage, Stage


def flowchart(recipe: Recipe) -> str:
    """Cylinders are sources, boxes stages that learn, rounded ones stages that leave rows.

    A thin arrow carries rows, a thick one weights, a dotted one the questions that judge. A
    later stage that goes back to the base says so on its arrow.
    """
    ids = {BASE: "base"}
    ids |= {name: f"d{number}" for number, name in enumerate(recipe.data, start=1)}
    ids |= {stage.name: f"s{number}" for number, stage in enumerate(recipe.stages, start=1)}
    base = recipe.base if isinstance(recipe.base, str) else "made here"
    lines = ["flowchart TD", f'    base(["<b>base</b><br/>{_text(base)}"])']
    lines += [f'    {ids[name]}[("{name}")]' for name in recipe.data]
    began = False
    for stage in recipe.stages:
        before, after = ("[", "]") if isinstance(stage, LearningSpec) else ("(", ")")
        lines.append(f'    {ids[stage.name]}{before}"<b>{stage.name}</b><br/>{stage.stage}"{after}')
        lines += _arrows(stage, ids, began=began)
        began = began or (isinstance(stage, LearningSpec) and not isinstance(stage, DistilStage))
    lines += [
        f"    {ids[recipe.judge.data]} -.-> {ids[stage.name]}"
        for stage in recipe.stages
        if isinstance(stage, LearningSpec)
    ]
    return "\n".join(lines) + "\n"


def starts_from(stage: Stage) -> str | None:
    """The name of the weights that a stage starts from; None where it needs none."""
    if isinstance(stage, DistilStage):
        return stage.student if isinstance(stage.student, str) else "made here"
    return getattr(stage, "weights", None)


def _arrows(stage: Stage, ids: dict[str, str], *, began: bool) -> Iterator[str]:
    own = ids[stage.name]
    for read in reads_of(stage):
        yield f"    {ids[read]} --> {own}"
    if isinstance(stage, DistilStage):
        start = starts_from(stage) or ""
        if start in ids:
            yield f"    {ids[start]} ==> {own}"
        else:
            yield f'    {own}b(["<b>student</b><br/>{_text(start)}"]) ==> {own}'
        if stage.on_policy:
            yield f"    {ids[stage.weights]} ==>|scores| {own}"
    elif isinstance(stage, LearningSpec):
        said = "|restarts from base|" if began and stage.weights == BASE else ""
        yield f"    {ids[stage.weights]} ==>{said} {own}"
    elif isinstance(stage, RejectStage):
        yield f"    {ids[stage.weights]} ==>|answers| {own}"


def reads_of(stage: Stage) -> list[str]:
    """The sources and stages whose rows a stage reads."""
    names = [name for key in ("data", "reasoning", "other") for name in getattr(stage, key, ())]
    return list(dict.fromkeys(names))


def _text(text: str) -> str:
    """Text within quotes; Mermaid writes entities with ``#``."""
    for sign, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, entity)
    return text
