"""Beside whose weights a stage's are judged: those that it started from, or a student's teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from potstill.spec.recipe import (
    BASE,
    DistilStage,
    LearningSpec,
    Recipe,
    RejectStage,
    Stage,
    StageSpec,
)

Role = Literal["start", "teacher", "base"]
"""What the other weights are to a stage: where it began, who taught it, or neither."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Weights beside which a stage is judged.

    Attributes:
        name: a stage, or `base`.
        role: what it is to the stage.
    """

    name: str
    role: Role


def rivals_of(recipe: Recipe, stage: StageSpec) -> list[Rival]:
    """Beside whose weights a stage is judged; the first one counts for `max_drop`.

    A student starts from weights of another size, mostly untrained, so that its start says
    nothing, unless the start is an earlier stage's. What it is for is to be as good as its teacher: the stage that its `weights` name, or
    the one that wrote its rows. A student of the base's own kind is judged beside the base too:
    that is what it would have been without.

    Args:
        recipe: all stages.
        stage: that leaves weights.
    """
    if not isinstance(stage, DistilStage):
        return [Rival(stage.weights if isinstance(stage, LearningSpec) else BASE, "start")]
    teacher = stage.weights if stage.on_policy or stage.weights != BASE else _writer(recipe, stage)
    found = [Rival(teacher, "teacher")] if teacher else []
    if isinstance(stage.student, str) and stage.student in recipe.with_weights:
        begun = Rival(stage.student, "start")
        return [begun, *(one for one in found if one.name != begun.name)]
    if stage.student == recipe.base:
        return [*found, Rival(BASE, "start")] if teacher != BASE else found
    return found or [Rival(BASE, "base")]


def _writer(recipe: Recipe, stage: Stage) -> str | None:
    """Whose answers a stage learns: those of the last stage of rejection sampling behind it."""
    stages = {one.name: one for one in recipe.stages}
    behind = set(_behind(stage, stages))
    writers = [
        one.weights for one in recipe.stages if isinstance(one, RejectStage) and one.name in behind
    ]
    return writers[-1] if writers else None


def _behind(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[str]:
    """The stages whose rows a stage reads, and those behind them."""
    for key in ("data", "reasoning", "other"):
        for name in getattr(stage, key, ()):
            if name in stages:
                yield name
                yield from _behind(stages[name], stages)


__all__ = ["Rival", "Role", "rivals_of"]
