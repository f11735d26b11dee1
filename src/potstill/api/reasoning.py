"""The verbs on models that reason: stages of a recipe compared, and sampled answers judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from potstill.api.loading import load, must_exist
from potstill.errors import SpecError
from potstill.spec.recipe import JudgementSpec, TemplateSpec

if TYPE_CHECKING:
    from potstill.run.events import Listener
    from potstill.run.recipe.asking import Asked
    from potstill.run.recipe.comparing import StageComparison

_MOST_TOKENS = 1024
"""Of a completion of weights of which no recipe says how long they may write."""


def compare_stages(
    first: Path | str, second: Path | str, *, examples: int = 5, seed: int = 0
) -> StageComparison:
    """Compare two stages of recipes on the questions by which both were judged.

    Args:
        first: ``RUN:stage``, where RUN is a run folder or the folder of a recipe's runs.
        second: another one.
        examples: questions of either kind, better and worse, at most.
        seed: of bootstrap and test.

    Raises:
        ModelError: there is no such run or stage, or it was not judged.
        DataError: the two were asked other questions.
    """
    from potstill.run.recipe.comparing import compare_stages as compare
    from potstill.run.recipe.finding import find_stage

    return compare(find_stage(first), find_stage(second), examples=examples, seed=seed)


def is_sampled(model: Path | str) -> bool:
    """Whether a path names what writes freely: ``RUN:stage``, or a folder of weights."""
    from potstill.run.recipe.finding import names_stage

    return names_stage(model) or _holds_weights(Path(model))


def evaluate_samples(
    model: Path | str,
    data: Path | str,
    *,
    settings: Mapping[str, Any] | None = None,
    question: str | None = None,
    answer: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    listener: Listener | None = None,
) -> Asked:
    """Ask a model each question of a file several times, and judge the answers by a verifier.

    Args:
        model: a folder of weights, ``RUN:stage``, or a task's model folder.
        data: JSON lines, CSV or Parquet.
        settings: of `JudgementSpec` (samples, temperature, top_p, max_new_tokens, verifier) that
            go before those of the stage's recipe.
        question: column of the question.
        answer: column of the right answer.
        limit: ask at most so many.
        seed: of all draws.
        listener: receives progress.

    Raises:
        ModelError: there is no such model.
        DataError: the questions cannot be read.
        MissingExtraError: a package is not installed.
    """
    from potstill.run.events import Event
    from potstill.run.recipe.asking import ask_student, ask_weights
    from potstill.run.recipe.finding import find_stage, names_stage
    from potstill.run.recipe.questions import guess_verifier, read_questions

    def progress(phase: str, done: int, total: int) -> None:
        if listener is not None:
            event = Event(kind="progress", stage="evaluate", text=phase, done=done, total=total)
            listener(event)

    given = {key: value for key, value in (settings or {}).items() if value is not None}
    weights, known, template = None, JudgementSpec(max_new_tokens=_MOST_TOKENS), TemplateSpec()
    if names_stage(model):
        stage = find_stage(model)
        weights, known, template = stage.weights, stage.recipe.judge, stage.recipe.template
    elif _holds_weights(Path(model)):
        weights = Path(model)
    else:
        must_exist(Path(model))
    found = read_questions(Path(data), question=question, answer=answer, limit=limit)
    notes = list(found.notes)
    if "verifier" not in given:
        given["verifier"], why = guess_verifier(found.rows)
        notes.append(f"answers are judged by {given['verifier']!r}, since {why}")
    try:
        judge = JudgementSpec.model_validate({**known.model_dump(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    if weights is None:
        student = load(model)
        return ask_student(
            student, found.rows, judge=judge, seed=seed, notes=notes, progress=progress
        )
    return ask_weights(
        weights,
        found.rows,
        name=str(model),
        judge=judge,
        template=template,
        seed=seed,
        notes=notes,
        progress=progress,
    )


def _holds_weights(folder: Path) -> bool:
    """Whether a folder is what transformers saves: weights, and no model of a task."""
    if not folder.is_dir() or not (folder / "config.json").is_file():
        return False
    return any(folder.glob("*.safetensors"))


__all__ = ["compare_stages", "evaluate_samples", "is_sampled"]
