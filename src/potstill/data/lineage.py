"""Lineage: which source contributed what to how many rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from potstill.data.example import Example, Source, SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShare:
    """One source's share of a set of rows.

    Attributes:
        kind: person, model, data set or rule.
        name: who.
        contributed: what it gave.
        terms: licence or terms-of-use id; None is unknown.
        rows: rows to which it gave it.
        share: `rows` divided by all rows, 0 to 1.
    """

    kind: SourceKind
    name: str
    contributed: tuple[str, ...]
    terms: str | None
    rows: int
    share: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def source_shares(examples: Iterable[Example]) -> list[SourceShare]:
    """What each source contributed, largest share first.

    A source that gave an input and a target stands in two lines: whose words were read and
    whose judgement was learnt are two questions.
    """
    total = 0
    counts: Counter[tuple[SourceKind, str, tuple[str, ...], str | None]] = Counter()
    for example in examples:
        total += 1
        counts.update({(s.kind, s.name, s.contributed, s.terms) for s in example.sources})
    shares = [
        SourceShare(
            kind=kind, name=name, contributed=given, terms=terms, rows=rows, share=rows / total
        )
        for (kind, name, given, terms), rows in counts.items()
    ]
    return sorted(shares, key=lambda share: (-share.rows, share.kind, share.name))


def lineage_json(examples: Iterable[Example]) -> dict[str, Any]:
    """The content of a model's ``lineage.json``: shares, all sources, and each row's.

    Rows name their sources by position in ``sources``, since thousands of rows share a few.
    """
    rows = list(examples)
    positions: dict[Source, int] = {}
    sources_of = {
        example.id: [positions.setdefault(source, len(positions)) for source in example.sources]
        for example in rows
    }
    return {
        "rows": len(rows),
        "shares": [share.to_json() for share in source_shares(rows)],
        "sources": [
            {key: value for key, value in asdict(source).items() if value is not None}
            for source in positions
        ],
        "examples": sources_of,
    }
