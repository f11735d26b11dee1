"""What each stage of a recipe would read and do: rows, steps, completions, tokens, time.

Rows of sources are counted. What a stage leaves that has not run is known as an upper bound
alone, and so is all that follows from it; every figure says which of the two it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from potstill.data import Example, Text
from potstill.run.recipe.flowchart import reads_of, starts_from
from potstill.spec.loading import LoadedRecipe
from potstill.spec.recipe import (
    BASE,
    ColdStartStage,
    DistilStage,
    GrpoStage,
    LearningSpec,
    MixStage,
    Recipe,
    RejectStage,
    Stage,
)

_SIZE_KEYS = ("name", "data", "epochs", "steps", "samples", "keep", "accept", "max_drop", "weights")
"""Settings that change how much is done, not how fast a step is."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows there are.

    Attributes:
        count: of them.
        exact: False is at most so many.
    """

    count: int
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What a stage would do.

    Attributes:
        name: of the stage, or `base`.
        kind: as the recipe calls it.
        start: whose weights it starts from; None where it needs none.
        reads: sources and stages.
        rows: that it reads; with `exact` False at most so many.
        exact: whether the rows are counted.
        steps: optimiser steps, None where it takes none.
        completions: that it writes.
        tokens: that it writes, at most; where it learns without writing those that it reads, as
            an earlier run counted them; None is unknown.
        judged: completions by which its weights are judged.
        seconds: estimated, judging included; None is unknown.
    """

    name: str
    kind: str
    start: str | None
    reads: Sequence[str]
    rows: int
    exact: bool
    steps: int | None = None
    completions: int = 0
    tokens: int | None = 0
    judged: int = 0
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def plan_stages(
    loaded: LoadedRecipe,
    rows: Mapping[str, Sequence[Example]],
    contaminated: Mapping[str, int],
    runs: Path,
) -> tuple[list[StagePlan], str | None]:
    """The plan of the base and of every stage.

    Args:
        loaded: the recipe.
        rows: of all sources.
        contaminated: rows of a source that no stage will learn.
        runs: folder of all runs, where a measured speed may lie.

    Returns:
        The plans, and the run folder whose speeds were taken; None where there is none.
    """
    recipe = loaded.recipe
    known = {name: Rows(len(found) - contaminated.get(name, 0)) for name, found in rows.items()}
    speeds = Speeds.newest(recipe, runs)
    asked = min(len(rows[recipe.judge.data]), recipe.judge.rows or len(rows[recipe.judge.data]))
    judged = asked * recipe.judge.samples
    plans = [
        StagePlan(
            name=BASE,
            kind=BASE,
            start=None,
            reads=(),
            rows=0,
            exact=True,
            judged=judged,
            seconds=speeds.seconds(BASE, None, 0, 0, judged),
        )
    ]
    for stage in recipe.stages:
        read = [known[name] for name in reads_of(stage)]
        total = Rows(sum(one.count for one in read), all(one.exact for one in read))
        steps, completions, tokens = _work(stage, total.count)
        learns = isinstance(stage, LearningSpec)
        if learns and not completions:
            tokens = speeds.tokens(stage, total.count)
        if not learns:
            known[stage.name] = _left(stage, rows, known, total)
        plans.append(
            StagePlan(
                name=stage.name,
                kind=stage.stage,
                start=starts_from(stage),
                reads=reads_of(stage),
                rows=total.count,
                exact=total.exact,
                steps=steps,
                completions=completions,
                tokens=tokens,
                judged=judged if learns else 0,
                seconds=speeds.seconds(
                    stage.name, stage, steps or 0, completions, judged if learns else 0
                ),
            )
        )
    return plans, str(speeds.folder) if speeds.folder else None


