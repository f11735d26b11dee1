"""The one protocol of filters, and their application in order with a count of what each took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

from potstill.data import Example, Rejection, Source


class Filter(Protocol):
    """Judges training rows; looks at all of them, since some faults show only in company."""

    @property
    def name(self) -> str:
        """The name in task files and tables."""
        ...

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """The rows that may not teach, each with its cause; rows not named are kept."""
        ...


@runtime_checkable
class Witness(Filter, Protocol):
    """A filter that asks somebody: the rows that it keeps must say so in their lineage.

    That is all a filter may add to a row; what a row says is not a filter's to change.
    """

    @property
    def sources(self) -> Mapping[str, tuple[Source, ...]]:
        """Id of a row -> who was heard about it in the last call."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what could not be judged in the last call; such rows are kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRow:
    """One filter's line in the report.

    Attributes:
        name: the filter.
        checked: rows that reached it.
        rejected: rows that it took.
        causes: rows for each cause.
        lost_usd: money paid for the rows that it took; None where a price is unknown.
    """

    name: str
    checked: int
    rejected: int
    causes: dict[str, int]
    lost_usd: float | None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Filtered:
    """What came through, what did not, the table, and what a person should know."""

    kept: list[Example]
    rejected: list[Rejection]
    table: list[FilterRow]
    warnings: tuple[str, ...] = ()


def apply_filters(filters: Iterable[Filter], examples: Sequence[Example]) -> Filtered:
    """Apply filters in order; a row that one rejects is not shown to the next."""
    kept = list(examples)
    rejected: list[Rejection] = []
    table: list[FilterRow] = []
    warnings: list[str] = []
    for judge in filters:
        taken = judge(kept)
        gone = {rejection.id for rejection in taken}
        table.append(
            FilterRow(
                name=judge.name,
                checked=len(kept),
                rejected=len(taken),
                causes=dict(Counter(rejection.cause for rejection in taken).most_common()),
                lost_usd=total_usd(taken),
            )
        )
        kept = [example for example in kept if example.id not in gone]
        rejected.extend(taken)
        if isinstance(judge, Witness):
            kept = [_with_sources(example, judge.sources.get(example.id, ())) for example in kept]
            warnings.extend(judge.warnings)
    return Filtered(kept, rejected, table, tuple(warnings))


def _with_sources(example: Example, heard: tuple[Source, ...]) -> Example:
    return replace(example, sources=(*example.sources, *heard)) if heard else example


def total_usd(rejections: Iterable[Rejection]) -> float | None:
    """Money lost with these rows; None, not zero, as soon as one price is unknown."""
    total = 0.0
    for rejection in rejections:
        if rejection.cost_usd is None:
            return None
        total += rejection.cost_usd
    return total


def reject(example: Example, name: str, cause: str, detail: str) -> Rejection:
    """A rejection of an example by a filter."""
    return Rejection(
        id=example.id,
        stage=f"filter:{name}",
        cause=cause,
        detail=detail,
        cost_usd=example.cost_usd,
        example=example,
    )
