"""The frontier of ``base: auto``: what each candidate can do, what it costs, and who was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from potstill.evaluate.latency import USD_PER_CORE_HOUR, usd_per_million
from potstill.evaluate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint(Record):
    """One candidate.

    Attributes:
        name: of base and mode.
        rows: training rows that it saw; 0 where it was not tried.
        score: on rows that it had not seen, by the measure that chose; None without one.
        seconds: that it was trained for.
        latency_ms: mean time of an answer on one thread; None where it was not timed.
        latency_p95_ms: 95% of the answers take at most this long.
        megabytes: of graph and tokenizer.
        usd_per_million: price of a million answers on a rented core.
        efficient: whether no other candidate is both better and faster.
        chosen: whether it ships.
        dropped: why it went no further, as the rest of a sentence; None where it did.
        left_out: the gates that forbid it, with its figures; None where none does.
    """

    name: str
    rows: int
    score: float | None
    seconds: float
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    megabytes: float | None = None
    usd_per_million: float | None = None
    efficient: bool = False
    chosen: bool = False
    dropped: str | None = None
    left_out: str | None = None

    @property
    def outcome(self) -> str:
        """What became of it."""
        if self.chosen:
            return "ships"
        return self.dropped or self.left_out or ("on the frontier" if self.efficient else "beaten")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier(Record):
    """All candidates, the smallest first.

    Attributes:
        points: one a candidate.
        reason: why the choice fell as it did, in a sentence.
        usd_per_core_hour: price of a core that `usd_per_million` rests on.
        basis: on which rows the scores rest, in a sentence; empty where that is not known.
    """

    points: tuple[FrontierPoint, ...]
    reason: str
    usd_per_core_hour: float = USD_PER_CORE_HOUR
    basis: str = ""

    @classmethod
    def of(
        cls,
        candidates: Sequence[Mapping[str, Any]],
        reason: str,
        *,
        usd_per_core_hour: float = USD_PER_CORE_HOUR,
    ) -> Self:
        """Read it out of the rows that a training left.

        Args:
            candidates: as `potstill.train.Trained` has them.
            reason: why one of them was chosen.
            usd_per_core_hour: price of a core.
        """

        def point(row: Mapping[str, Any]) -> FrontierPoint:
            ms = row.get("latency_ms")
            return FrontierPoint(
                name=row["name"],
                rows=row["rows"],
                score=row["score"],
                seconds=row["seconds"],
                latency_ms=ms,
                latency_p95_ms=row.get("latency_p95_ms"),
                megabytes=row.get("megabytes"),
                usd_per_million=None if ms is None else usd_per_million(ms, usd_per_core_hour),
                efficient=row["dropped"] is None and not any(_beats(o, row) for o in candidates),
                chosen=row["chosen"],
                dropped=row["dropped"],
                left_out=row.get("left_out"),
            )

        return cls(
            points=tuple(map(point, candidates)),
            reason=reason,
            usd_per_core_hour=usd_per_core_hour,
            basis=_basis(candidates),
        )

    @property
    def chosen(self) -> FrontierPoint:
        """What ships."""
        return next(point for point in self.points if point.chosen)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reason, and what became of the candidates that were not trained to the end."""
        dropped = [f"{one.name} {one.dropped}." for one in self.points if one.dropped]
        return tuple(filter(None, (self.reason, self.basis, *dropped)))


def _basis(candidates: Sequence[Mapping[str, Any]]) -> str:
    """On how many rows the scores of the finished candidates rest."""
    rows = [(one["dev_rows"], one["fold_rows"]) for one in candidates if "dev_rows" in one]
    if not rows:
        return ""
    dev, folds = (max(counts) for counts in zip(*rows, strict=True))
    text = f"The scores rest on {dev:,} development {'row' if dev == 1 else 'rows'}"
    if folds:
        text += (
            f", and those of frozen candidates on {folds:,} training rows in their folds as well"
        )
    return f"{text}."


def _beats(other: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether another finished candidate is as good and as fast, and better in one of the two."""
    if other["dropped"] is not None or other["score"] is None or row["score"] is None:
        return False
    mine, theirs = row.get("latency_ms"), other.get("latency_ms")
    gained = other["score"] - row["score"]
    faster = 0.0 if mine is None or theirs is None else mine - theirs
    return gained >= 0.0 and faster >= 0.0 and (gained > 0.0 or faster > 0.0)
