"""Where a stage of a finished run lies, given what a person calls it: ``RUN:stage``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from potstill.data import Example
from potstill.errors import ModelError
from potstill.evaluate.stability import Stability
from potstill.run.recipe.judging import Answered, load_answers
from potstill.run.recipe.places import ANSWERS, BASE, JUDGEMENT, WEIGHTS
from potstill.run.recipe.rows import SOURCES, load_rows
from potstill.spec.recipe import Recipe


@dataclass(frozen=True, slots=True)
class FoundStage:
    """A stage that is done.

    Attributes:
        run: its run folder.
        name: of the stage, or `base`.
        recipe: what was run.
    """

    run: Path
    name: str
    recipe: Recipe

    @property
    def weights(self) -> Path:
        """Its own weights, even where it was refused.

        Raises:
            ModelError: it has left none.
        """
        weights = self.run / self.name / WEIGHTS
        if not weights.is_dir():
            raise ModelError(
                f"the stage {self.name!r} has left no weights.",
                where=str(self.run),
                hint=f"Stages with weights: {', '.join(_with(self.run, WEIGHTS)) or 'none yet'}.",
            )
        return weights

    def judgement(self, name: str) -> Stability:
        """How its weights were judged, by another name.

        Raises:
            ModelError: they were not.
        """
        file = self.run / self.name / JUDGEMENT
        if not file.is_file():
            raise ModelError(
                f"the stage {self.name!r} was not judged.",
                where=str(self.run),
                hint=f"Judged are: {', '.join(_with(self.run, JUDGEMENT)) or 'none yet'}.",
            )
        return Stability.from_json({**orjson.loads(file.read_bytes()), "name": name})

    def answers(self) -> list[Answered]:
        """What its weights wrote when they were judged."""
        return load_answers(self.run / self.name / ANSWERS)

    def questions(self) -> Mapping[str, Example]:
        """What they were asked, by id."""
        rows = load_rows(self.run / SOURCES / f"{self.recipe.judge.data}.jsonl")
        return {row.id: row for row in rows}


def names_stage(text: Path | str) -> bool:
    """Whether a text has the form ``RUN:stage``, rather than that of a path."""
    text = str(text)
    return ":" in text and not Path(text).exists()


def find_stage(text: Path | str) -> FoundStage:
    """The stage that ``RUN:stage`` names.

    Args:
        text: a run folder or the folder of a recipe's runs, of which the newest is taken; a
            colon; a stage or `base`.

    Raises:
        ModelError: there is no such run, or no such stage in it.
    """
    place, colon, name = str(text).rpartition(":")
    if not colon or not place:
        raise ModelError(
            f"{str(text)!r} names no stage.", hint="Write RUN:stage, as in runs/r1-tiny:grpo."
        )
    run = _run(Path(place))
    recipe = Recipe.model_validate_json((run / "spec.json").read_bytes())
    known = [BASE, *(stage.name for stage in recipe.stages)]
    if name not in known:
        raise ModelError(
            f"no stage of this run is called {name!r}.",
            where=str(run),
            hint=f"Stages: {', '.join(known)}.",
        )
    return FoundStage(run, name, recipe)


def _run(path: Path) -> Path:
    """The run folder at a path, or the newest one in it."""
    found = [path / "manifest.json", *path.glob("*/manifest.json")]
    runs = [file for file in found if file.is_file() and _is_recipe(file.parent)]
    if not runs:
        raise ModelError(
            "no run of a recipe is here.",
            where=str(path),
            hint="Make one with: potstill run RECIPE.yaml",
        )
    return max(runs, key=lambda file: file.stat().st_mtime).parent


def _is_recipe(folder: Path) -> bool:
    try:
        spec: Any = orjson.loads((folder / "spec.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(spec, dict) and spec.get("kind") == "recipe"  # type: ignore[reportUnknownMemberType]


def _with(run: Path, file: str) -> list[str]:
    """The stages in whose folder something lies."""
    return sorted(path.parent.name for path in run.glob(f"*/{file}"))
