"""`check` of a recipe: what every stage would read and do, and what a person should look at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from potstill.data import Example, Text
from potstill.errors import MissingExtraError, PotstillError, SpecError
from potstill.evaluate.intervals import FEW_ROWS
from potstill.run.recipe.estimating import StagePlan, plan_stages
from potstill.run.recipe.flowchart import flowchart, reads_of
from potstill.run.recipe.places import start_name
from potstill.run.recipe.rows import read_sources
from potstill.run.recipe.untested import contamination
from potstill.spec.loading import LoadedRecipe
from potstill.spec.recipe import (
    ColdStartStage,
    DistilStage,
    GrpoStage,
    PreferStage,
    Recipe,
    RejectStage,
    ScratchSpec,
    SftStage,
    Verifier,
)
from potstill.verify import verifier_of

_ROWS_FOR_A_CLAIM = 100
"""Questions below which an interval of an accuracy is wider than ten points to either side."""
_TRIED = 200
"""Answers of which it is tried whether their verifier reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeCheck:
    """What `check` found of a recipe.

    Attributes:
        recipe: its name.
        rows: of every source.
        judge: name of the set that judges.
        stages: the base first.
        warnings: what a person should look at before any time is spent.
        measured: the run whose speeds were taken; None where none is at hand.
        mermaid: the flowchart.
    """

    recipe: str
    rows: Mapping[str, int]
    judge: str
    stages: Sequence[StagePlan]
    warnings: Sequence[str]
    measured: str | None
    mermaid: str

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def check_recipe(loaded: LoadedRecipe, *, runs: Path = Path("runs")) -> RecipeCheck:
    """Read a recipe and all its sources; nothing is changed and no weights are loaded.

    Args:
        loaded: the recipe.
        runs: folder of all runs, where measured speeds may lie.

    Raises:
        PotstillError: a source cannot be read, so that nothing can be said.
    """
    recipe = loaded.recipe
    rows = read_sources(loaded)
    sources = [name for stage in recipe.stages for name in reads_of(stage) if name in recipe.data]
    held = contamination(rows, recipe.judge.data, dict.fromkeys(sources))
    warnings = [
        *unbuilt(recipe),
        *_of_judge(recipe, rows[recipe.judge.data]),
        *_of_questions(recipe, rows),
        *_of_thoughts(recipe, rows),
        *_of_contamination(recipe, held),
        *(
            f"the source {name!r} is read by no stage"
            for name in recipe.data
            if name not in (*sources, recipe.judge.data)
        ),
        *_of_room(recipe),
        *_of_template(loaded),
    ]
    stages, measured = plan_stages(
        loaded, rows, {name: len(lines) for name, lines in held.items()}, runs
    )
    return RecipeCheck(
        recipe=recipe.name,
        rows={name: len(found) for name, found in rows.items()},
        judge=recipe.judge.data,
        stages=stages,
        warnings=warnings,
        measured=measured,
        mermaid=flowchart(recipe),
    )


def unbuilt(recipe: Recipe) -> Iterator[str]:
    """Settings that no stage does anything with yet: `run` refuses them."""
    rejecting = {stage.name for stage in recipe.stages if isinstance(stage, RejectStage)}
    for stage in recipe.stages:
        if isinstance(stage, ColdStartStage):
            for key in ("drafts", "corrected"):
                if getattr(stage, key) is not None:
                    yield f"{stage.name}: {key!r} is not supported yet; name rows with thoughts"
        if isinstance(stage, RejectStage | PreferStage) and stage.judge is not None:
            yield f"{stage.name}: 'judge' is not supported yet; name questions with an answer"
        if isinstance(stage, PreferStage):
            for name in stage.data:
                if name not in rejecting:
                    yield f"{stage.name}: {name!r} is no stage of rejection sampling, which makes pairs"


def _of_judge(recipe: Recipe, rows: Sequence[Example]) -> Iterator[str]:
    judge = recipe.judge
    known = [row for row in rows if _answer(row) is not None]
    asked = min(len(rows), judge.rows or len(rows))
    if not known:
        yield (
            f"{judge.data}: no row has an answer under {recipe.data[judge.data].answer!r}, so that "
            "nobody can say how many answers are right"
        )
    elif len(known) < len(rows):
        yield f"{judge.data}: {len(rows) - len(known)} of {len(rows)} rows have no answer"
    if asked < _ROWS_FOR_A_CLAIM:
        # The normal interval of a share of one half: the widest, of one sample a question.
        apart = 1.96 * math.sqrt(0.25 / max(asked, 1))
        few = "too few for an interval" if asked < FEW_ROWS else "few"
        yield (
            f"{judge.data}: {asked} questions judge every stage, {few}: an accuracy may be off by "
            f"{apart:.2f} by chance"
        )
    yield from _of_verifier(judge.data, judge.verifier, known)


