"""Synthesis: new inputs for the cells of a grid, kept where a second pass agrees.

The teacher writes a text for a meaning; then it answers the text as it answers any other,
without being told what was meant. Where the two differ, either the text or the answer is
wrong, and the row goes. Cells that are left short are asked again, about other situations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from potstill.data import Example, Rejection, Source, Target, labels_of
from potstill.generate.grid import Cell, Ideas, vary
from potstill.generate.writer import STAGE, Writer, Written, rejected

_HOPELESS_TEXTS = 10
_SHORT = 0.5


class Answers(Protocol):
    """What an answering pass returns: `potstill.generate.Labelled` is one."""

    @property
    def examples(self) -> Sequence[Example]:
        """Rows with a target."""
        ...

    @property
    def rejected(self) -> Sequence[Rejection]:
        """Rows without, and why."""
        ...


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a second opinion left.

    Attributes:
        kept: texts whose answer is what they were meant to mean, with the answered example.
        rejected: the others.
    """

    kept: list[Written]
    rejected: list[Rejection]


def agreeing(written: Iterable[Written], answered: Iterable[Example]) -> Agreed:
    """Keep the texts whose independent answer is what they were meant to mean.

    Args:
        written: the new texts.
        answered: those of them that have an answer, with it as their target and its price as
            their cost, to which that of writing is added; a text that is missing was rejected
            by the answering pass, with a cause of its own.
    """
    meant = {text.example.id: text for text in written}
    verdict = Source(
        kind="rule", name="answer equals intention", contributed=("verdict",), stage=STAGE
    )
    kept: list[Written] = []
    lost: list[Rejection] = []
    for answer in answered:
        text = meant[answer.id]
        example = replace(answer, cost_usd=_sum(text.example.cost_usd, answer.cost_usd))
        said, intended = name_of(answer.target), name_of(text.cell.target)
        if said == intended:
            example = replace(example, sources=(*example.sources, verdict))
            kept.append(Written(example, text.cell))
        else:
            detail = f"written as {intended!r}, answered as {said!r}"
            lost.append(rejected(example, "intended_otherwise", detail))
    return Agreed(kept, lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class YieldRow:
    """How one label, or one difficulty, fared.

    Attributes:
        name: the label (labels joined by ``+``), or the difficulty.
        wanted: cells.
        written: new texts, before they were answered.
        kept: rows that the second pass confirmed.
    """

    name: str
    wanted: int
    written: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesised:
    """What came of synthesis.

    Attributes:
        examples: new rows, each with the target on which writing and answering agree.
        rejected: requests that brought nothing, and texts that went, each with its cause.
        requests: requests for texts, answering not counted.
        by_label: the yield of each target.
        by_difficulty: the yield of each difficulty.
        warnings: sentences for a person: which labels came out short.
    """

    examples: list[Example]
    rejected: list[Rejection]
    requests: int
    by_label: list[YieldRow]
    by_difficulty: list[YieldRow]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Figures for the report; the rows themselves are on disk."""
        return {
            "rows": len(self.examples),
            "requests": self.requests,
            "rejected": dict(Counter(r.cause for r in self.rejected).most_common()),
            "by_label": [asdict(row) for row in self.by_label],
            "by_difficulty": [asdict(row) for row in self.by_difficulty],
            "warnings": list(self.warnings),
        }


def synthesise(
    cells: Sequence[Cell],
    writer: Writer,
    answer: Callable[[Sequence[Example]], Answers],
    *,
    ideas: Ideas,
    extra: float = 2.0,
    seed: int,
) -> Synthesised:
    """Write, answer, compare; then again for the cells that are short.

    No more than `extra` times the grid is asked for again, and nothing more for a label that
    the second pass never confirms: it is reported, not paid for again.

    Args:
        cells: what is wanted, from `plan_grid` or `plan_borders`.
        writer: who writes.
        answer: answers rows as any unlabelled row is answered, by a pass that sees the input
            alone.
        ideas: other personas and situations for cells that are asked again.
        extra: texts that may be asked for again, as a multiple of the grid.
        seed: seed of their choice.

    Raises:
        BudgetReached: the next request could pass the cap.
        TeacherError: the teacher cannot be asked, or answers nothing usable.
    """
    written: list[Written] = []
    kept: list[Written] = []
    lost: list[Rejection] = []
    short = list(cells)
    left = len(short) + round(extra * len(short))
    rounds = 0
    while short and left:
        left -= len(short)
        fresh: list[Written] = []
        for text in writer.write(short):
            if isinstance(text, Written):
                fresh.append(text)
            else:
                lost.append(text)
        written += fresh
        if fresh:
            answers = answer([text.example for text in fresh])
            agreed = agreeing(fresh, answers.examples)
            lost += [*answers.rejected, *agreed.rejected]
            kept += agreed.kept
            writer.show(agreed.kept)
        rounds += 1
        short = vary(_short(cells, written, kept)[:left], ideas, seed=seed + rounds)
    by_label = _table(cells, written, kept, lambda cell: name_of(cell.target))
    return Synthesised(
        examples=[text.example for text in kept],
        rejected=lost,
        requests=writer.requests,
        by_label=by_label,
        by_difficulty=_table(cells, written, kept, lambda cell: cell.difficulty),
        warnings=_warnings(by_label),
    )


def name_of(target: Target | None) -> str:
    """A target in tables: labels joined by ``+`` in one order, whatever the order they came in."""
    return "" if target is None else "+".join(sorted(labels_of(target))) or "(no label)"


def _short(
    cells: Sequence[Cell], written: Sequence[Written], kept: Sequence[Written]
) -> list[Cell]:
    """The cells that no kept text fills, without those of labels that are never confirmed."""
    tried = Counter(text.cell.target for text in written)
    confirmed = Counter(text.cell.target for text in kept)
    filled = Counter(map(_slot, (text.cell for text in kept)))
    short: list[Cell] = []
    for cell in cells:
        if filled[_slot(cell)]:
            filled[_slot(cell)] -= 1
        elif confirmed[cell.target] or tried[cell.target] < _HOPELESS_TEXTS:
            short.append(cell)
    return short


def _slot(cell: Cell) -> Cell:
    """What a cell is once persona and situation may be others."""
    return replace(cell, persona=None, situation=None)


def _table(
    cells: Iterable[Cell],
    written: Iterable[Written],
    kept: Iterable[Written],
    name: Callable[[Cell], str],
) -> list[YieldRow]:
    wanted = Counter(map(name, cells))
    fresh = Counter(name(text.cell) for text in written)
    confirmed = Counter(name(text.cell) for text in kept)
    return [
        YieldRow(name=row, wanted=count, written=fresh[row], kept=confirmed[row])
        for row, count in wanted.items()
    ]


def _warnings(rows: Iterable[YieldRow]) -> tuple[str, ...]:
    return tuple(
        f"synthesis brought {row.kept} of {row.wanted} rows for {row.name!r}: of {row.written} "
        "texts written for it the teacher itself answered the others otherwise, or they were "
        "copies; a description that tells it from its neighbours would help"
        for row in rows
        if row.kept < _SHORT * row.wanted
    )


def _sum(one: float | None, other: float | None) -> float | None:
    """Both prices; unknown as soon as one is."""
    return None if one is None or other is None else one + other