def _work(stage: Stage, rows: int) -> tuple[int | None, int, int]:
    """Optimiser steps, completions, and their tokens at most."""
    if isinstance(stage, GrpoStage):
        steps = stage.steps or max(1, math.ceil(stage.epochs * (rows // stage.questions)))
        completions = steps * stage.questions * stage.group + rows * stage.probe
        return steps, completions, completions * stage.max_new_tokens
    if isinstance(stage, RejectStage):
        completions = rows * stage.samples
        return None, completions, completions * stage.max_new_tokens
    if isinstance(stage, LearningSpec):
        steps = math.ceil(stage.epochs * math.ceil(rows / stage.batch_size))
        if isinstance(stage, DistilStage) and stage.on_policy:
            return steps, steps * stage.batch_size, steps * stage.batch_size * stage.max_tokens
        return steps, 0, 0
    return None, 0, 0


def _left(
    stage: Stage, rows: Mapping[str, Sequence[Example]], known: Mapping[str, Rows], total: Rows
) -> Rows:
    """The rows that a stage leaves."""
    if isinstance(stage, ColdStartStage):
        useful = {
            row.text
            for name in stage.data
            for row in rows.get(name, ())
            if row.reasoning and isinstance(row.target, Text)
        }
        return Rows(min(len(useful), total.count), total.exact)
    if isinstance(stage, RejectStage):
        return Rows(total.count * min(stage.keep, stage.samples), exact=False)
    assert isinstance(stage, MixStage)
    reasoning = sum(known[name].count for name in stage.reasoning)
    other = sum(known[name].count for name in stage.other)
    if other:
        other = min(other, math.ceil(reasoning / stage.ratio))
    return Rows(reasoning + other, exact=False)


@dataclass(frozen=True, slots=True)
class Speeds:
    """How long stages took in an earlier run of the same recipe on this machine.

    Attributes:
        folder: of the run; None where there is none.
        stages: of its manifest.
        spec: of its recipe.
        recipe: that is planned.
    """

    folder: Path | None
    stages: Mapping[str, Any]
    spec: Mapping[str, Any]
    recipe: Recipe

    @classmethod
    def newest(cls, recipe: Recipe, runs: Path) -> Speeds:
        """Those of the newest run of a recipe of this name, base and template."""
        found = sorted(
            (runs / recipe.name).glob("*/manifest.json"), key=lambda file: -file.stat().st_mtime
        )
        wanted = recipe.model_dump(mode="json")
        for file in found:
            try:
                spec = orjson.loads((file.parent / "spec.json").read_bytes())
                stages = orjson.loads(file.read_bytes())["stages"]
            except (OSError, ValueError, KeyError):
                continue
            if all(spec.get(key) == wanted[key] for key in ("base", "template")):
                return cls(file.parent, stages, spec, recipe)
        return cls(None, {}, {}, recipe)

    def seconds(
        self, name: str, stage: Stage | None, steps: int, completions: int, judged: int
    ) -> float | None:
        """Estimated seconds of a stage and its judgement; None is unknown."""
        done = self.stages.get(name)
        if done is None or (stage is not None and not self._alike(stage)):
            return None
        facts, seconds = done["facts"], done["seconds"]
        if isinstance(stage, RejectStage):
            sampled = facts.get("table", {}).get("sampled")
            seconds = seconds / sampled * completions if sampled else None
        elif isinstance(stage, LearningSpec):
            seconds = seconds / facts["steps"] * steps if facts.get("steps") else None
        return None if seconds is None else self._with_judgement(name, seconds, judged)

    def tokens(self, stage: LearningSpec, rows: int) -> int | None:
        """Tokens that a stage would read in all epochs, by what it read a row before."""
        facts = self.stages.get(stage.name, {}).get("facts", {})
        read, learnt = facts.get("notes", {}).get("tokens"), facts.get("rows")
        return round(read / learnt * rows * stage.epochs) if read and learnt else None

    def _with_judgement(self, name: str, seconds: float, judged: int) -> float | None:
        if not judged:
            return seconds
        done = self.stages.get(f"{name}.judge")
        limit = self.recipe.judge.max_new_tokens
        if done is None or self.spec["judge"]["max_new_tokens"] != limit:
            return None
        return seconds + done["seconds"] / done["facts"]["judgement"]["samples"] * judged

    def _alike(self, stage: Stage) -> bool:
        """Whether a step of the stage was then what it is now."""
        wanted = stage.model_dump(mode="json", exclude=set(_SIZE_KEYS))
        return any(
            then["name"] == stage.name
            and {key: value for key, value in then.items() if key not in _SIZE_KEYS} == wanted
            for then in self.spec["stages"]
        )


__all__ = ["Rows", "Speeds", "StagePlan", "plan_stages"]