def _of_questions(recipe: Recipe, rows: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    """Prompt sets that nothing can verify."""
    for stage in recipe.stages:
        if not isinstance(stage, GrpoStage | RejectStage):
            continue
        verifier = stage.rewards.verifier if isinstance(stage, GrpoStage) else stage.verifier
        for name in stage.data:
            if name not in rows:
                continue
            known = [row for row in rows[name] if _answer(row) is not None]
            if not known:
                yield (
                    f"{stage.name}: no question of {name!r} has an answer under "
                    f"{recipe.data[name].answer!r}, so that nothing can be verified"
                )
            elif len(known) < len(rows[name]):
                yield (
                    f"{stage.name}: {len(rows[name]) - len(known)} of {len(rows[name])} questions "
                    f"of {name!r} have no answer and are left out"
                )
            yield from _of_verifier(f"{stage.name}: {name}", verifier, known)


def _of_verifier(where: str, name: Verifier, rows: Sequence[Example]) -> Iterator[str]:
    """Whether the verifier finds the right answers right."""
    if name in ("tests", "json_schema", "reasoning_gym"):
        return  # their wanted text is no answer
    try:
        verify = verifier_of(name)
    except PotstillError as error:
        yield f"{where}: {error}"
        return
    tried = [answer for row in rows[:_TRIED] if (answer := _answer(row)) is not None]
    wrong = [answer for answer in tried if not verify(answer, answer).right]
    if wrong:
        yield (
            f"{where}: the verifier {name!r} does not take {len(wrong)} of the first {len(tried)} "
            f"right answers for right, such as {wrong[0][:40]!r}; choose another verifier"
        )


def _of_thoughts(recipe: Recipe, rows: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    for stage in recipe.stages:
        if not isinstance(stage, ColdStartStage | SftStage):
            continue
        for name in stage.data:
            bare = sum(row.reasoning is None for row in rows.get(name, ()))
            if bare and (isinstance(stage, ColdStartStage) or bare == len(rows[name])):
                yield (
                    f"{stage.name}: {bare} of {len(rows[name])} rows of {name!r} have no thought "
                    f"under {recipe.data[name].thought!r}"
                )


def _of_contamination(recipe: Recipe, held: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, lines in held.items():
        yield (
            f"{name}: {len(lines)} rows hold questions of {recipe.judge.data!r} and will be left "
            f"out; the first: {lines[0]}"
        )


def _of_room(recipe: Recipe) -> Iterator[str]:
    if not isinstance(recipe.base, ScratchSpec):
        return
    positions = recipe.base.positions
    limits = {"judge": recipe.judge.max_new_tokens} | {
        stage.name: stage.max_new_tokens
        for stage in recipe.stages
        if isinstance(stage, GrpoStage | RejectStage)
    }
    for name, limit in limits.items():
        if limit >= positions:
            yield (
                f"{name}: 'max_new_tokens' is {limit:,} and the base has {positions:,} positions "
                "for question and completion together"
            )


def _of_template(loaded: LoadedRecipe) -> Iterator[str]:
    """Whether the chat templates of base and students fit, by their tokenizers alone."""
    recipe = loaded.recipe
    starts = {recipe.base: "base"} if isinstance(recipe.base, str) else {}
    starts |= {
        stage.student: stage.name
        for stage in recipe.stages
        if isinstance(stage, DistilStage)
        and isinstance(stage.student, str)
        and stage.student not in recipe.with_weights
    }
    for start, name in starts.items():
        found = start_name(loaded, start)
        if not Path(found).exists() and "/" in found:
            yield f"{name}: {start!r} comes from the hub when the recipe runs; it is not checked"
            continue
        try:
            from potstill.train.causal.start import check_template, resolve_start

            folder = resolve_start(found).folder
            if folder.is_dir():
                check_template(folder, recipe.template)
        except ImportError as error:
            yield f"{name}: {start!r} is not checked: {MissingExtraError(str(error.name), 'reason')}"
        except SpecError as error:
            # Padding is given when the base is copied; all else must be mended first.
            if "pads with" not in error.message:
                yield f"{name}: {error}"
        except PotstillError as error:
            yield f"{name}: {error}"


def _answer(row: Example) -> str | None:
    text = row.target.text if isinstance(row.target, Text) else None
    return text if text and text.strip() else None
