"""Where everything of a recipe's run lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from potstill.data.files import write_json
from potstill.errors import PotstillError
from potstill.run.folder import RunFolder
from potstill.spec.loading import LoadedRecipe
from potstill.spec.recipe import BASE, Recipe

ROWS = "rows.jsonl"
SAMPLES = "samples.jsonl"
ANSWERS = "answers.jsonl"
JUDGEMENT = "judgement.json"
WEIGHTS = "weights"
CHECKPOINTS = "checkpoints"
_CHOSEN = "weights.json"


@dataclass(frozen=True)
class Places:
    """A recipe and its run folder.

    ``STAGE/`` holds what a stage left: ``rows.jsonl`` (rows for later stages), ``samples.jsonl``
    (what rejection sampling drew, right or wrong), ``weights/`` (a model as transformers saves
    it), ``weights.json`` (whose weights later stages go on from), ``answers.jsonl`` and
    ``judgement.json`` (how it was judged).

    Attributes:
        loaded: the recipe.
        folder: of the run.
    """

    loaded: LoadedRecipe
    folder: RunFolder

    @property
    def recipe(self) -> Recipe:
        """What the file says."""
        return self.loaded.recipe

    def of(self, stage: str) -> Path:
        """The folder of a stage, or of the base."""
        return self.folder.path / stage

    def rows(self, stage: str) -> Path:
        """The rows that a stage left."""
        return self.of(stage) / ROWS

    def weights(self, stage: str) -> Path:
        """The weights that go by the name of a stage.

        Its own, or where it was refused those that it started from.
        """
        file = self.of(stage) / _CHOSEN
        try:
            chosen = orjson.loads(file.read_bytes())["weights"]
        except (OSError, orjson.JSONDecodeError, KeyError) as error:
            raise PotstillError(
                f"the stage {stage!r} has left no weights.",
                where=str(file),
                hint=f"Run the recipe again from it: --from {stage}",
            ) from error
        return self.of(chosen) / WEIGHTS

    def choose(self, stage: str, chosen: str) -> Path:
        """Remember whose weights go by the name of a stage.

        Args:
            stage: or `base`.
            chosen: the stage whose weights these are, itself as a rule.

        Returns:
            The file that remembers it.
        """
        file = self.of(stage) / _CHOSEN
        write_json(file, {"weights": chosen})
        return file

    def owner(self, stage: str) -> str:
        """The stage whose own weights go by the name of a stage."""
        return self.weights(stage).parent.name

    def judgement(self, stage: str) -> dict[str, Any] | None:
        """How the weights were judged that go by the name of a stage; None where they were not."""
        file = self.of(self.owner(stage)) / JUDGEMENT
        return orjson.loads(file.read_bytes()) if file.is_file() else None


def start_name(loaded: LoadedRecipe, name: str) -> str:
    """A base as `potstill.train.causal.start` takes it: a folder or file from the recipe's own."""
    near = loaded.resolve(name)
    return str(near) if near.exists() else name


__all__ = [
    "ANSWERS",
    "BASE",
    "CHECKPOINTS",
    "JUDGEMENT",
    "ROWS",
    "SAMPLES",
    "WEIGHTS",
    "Places",
    "start_name",
]
