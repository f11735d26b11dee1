"""Splits that stay where they are: by hash, stratified by label, whole groups together.

A row's place follows from its own hash, not from its position in the file, so that new rows
appended later move almost none of the old ones between training and test.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from potstill.data.duplicates import jaccard, near_duplicates_of, shingles
from potstill.data.example import Example, Rejection, Split

_VERSION_SIMILARITY = 0.5


@dataclass(frozen=True, slots=True)
class Leak:
    """What was removed so that no split sees another."""

    kept: list[Example]
    rejected: list[Rejection]


def split_examples(
    examples: Sequence[Example], shares: Mapping[Split, float], seed: int
) -> list[Example]:
    """Give each example its split.

    Args:
        examples: rows with targets; rows with equal `group` go together.
        shares: share of the rows for each split, summing to one.
        seed: another seed gives another division.

    Returns:
        The examples in their order, each with `split` set. In every stratum (the most
        frequent target of the group) the shares hold to the nearest row.
    """
    members: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        members[example.group or f"id:{example.id}"].append(example)
    strata: dict[str, list[str]] = defaultdict(list)
    for group, rows in members.items():
        strata[_stratum(rows)].append(group)

    place: dict[str, Split] = {}
    for stratum, groups in strata.items():
        total = sum(len(members[group]) for group in groups)
        # Each stratum is a circle that starts at an angle of its own: otherwise strata of a
        # few rows would all round the same way, and a small share would get none of them.
        angle = _unit_hash(seed, f"stratum:{stratum}")
        before = 0
        for group in sorted(groups, key=lambda name: _unit_hash(seed, name)):
            size = len(members[group])
            place[group] = _split_at((angle + (before + size / 2) / total) % 1.0, shares)
            before += size
    return [replace(e, split=place[e.group or f"id:{e.id}"]) for e in examples]


def remove_leaks(
    rows: Sequence[Example], frozen: Sequence[Example], similarity: float, split: Split
) -> Leak:
    """Remove rows that a frozen split already holds, by id, by group or nearly by text.

    Args:
        rows: examples that may be removed.
        frozen: examples of the split that is protected.
        similarity: least Jaccard similarity of word 3-grams for a near-duplicate.
        split: the name of the protected split, for the reasons.
    """
    texts = {example.id: example.text for example in frozen}
    groups = {example.group for example in frozen if example.group is not None}
    twins = dict(
        near_duplicates_of(
            ((example.id, example.text) for example in rows),
            ((example.id, example.text) for example in frozen),
            similarity,
        )
        if frozen
        else ()
    )
    kept: list[Example] = []
    rejected: list[Rejection] = []
    for example in rows:
        reason = None
        if example.id in texts and _same_row(example.text, texts[example.id]):
            reason = f"the same id is in the {split} split"
        elif example.group in groups:
            reason = f"its group {example.group!r} is in the {split} split"
        elif example.id in twins:
            reason = f"it nearly repeats {twins[example.id]!r} of the {split} split"
        if reason is None:
            kept.append(example)
        else:
            rejected.append(
                Rejection(
                    id=example.id,
                    stage="split",
                    cause="leakage",
                    detail=reason,
                    cost_usd=example.cost_usd,
                    example=example,
                )
            )
    return Leak(kept, rejected)


def _same_row(one: str, other: str) -> bool:
    """Whether two texts under one id are versions of one row.

    Files often count their ids from zero, each for itself: an equal id alone says nothing.
    """
    return jaccard(shingles(one), shingles(other)) >= _VERSION_SIMILARITY


def _stratum(rows: Sequence[Example]) -> str:
    targets = Counter(str(row.target) for row in rows)
    return min(targets, key=lambda target: (-targets[target], target))


def _unit_hash(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def _split_at(position: float, shares: Mapping[Split, float]) -> Split:
    """The split whose interval of [0, 1) holds a position."""
    chosen: Split = "train"
    edge = 0.0
    for split, share in shares.items():
        if share:
            chosen = split
        edge += share
        if position < edge:
            return split
    return chosen
