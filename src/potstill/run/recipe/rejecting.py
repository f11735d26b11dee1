"""Rejection sampling: many answers, of which the right and healthy ones stay; and their pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from potstill.data import Example, Source, Text
from potstill.data.files import write_jsonl
from potstill.errors import TrainingError
from potstill.run.recipe.drawing import DRAWN, draw
from potstill.run.recipe.judging import Answered, judged, load_answers
from potstill.run.recipe.places import SAMPLES, Places
from potstill.run.recipe.rows import rows_of, save_rows
from potstill.run.recipe.untested import untested_rows
from potstill.spec.recipe import RejectStage


def reject(stage: RejectStage, places: Places) -> Mapping[str, Any]:
    """Leave the rows that are worth learning, and all samples beside them.

    Raises:
        TrainingError: no answer is right and healthy.
    """
    template = places.recipe.template
    untested = untested_rows(places, stage.name, stage.data)
    # Two sources may hold one question.
    questions = list({row.id: row for row in reversed(untested.rows)}.values())[::-1]
    folder = places.of(stage.name)
    folder.mkdir(parents=True, exist_ok=True)
    weights = places.weights(stage.weights)
    written = draw(places, stage.name, weights, questions, stage, file=folder / DRAWN)
    samples = list(judged(written, questions, template=template, verifier=stage.verifier))
    write_jsonl(folder / SAMPLES, map(asdict, samples))
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
        **untested.facts,
        "summary": f"{len(kept)} rows of {answered} of {len(questions)} questions",
    }


def pairs_of(places: Places, name: str) -> Iterator[tuple[str, str, str]]:
    """Question, right completion and wrong one, of what a stage of rejection sampling drew.

    Args:
        places: of the run.
        name: of the stage.
    """
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
            yield texts[question], best.text, worst.text


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
