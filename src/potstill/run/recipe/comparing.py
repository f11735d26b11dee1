"""Two judged stages against each other, question by question, with the answers that changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from potstill.data import Example, Text
from potstill.errors import DataError
from potstill.evaluate.stability import StabilityComparison, compare_stability
from potstill.run.recipe.finding import FoundStage
from potstill.run.recipe.judging import Answered


@dataclass(frozen=True, slots=True)
class Changed:
    """A question that one answers rightly more often than the other.

    Attributes:
        id: of the question.
        question: its text.
        wanted: the right answer.
        first_right: share of the first's answers that are right, 0 to 1.
        second_right: that of the second's.
        first: a completion of the first, right where it is the better one, otherwise wrong.
        second: one of the second, likewise.
    """

    id: str
    question: str
    wanted: str
    first_right: float
    second_right: float
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class StageComparison:
    """The first of two stages against the second.

    Attributes:
        comparison: figures, paired by question.
        better: questions of which the first is right more often, the clearest first.
        worse: of which the second is.
        warnings: in what else the two differ, if anything.
    """

    comparison: StabilityComparison
    better: Sequence[Changed]
    worse: Sequence[Changed]
    warnings: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            "comparison": self.comparison.to_json(),
            "outcome": self.comparison.outcome,
            "better": [asdict(one) for one in self.better],
            "worse": [asdict(one) for one in self.worse],
            "warnings": list(self.warnings),
        }


def compare_stages(
    first: FoundStage, second: FoundStage, *, examples: int = 5, seed: int = 0
) -> StageComparison:
    """Compare two stages on the questions by which both were judged.

    Args:
        first: a judged stage.
        second: another one, perhaps of another run.
        examples: questions of either kind at most.
        seed: of bootstrap and test.

    Raises:
        ModelError: one of them was not judged.
        DataError: they were asked other questions.
    """
    names = first.name, second.name
    if names[0] == names[1]:
        names = f"{first.run.name}:{names[0]}", f"{second.run.name}:{names[1]}"
    found = compare_stability(first.judgement(names[0]), second.judgement(names[1]), seed=seed)
    asked, others = first.questions(), second.questions()
    differing = [key for key in asked if key in others and asked[key].text != others[key].text]
    if differing:
        raise DataError(
            f"{names[0]} and {names[1]} were not asked the same questions: {len(differing)} ids, "
            f"such as {differing[0]!r}, stand for other texts",
            hint="Compare stages that were judged by one set.",
        )
    better, worse = changed(first.answers(), second.answers(), asked, most=examples)
    return StageComparison(found, better, worse, tuple(_otherwise(first, second)))


def changed(
    first: Sequence[Answered],
    second: Sequence[Answered],
    questions: Mapping[str, Example],
    *,
    most: int,
) -> tuple[list[Changed], list[Changed]]:
    """Questions of which the first is right more often, and those of which the second is.

    Args:
        first: completions of one model.
        second: completions of the other.
        questions: by id.
        most: of either kind, the largest differences first.
    """
    by_question, others = _judged(first), _judged(second)
    apart = {
        key: _share(mine) - _share(others[key])
        for key, mine in by_question.items()
        if key in others and key in questions
    }

    def shown(sign: int) -> list[Changed]:
        keys = sorted(
            (key for key in apart if sign * apart[key] > 0), key=lambda key: -abs(apart[key])
        )
        return [
            _changed(questions[key], by_question[key], others[key], better=sign > 0)
            for key in keys[:most]
        ]

    return shown(1), shown(-1)


def _judged(answers: Sequence[Answered]) -> dict[str, list[Answered]]:
    found: defaultdict[str, list[Answered]] = defaultdict(list)
    for one in answers:
        if one.right is not None:
            found[one.id].append(one)
    return found


def _changed(
    question: Example, first: Sequence[Answered], second: Sequence[Answered], *, better: bool
) -> Changed:
    mine = next(one for one in first if one.right is better)
    other = next(one for one in second if one.right is not better)
    wanted = question.target.text if isinstance(question.target, Text) else ""
    return Changed(
        question.id, question.text, wanted, _share(first), _share(second), mine.text, other.text
    )


def _share(answers: Sequence[Answered]) -> float:
    return sum(bool(one.right) for one in answers) / len(answers)


def _otherwise(first: FoundStage, second: FoundStage) -> list[str]:
    """In what the two judgements differ beside the weights."""
    one, other = (stage.recipe.judge.model_dump() for stage in (first, second))
    told = [
        f"the two were judged with another {key!r}: {one[key]} and {other[key]}"
        for key in one
        if key not in ("data", "rows") and one[key] != other[key]
    ]
    if first.recipe.template != second.recipe.template:
        told.append("the two were judged with another 'template'")
    return told
