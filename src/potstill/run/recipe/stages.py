"""What each kind of stage does: it reads rows and weights, and leaves rows or weights."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial, singledispatch
from typing import Any

from potstill.data import Example, Source, Text
from potstill.data.files import write_jsonl
from potstill.errors import TrainingError
from potstill.run.recipe.judging import Answered, judged, load_answers
from potstill.run.recipe.places import SAMPLES, WEIGHTS, Places
from potstill.run.recipe.rows import load_rows, save_rows
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

SOURCES = "sources"


def rows_of(places: Places, names: Iterable[str]) -> list[Example]:
    """The rows of sources and stages, by their names."""
    found: list[Example] = []
    for name in names:
        if name in places.recipe.data:
            found += load_rows(places.of(SOURCES) / f"{name}.jsonl")
        else:
            found += load_rows(places.rows(name))
    return found


def questions_of_test(places: Places) -> list[Example]:
    """The questions that judge, and that no stage learns from."""
    return rows_of(places, [places.recipe.judge.data])


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
    rows = rows_of(places, stage.data)
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
    return facts | {"summary": f"{len(kept)} rows with thoughts"}


@work.register
def _sft(stage: SftStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.fine_tune import fine_tune

    learnt = fine_tune(
        places.weights(stage.weights),
        rows_of(places, stage.data),
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
    )
    return _facts(learnt, stage.weights)


@work.register
def _grpo(stage: GrpoStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.reinforce import reinforce

    reward = Reward.of(stage.rewards, places.recipe.template, stage.max_new_tokens)
    learnt = reinforce(
        places.weights(stage.weights),
        _verifiable(stage.name, rows_of(places, stage.data)),
        partial(_parts, reward),
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
    )
    return _facts(learnt, stage.weights)


def _parts(
    reward: Reward, written: list[str], rows: list[Example], tokens: list[int]
) -> dict[str, Any]:
    """The parts of the reward, each apart: the trainer weighs them."""
    scores = reward.score(written, rows, tokens=tokens)
    names: tuple[Part, ...] = ("accuracy", "format", "language", "length")
    return {name: scores.part(name) for name in names}


@work.register
def _reject(stage: RejectStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.sample import sample

    template = places.recipe.template
    questions = rows_of(places, stage.data)
    written = sample(
        places.weights(stage.weights),
        questions,
        spec=stage,
        template=template,
        seed=places.recipe.seed,
        progress=places.folder.progress(stage.name),
    )
    samples = list(judged(written, questions, template=template, verifier=stage.verifier))
    write_jsonl(places.of(stage.name) / SAMPLES, map(asdict, samples))
    took: Counter[str] = Counter()
    healthy: dict[str, list[Answered]] = defaultdict(list)
    for one in samples:
        cause = _cause(one, stage)
        if cause is None:
            healthy[one.id].append(one)
        else:
            took[cause] += 1
    source = Source(
        kind="model",
        name=f"{places.recipe.name}/{places.owner(stage.weights)}",
        contributed=("target", "reasoning"),
        stage=stage.name,
    )
    kept: list[Example] = []
    for question in questions:
        for number, one in enumerate(_best(healthy[question.id], stage.keep)):
            kept.append(
                replace(
                    question,
                    id=f"{question.id}-{number}",
                    target=Text(one.answer),
                    reasoning=one.thought,
                    group=question.id,
                    sources=(*_asked(question), source),
                )
            )
    if not kept:
        raise TrainingError(
            f"{stage.name}: of {len(samples)} answers none was right and healthy.",
            hint="Raise 'samples', start from better weights, or leave out a filter.",
        )
    save_rows(places.rows(stage.name), kept)
    table = {"sampled": len(samples), **dict(took.most_common()), "kept": len(kept)}
    answered = sum(bool(found) for found in healthy.values())
    return {
        "rows": len(kept),
        "table": table,
        "summary": f"{len(kept)} rows of {answered} of {len(questions)} questions",
    }


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
    save_rows(places.rows(stage.name), mixed.rows)
    return {
        "rows": len(mixed.rows),
        "table": [asdict(step) for step in mixed.table],
        "summary": f"{len(mixed.rows)} rows",
    }


@work.register
def _prefer(stage: PreferStage, places: Places) -> Mapping[str, Any]:
    from potstill.train.causal.prefer import Pair, prefer

    pairs: list[Pair] = []
    for name in stage.data:
        texts = {row.group or row.id: row.text for row in rows_of(places, [name])}
        by_question: dict[str, list[Answered]] = defaultdict(list)
        for one in load_answers(places.of(name) / SAMPLES):
            by_question[one.id].append(one)
        for question, samples in by_question.items():
            right = [one for one in samples if one.right and one.form and not one.cut]
            wrong = [one for one in samples if one.right is False and not one.cut]
            if right and wrong and question in texts:
                # Of like length, so that length is not what is learnt.
                best = min(right, key=lambda one: one.tokens)
                worst = min(wrong, key=lambda one: abs(one.tokens - best.tokens))
                pairs.append(Pair(texts[question], best.text, worst.text))
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

    start = places.of(stage.name) / "start"
    if not start.is_dir():
        begin(places, stage.student, start)
    learnt = fine_tune(
        start,
        rows_of(places, stage.data),
        stage=stage,
        template=places.recipe.template,
        seed=places.recipe.seed,
        folder=places.of(stage.name),
        progress=places.folder.progress(stage.name),
    )
    return _facts(learnt, "its own start")


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
        texts = all_texts(rows_of(places, places.recipe.data))
        make_scratch(base, texts, template=template, seed=seed, folder=folder)
    else:
        copy_start(base, template=template, folder=folder)


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


def _asked(question: Example) -> tuple[Source, ...]:
    """The sources of a question alone: the answer that it had is not the one that stays."""
    asked = [
        replace(one, contributed=tuple(part for part in one.contributed if part == "prompt"))
        for one in question.sources
    ]
    return tuple(one for one in asked if one.contributed)


_PARAGRAPH_WORDS = 400
"""A paragraph of a thought that nobody would read: the paper drops long ones and names no number."""


def _cause(one: Answered, stage: RejectStage) -> str | None:
    """Why a completion goes; None where it stays."""
    checks: list[tuple[str, Callable[[], bool]]] = [
        ("cut", lambda: one.cut),
        ("format", lambda: not one.form),
        ("unverified", lambda: one.right is None),
        ("wrong", lambda: one.right is False),
    ]
    filters: dict[str, Callable[[], bool]] = {
        "language": lambda: one.language is not None and one.language < _LEAST_LANGUAGE,
        "paragraphs": lambda: any(
            len(part.split()) > _PARAGRAPH_WORDS for part in one.thought.split("\n\n")
        ),
        "code": lambda: "```" in one.thought,
        "trace_health": lambda: one.loops,
    }
    checks += [(name, filters[name]) for name in stage.filters]
    return next((name for name, fails in checks if fails()), None)


_LEAST_LANGUAGE = 0.9


def _best(found: Sequence[Answered], keep: int) -> list[Answered]:
    """The brief before the long, and unlike before like."""
    distinct = {one.thought: one for one in sorted(found, key=lambda one: -one.tokens)}
    return sorted(distinct.values(), key=lambda one: one.tokens)[:keep]


__all__ = ["SOURCES", "WEIGHTS", "begin", "leaves_weights", "questions_of_test", "rows_of", "work"]
