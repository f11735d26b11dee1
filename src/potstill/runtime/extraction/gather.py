"""From the mentions of all windows to the values that a document may hold.

A contract names its parties on the first page, again in the signatures, and in other spellings in
between. Mentions that read as the same value are one candidate, and how often, how early and
against which rivals a value is said tells beside the student's logit whether it is right.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from potstill.data.extraction import Scalar, Value
from potstill.data.values import value_key
from potstill.runtime.extraction.mentions import Mention

FEATURES = ("logit", "support", "lead", "early")
"""What is known of a value, in this order:

`logit` of its surest mention; `support`, how much its other mentions add: the logarithm of the sum
of all their odds over the surest one's, zero for a single mention; `lead` of its surest mention
over that of its surest rival in the field, in logits; `early`, of its first mention: one at the
beginning of a document and one half after a thousand characters.
"""

LEAST_LOGIT = -6.0
"""Mentions of a probability below a quarter of a per cent are not looked at. The rules of models
that exist were fitted with it, since `lead` measures from here where there is no rival."""

_FARTHEST = 10.0
"""Lead from which more says nothing more."""

_HALF_EARLY = 1000.0

ReadEvidence = Callable[[str, str], Scalar | None]
"""The value that the evidence says of a field, by ``(field, evidence)``; None where it is none."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a document may hold for a field.

    Attributes:
        value: with the evidence of its surest mention, and no confidence yet.
        features: in the order of `FEATURES`.
    """

    value: Value
    features: tuple[float, ...]


def gather(
    mentions: Iterable[Mention], document: str, read: ReadEvidence
) -> dict[str, list[Found]]:
    """The values that a document may hold, by field; in a field the surest mention's first.

    Args:
        mentions: of all its windows.
        document: the text that their offsets count in.
        read: the normaliser of each field; mentions that it cannot read are no values.
    """
    groups: dict[str, dict[str, _Group]] = {}
    for mention in _apart(mentions):
        value = read(mention.field, document[mention.start : mention.end])
        if value is not None:
            field = groups.setdefault(mention.field, {})
            field.setdefault(value_key(value), _Group(value, [])).mentions.append(mention)
    return {name: _found(list(field.values()), document) for name, field in groups.items()}


@dataclass(frozen=True, slots=True)
class _Group:
    """A value and its mentions, the surest first."""

    value: Scalar
    mentions: list[Mention]

    @property
    def best(self) -> Mention:
        return self.mentions[0]


def _found(groups: Sequence[_Group], document: str) -> list[Found]:
    """The groups of one field, the surest first, with their features."""
    best, second = (*(group.best.logit for group in groups[:2]), LEAST_LOGIT)[:2]
    return [
        Found(
            Value(
                group.value,
                document[group.best.start : group.best.end],
                group.best.start,
                group.best.end,
            ),
            (
                group.best.logit,
                _support(group.mentions),
                min(group.best.logit - (best if at else second), _FARTHEST),
                1.0 / (1.0 + min(one.start for one in group.mentions) / _HALF_EARLY),
            ),
        )
        for at, group in enumerate(groups)
    ]


def _support(mentions: Sequence[Mention]) -> float:
    return math.log(sum(math.exp(one.logit - mentions[0].logit) for one in mentions))


def _apart(mentions: Iterable[Mention]) -> list[Mention]:
    """The surest mentions first, without those that overlap a surer one of their field.

    A window has seen to it already among its own; the last value of one and the first of the
    next may still share characters.
    """
    kept: list[Mention] = []
    taken: dict[str, list[tuple[int, int]]] = {}
    for mention in sorted(mentions, key=lambda one: (-one.logit, one.start)):
        spans = taken.setdefault(mention.field, [])
        at = bisect_left(spans, (mention.start, mention.end))
        before = spans[at - 1][1] if at else 0
        after = spans[at][0] if at < len(spans) else mention.end
        if before <= mention.start and mention.end <= after:
            spans.insert(at, (mention.start, mention.end))
            kept.append(mention)
    return kept
