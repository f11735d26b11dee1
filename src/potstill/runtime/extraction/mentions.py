"""Mentions: the places in a document that look like a value of a field.

The student scores every run of tokens up to the widest value for every field. Here its scores
become mentions: the surest first, and none of one field that overlaps a surer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potstill.runtime.extraction.windows import Window

_MOST_CANDIDATES = 1000
"""Runs of tokens of a window that are looked at, the surest ones: a bound against a student that
finds everything likely."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that looks like a value of a field.

    Attributes:
        field: its name.
        start: first character in the document.
        end: the character after the last one.
        logit: of the probability that exactly these characters are a value of the field.
    """

    field: str
    start: int
    end: int
    logit: float


def find_mentions(
    logits: NDArray[np.float32], window: Window, fields: Sequence[str], *, least: float = 0.0
) -> list[Mention]:
    """The mentions that begin in what a window owns, the surest first.

    Args:
        logits: of the runs of tokens (token, width, field): entry ``[i, w]`` is the run from
            token ``i`` of ``window.ids`` to token ``i + w``, inclusive.
        window: that the student read.
        fields: names in the order of the last axis.
        least: the lowest logit of a mention.
    """
    first, last = window.owned
    owned = logits[window.first + first : window.first + last]
    tokens, widths, columns = np.nonzero(owned >= least)
    inside = first + tokens + widths < len(window.ends)
    tokens, widths, columns = tokens[inside], widths[inside], columns[inside]
    found = owned[tokens, widths, columns]
    surest = np.argsort(-found, kind="stable")[:_MOST_CANDIDATES]
    return without_overlaps(
        Mention(
            fields[int(columns[at])],
            int(window.starts[first + tokens[at]]),
            int(window.ends[first + tokens[at] + widths[at]]),
            float(found[at]),
        )
        for at in surest.tolist()
    )


def without_overlaps(mentions: Iterable[Mention]) -> list[Mention]:
    """The surest mentions first, without those that share a character with a surer one of the same field.

    Two fields may share words: a date on which a contract is signed and comes into force.

    Args:
        mentions: of one document.
    """
    kept: list[Mention] = []
    taken: dict[str, list[tuple[int, int]]] = {}
    for mention in sorted(mentions, key=lambda one: -one.logit):
        others = taken.setdefault(mention.field, [])
        free = all(mention.end <= start or end <= mention.start for start, end in others)
        if mention.start < mention.end and free:
            others.append((mention.start, mention.end))
            kept.append(mention)
    return kept
