"""What each kind of stage does: it reads rows and weights, and leaves rows or weights."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial, singledispatch
from typing import Any

from potstill.data import Example, Text
from potstill.errors import TrainingError
from potstill.run.events import Event
from potstill.run.recipe.places import Places, start_name
from potstill.run.recipe.rejecting import pairs_of, reject
from potstill.run.recipe.rows import questions_of_test, rows_of, save_rows
from potstill.run.recipe.untested import untested_rows
from potstill.spec.recipe import (
    ColdStartStage,
    DistilStage,
    GrpoStage,
    MixStage,
    PreferStage,
    RejectStage,
    ScratchSpec,
    SftStage,
    StageSpec,
)
from potstill.verify import Reward
from potstill.verify.reward import Part


@singledispatch
def work(stage: StageSpec, places: Places) -> Mapping[str, Any]:
    """Do the work of a stage.

    Returns:
        Facts for the manifest, a ``summary`` among them.

    Raises:
        PotstillError: the rows or the weights do not serve.
    """
    raise AssertionError(f"nothing does {type(stage).__name__}")


@work.register
def _cold_start(stage: ColdStartStage, places: Places) -> Mapping[str, Any]:
    untested = untested_rows(places, stage.name, stage.data)
    rows = untested.rows
    useful = [row for row in rows if row.reasoning and isinstance(row.target, Text)]
    if not useful:
        raise TrainingError(
            f"{stage.name}: no row has a thought and an answer.",
            hint="Name the columns of the source: data.SOURCE.thought and data.SOURCE.answer.",
        )
    # What a person wrote comes first: of equal questions the first one stays.
    useful.sort(key=lambda row: not row.is_gold)
    kept = list({row.text: row for row in reversed(useful)}.values())[::-1]
    save_rows(places.rows(stage.name), kept)
    facts = {"rows": len(kept), "without_thought": len(rows) - len(useful)}
    return facts | untested.facts | {"summary": f"{len(kept)} rows with thoughts"}


@work.register
def _sft(stage: SftStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.fine_tune import fine_tune

    untested = untested_rows(places, stage.name, stage.data)
    learnt = fine_tune(
        places.weights(stage.weights),
        untested.rows,
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
    )
    return _facts(learnt, stage.weights) | untested.facts


@work.register
def _grpo(stage: GrpoStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.reinforce import reinforce

    untested = untested_rows(places, stage.name, stage.data)
    questions = _verifiable(stage.name, untested.rows)
    reward = Reward.of(stage.rewards, places.recipe.template, stage.max_new_tokens)
    learnt = reinforce(
        places.weights(stage.weights),
        questions,
        partial(_parts, reward),
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
        tell=lambda text: places.folder.tell(Event(kind="warning", stage=stage.name, text=text)),
    )
    unverifiable = len(untested.rows) - len(questions)
    facts = _facts(learnt, stage.weights) | untested.facts
    return facts | {"without_answer": unverifiable} if unverifiable else facts


def _parts(
    reward: Reward, written: list[str], rows: list[Example], tokens: list[int]
) -> dict[str, Any]:
    """The parts of the reward, each apart: the trainer weighs them."""
    scores = reward.score(written, rows, tokens=tokens)
    names: tuple[Part, ...] = ("accuracy", "format", "language", "length")
    told: dict[str, Any] = {name: scores.part(name) for name in names}
    return told | {
        f"undecided:{reason}": [float(one == reason) for one in scores.reasons]
        for reason in set(scores.reasons) - {""}
    }


@work.register
def _reject(stage: RejectStage, places: Places) -> Mapping[str, Any]:
    return reject(stage, places)


@work.register
def _mix(stage: MixStage, places: Places) -> Mapping[str, Any]:
    from potstill.data.mixing import mix

    mixed = mix(
        rows_of(places, stage.reasoning),
        rows_of(places, stage.other),
        spec=stage,
        evaluation={places.recipe.judge.data: questions_of_test(places)},
        seed=places.recipe.seed,
    )
    for text in mixed.warnings:
        places.folder.tell(Event(kind="warning", stage=stage.name, text=text))
    save_rows(places.rows(stage.name), mixed.rows)
    return {
        "rows": len(mixed.rows),
        "table": [asdict(step) for step in mixed.table],
        "summary": f"{len(mixed.rows)} rows",
    }


@work.register
def _prefer(stage: PreferStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.prefer import Pair, prefer

    pairs = [Pair(*texts) for name in stage.data for texts in pairs_of(places, name)]
    if not pairs:
        raise TrainingError(
            f"{stage.name}: no question has a right answer and a wrong one.",
            hint="Give it a stage of rejection sampling with more samples.",
        )
    random.Random(places.recipe.seed).shuffle(pairs)
    learnt = prefer(
        places.weights(stage.weights),
        pairs,
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
    )
    return _facts(learnt, stage.weights) | {"pairs": len(pairs)}


@work.register
def _distil(stage: DistilStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.fine_tune import fine_tune
    from potstill.train.causal.follow import follow

    start = places.of(stage.name) / "start"
    earlier = isinstance(stage.student, str) and stage.student in places.recipe.with_weights
    if earlier:
        start = places.weights(str(stage.student))
    elif not start.is_dir():
        begin(places, stage.student, start)
    untested = untested_rows(places, stage.name, stage.data)
    learn = partial(follow, start, places.weights(stage.weights))
    learn = learn if stage.on_policy else partial(fine_tune, start)
    learnt = learn(
        untested.rows,
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
    )
    return _facts(learnt, str(stage.student) if earlier else "its own start") | untested.facts


def begin(places: Places, base: str | ScratchSpec, folder: Any) -> None:
    """Write the weights of a model that has learnt nothing yet.

    Args:
        places: of the run.
        base: a name, or one that is made here.
        folder: for the weights.
    """
    from potstill.train.causal.start import copy_start, make_scratch
    from potstill.train.causal.turns import all_texts

    template, seed = places.recipe.template, places.recipe.seed
    if isinstance(base, ScratchSpec):
        judge = places.recipe.judge.data
        known = [name for name in places.recipe.data if name != judge]
        texts = all_texts(rows_of(places, known or [judge]))
        make_scratch(base, texts, template=template, seed=seed, folder=folder)
    else:
        copy_start(start_name(places.loaded, base), template=template, folder=folder)


def leaves_weights(stage: StageSpec) -> bool:
    """Whether a stage changes weights, so that they are judged."""
    return isinstance(stage, SftStage | GrpoStage | PreferStage | DistilStage)


def _facts(learnt: Any, start: str) -> dict[str, Any]:
    """What a training tells, for the manifest."""
    facts = asdict(learnt)
    return facts | {
        "weights": start,
        "summary": f"{learnt.steps} steps on {learnt.rows} rows from {start}",
    }


def _verifiable(name: str, rows: Sequence[Example]) -> list[Example]:
    found = [row for row in rows if isinstance(row.target, Text) and row.target.text.strip()]
    if not found:
        raise TrainingError(
            f"{name}: no question has a known answer, so that nothing can be verified.",
            hint="Name its column: data.SOURCE.answer.",
        )
    return found


__all__ = ["begin", "leaves_weights", "work"]
