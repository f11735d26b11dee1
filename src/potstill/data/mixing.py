"""The rows of a mixed fine-tuning: reasoning rows and others, each once, none from an evaluation.

DeepSeek-R1 mixes about 600,000 reasoning rows with 200,000 others (DeepSeek-AI 2025,
arXiv:2501.12948v2, section 3). The steps go from what is wrong with a row alone to what is too
many of all; each says what it took, so that a table shows where rows went.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from potstill.data.decontaminate import EvaluationIndex
from potstill.data.duplicates import NearDuplicates
from potstill.data.example import Example, Rejection, Text
from potstill.errors import DataError
from potstill.spec.recipe import MixStage

Side = Literal["reasoning", "other"]
_SIDES: tuple[Side, Side] = ("reasoning", "other")
_Row = tuple[Side, Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixStep:
    """What one step of the mixing took.

    Attributes:
        name: the step: `complete`, `duplicates`, `decontamination` or `ratio`.
        checked: rows that reached it, by side.
        taken: rows that it took, by side.
        causes: rows that it took, by cause; contaminated ones by the evaluation set.
    """

    name: str
    checked: dict[Side, int]
    taken: dict[Side, int]
    causes: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Mixed:
    """The rows in their mixed order, what was taken, by which step, and what a person should know.

    Attributes:
        rows: rows with their lineage; ids are unique.
        rejected: rows that were taken, each with its cause.
        table: the steps in their order.
        warnings: sentences about a ratio that left rows out or could not be met.
    """

    rows: list[Example]
    rejected: list[Rejection]
    table: list[MixStep]
    warnings: tuple[str, ...] = ()


def mix(
    reasoning: Sequence[Example],
    other: Sequence[Example],
    *,
    spec: MixStage,
    evaluation: Mapping[str, Iterable[Example]],
    seed: int,
) -> Mixed:
    """Mix two sides to the ratio of the stage.

    Of rows that are nearly the same a person's stays, then the first. Which rows are left out
    for the ratio, and the order, depend on the seed. A row whose id another one has gets a
    number behind it.

    Args:
        reasoning: rows with a thought and an answer; those without either are taken.
        other: rows with an answer; a thought may stand there too.
        spec: ratio, similarity of duplicates, and length of a run that must not be shared.
        evaluation: rows of every evaluation set, by its name.
        seed: of choice and order.

    Raises:
        DataError: no reasoning row is left.
        MissingExtraError: datasketch is not installed.
    """
    mixing = _Mixing(spec.name, _with_ids(reasoning, other))
    mixing.step("complete", _incomplete)
    mixing.step("duplicates", _repeats(spec.similarity), first=lambda row: not row[1].is_gold)
    mixing.step("decontamination", _contaminated(evaluation, spec.ngram))
    warnings = _to_ratio(mixing, spec.ratio, wanted=bool(other), seed=seed)
    rows = [row for _, row in mixing.rows]
    if not mixing.count()["reasoning"]:
        lost = ", ".join(
            f"{step.taken['reasoning']} by {step.name}"
            for step in mixing.table
            if step.taken["reasoning"]
        )
        raise DataError(
            f"{spec.name}: no reasoning row is left of {len(reasoning)}"
            + (f": {lost}" if lost else ""),
            hint="The rejected rows say why; give more rows, or loosen the step that took most.",
        )
    random.Random(f"order/{seed}").shuffle(rows)
    return Mixed(rows, mixing.rejected, mixing.table, warnings)


class _Mixing:
    """The rows that are left, and the books."""

    def __init__(self, stage: str, rows: list[_Row]) -> None:
        self.rows = rows
        self.rejected: list[Rejection] = []
        self.table: list[MixStep] = []
        self._stage = stage

    def count(self) -> dict[Side, int]:
        sides = Counter(side for side, _ in self.rows)
        return {side: sides[side] for side in _SIDES}

    def step(
        self,
        name: str,
        fault: Callable[[_Row], tuple[str, str, str] | None],
        *,
        first: Callable[[_Row], bool] = lambda _: False,
    ) -> None:
        """Take rows with a fault, which is told as cause, detail and name in the table.

        Rows of which `first` is false are judged before the others; the order stays.
        """
        checked, taken, causes = self.count(), Counter[Side](), Counter[str]()
        gone: set[str] = set()
        for row in sorted(self.rows, key=first):
            found = fault(row)
            if found is None:
                continue
            side, example = row
            cause, detail, told = found
            gone.add(example.id)
            taken[side] += 1
            causes[told] += 1
            self.rejected.append(
                Rejection(
                    id=example.id,
                    stage=f"{self._stage}:{name}",
                    cause=cause,
                    detail=detail,
                    cost_usd=example.cost_usd,
                    example=example,
                )
            )
        self.rows = [row for row in self.rows if row[1].id not in gone]
        self.table.append(
            MixStep(
                name=name,
                checked=checked,
                taken={side: taken[side] for side in _SIDES},
                causes=dict(causes.most_common()),
            )
        )


def _with_ids(reasoning: Iterable[Example], other: Iterable[Example]) -> list[_Row]:
    """Both sides, with ids of which none stands twice."""
    rows: list[_Row] = []
    for side, examples in zip(_SIDES, (reasoning, other), strict=True):
        rows.extend((side, row) for row in examples)
    given = {row.id for _, row in rows}
    seen: set[str] = set()
    for place, (side, row) in enumerate(rows):
        key, number = row.id, 2
        while key in seen or (key != row.id and key in given):
            key, number = f"{row.id}~{number}", number + 1
        seen.add(key)
        if key != row.id:
            rows[place] = side, replace(row, id=key)
    return rows


def _incomplete(row: _Row) -> tuple[str, str, str] | None:
    side, example = row
    if side == "reasoning" and not (example.reasoning or "").strip():
        return "no_thought", "it is to teach reasoning and holds no thought", "no_thought"
    if not _answer(example).strip():
        return "no_answer", "it holds no answer", "no_answer"
    return None


def _repeats(similarity: float) -> Callable[[_Row], tuple[str, str, str] | None]:
    index = NearDuplicates(similarity)

    def fault(row: _Row) -> tuple[str, str, str] | None:
        # Question, thought and answer together: two ways to one answer both teach.
        _, example = row
        text = "\n".join((example.text, example.reasoning or "", _answer(example)))
        twin = index.find(text)
        if twin is None:
            index.add(example.id, text)
            return None
        return "duplicate", f"it nearly repeats {twin!r}", "duplicate"

    return fault


def _contaminated(
    evaluation: Mapping[str, Iterable[Example]], ngram: int
) -> Callable[[_Row], tuple[str, str, str] | None]:
    sets = {name: list(rows) for name, rows in evaluation.items()}
    index = EvaluationIndex(sets, ngram=ngram)
    groups = {
        row.group: name for name, rows in sets.items() for row in rows if row.group is not None
    }

    def fault(row: _Row) -> tuple[str, str, str] | None:
        _, example = row
        if example.group is not None and example.group in groups:
            name = groups[example.group]
            return "contaminated", f"its group {example.group!r} is in {name!r}", name
        found = index.find(example)
        return None if found is None else ("contaminated", str(found), found.data)

    return fault


def _to_ratio(mixing: _Mixing, ratio: float, *, wanted: bool, seed: int) -> tuple[str, ...]:
    """Leave out what is too many of one side; sentences about it."""
    left = mixing.count()
    most: dict[Side, int] = dict(left)
    if left["other"] and left["reasoning"]:
        if left["reasoning"] > ratio * left["other"]:
            most["reasoning"] = max(1, round(ratio * left["other"]))
        else:
            most["other"] = min(left["other"], max(1, round(left["reasoning"] / ratio)))
    over: set[str] = set()
    for side in _SIDES:
        ids = [row.id for which, row in mixing.rows if which == side]
        over.update(random.Random(f"{side}/{seed}").sample(ids, left[side] - most[side]))

    def fault(row: _Row) -> tuple[str, str, str] | None:
        if row[1].id not in over:
            return None
        return "over_ratio", f"too many {row[0]} rows for a ratio of {ratio:g} to 1", "over_ratio"

    mixing.step("ratio", fault)
    if wanted and not left["other"]:
        return (
            f"The ratio of {ratio:g} to 1 cannot be met: no other row is left; "
            f"all {left['reasoning']:,} reasoning rows stay.",
        )
    return tuple(
        f"For a ratio of {ratio:g} to 1, {left[side] - most[side]:,} of {left[side]:,} {side} "
        "rows were left out."
        for side in _SIDES
        if most[side] < left[side]
    )


def _answer(example: Example) -> str:
    target = example.target
    if isinstance(target, Text):
        return target.text
    return "" if target is None else str(target)
