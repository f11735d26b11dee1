"""From the mentions of all windows to the values that a document may hold.

A contract names its parties on the first page, again in the signatures, and in other spellings in
between. Mentions that read as the same value are one candidate, and how often, how early and
against which rivals a value is said tells beside the student's logit whether it is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from potstill.data.extraction import Value
from potstill.data.values import value_key
from potstill.runtime.extraction.mentions import Mention, Taken

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

_MOST_VALUES = 5000
"""Values of a field that are kept while a document is read, the surest: a bound of the memory that
no contract comes near."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value that a document may hold for a field.

    Attributes:
        value: with the evidence of its surest mention, and no confidence yet.
        features: in the order of `FEATURES`.
    """

    value: Value
    features: tuple[float, ...]


class Gathering:
    """Puts the mentions of a document together, a window at a time, and keeps values alone.

    A window has seen to it that none of its own mentions overlap; the last ones of one and the
    first ones of the next still may. So mentions wait until nothing that is to come can reach them.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[Mention]] = {}
        self._groups: dict[str, dict[str, _Group]] = {}

    def add(self, mentions: Sequence[Mention]) -> None:
        """Take the mentions of the next window; no later one may begin before them."""
        if not mentions:
            return
        begins = min(mention.start for mention in mentions)
        for name, waiting in self._waiting.items():
            settled, self._waiting[name] = _settled(waiting, begins)
            self._settle(name, settled)
        for mention in mentions:
            self._waiting.setdefault(mention.field, []).append(mention)

    def found(self, document: str) -> dict[str, list[Found]]:
        """The values that the document may hold, by field; in a field the surest mention's first.

        Args:
            document: the text that the offsets of the mentions count in.
        """
        for name, waiting in self._waiting.items():
            self._settle(name, waiting)
        self._waiting = {}
        return {name: _found(_surest(some), document) for name, some in self._groups.items()}

    def _settle(self, name: str, mentions: Sequence[Mention]) -> None:
        """Count the mentions of a field that stand among some that no other overlaps."""
        groups = self._groups.setdefault(name, {}) if mentions else {}
        for mention in _apart(mentions):
            key = value_key(mention.value)
            if key in groups:
                groups[key].add(mention)
            else:
                groups[key] = _Group(mention, 1.0, mention.start)
        if len(groups) > 2 * _MOST_VALUES:
            kept = {id(group) for group in _surest(groups)[:_MOST_VALUES]}
            self._groups[name] = {key: one for key, one in groups.items() if id(one) in kept}


def gather(mentions: Sequence[Mention], document: str) -> dict[str, list[Found]]:
    """The values that a document may hold, by field, of the mentions of all its windows."""
    gathering = Gathering()
    gathering.add(mentions)
    return gathering.found(document)


@dataclass(slots=True)
class _Group:
    """A value and what is known of its mentions.

    Attributes:
        best: the surest of them.
        odds: of all of them, over those of the surest.
        first: where the first one begins.
    """

    best: Mention
    odds: float
    first: int

    def add(self, mention: Mention) -> None:
        """Count one more mention, which begins after those before it or is less sure."""
        if mention.logit > self.best.logit:
            self.odds = self.odds * math.exp(self.best.logit - mention.logit) + 1.0
            self.best = mention
        else:
            self.odds += math.exp(mention.logit - self.best.logit)
        self.first = min(self.first, mention.start)


def _surest(groups: Mapping[str, _Group]) -> list[_Group]:
    return sorted(groups.values(), key=lambda group: (-group.best.logit, group.best.start))


def _found(groups: Sequence[_Group], document: str) -> list[Found]:
    """The groups of one field, the surest first, with their features."""
    best, second = (*(group.best.logit for group in groups[:2]), LEAST_LOGIT)[:2]
    return [
        Found(
            Value(
                group.best.value,
                document[group.best.start : group.best.end],
                group.best.start,
                group.best.end,
            ),
            (
                group.best.logit,
                math.log(group.odds),
                min(group.best.logit - (best if at else second), _FARTHEST),
                1.0 / (1.0 + group.first / _HALF_EARLY),
            ),
        )
        for at, group in enumerate(groups)
    ]


def _settled(waiting: list[Mention], begins: int) -> tuple[list[Mention], list[Mention]]:
    """The mentions of a field that nothing from a character on can reach, and the others.

    Mentions that overlap, be it by way of others, are settled together.
    """
    ordered = sorted(waiting, key=lambda one: one.start)
    settled = reach = 0
    for at, mention in enumerate(ordered):
        if reach <= mention.start:
            settled = at
        reach = max(reach, mention.end)
        if reach > begins:
            return ordered[:settled], ordered[settled:]
    return ordered, []


def _apart(mentions: Iterable[Mention]) -> list[Mention]:
    """The surest mentions of a field first, without those that overlap a surer one."""
    kept: list[Mention] = []
    taken = Taken()
    for mention in sorted(mentions, key=lambda one: (-one.logit, one.start)):
        if taken.is_free(mention.start, mention.end):
            taken.take(mention.start, mention.end)
            kept.append(mention)
    return kept
