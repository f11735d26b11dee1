"""Mentions: the places in a document that say a value of a field.

The student scores every run of tokens up to the widest value for every field. Here its scores
become mentions: the surest first, and none of one field that overlaps a surer one. A run that
cannot be read as the field's type, or that cuts a word or a figure, is no mention and stands in
no other's way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from potstill.data.extraction import Scalar
from potstill.runtime.extraction.windows import Window
from potstill.spec.extraction import FieldSpec

_MOST_CANDIDATES = 1000
"""Runs of tokens of a window that are looked at, the surest ones: a bound against a student that
finds everything likely."""


class Reads(Protocol):
    """What knows of fields which evidence they may have, and what it says."""

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """By name, in the order of the logits."""
        ...

    def whole(self, field: str, /) -> bool:
        """Whether values of a field are whole words and figures."""
        ...

    def __call__(self, field: str, evidence: str, /) -> Scalar | None:
        """The value that the evidence says of a field; None where it is none."""
        ...


@dataclass(frozen=True, slots=True)
class Mention:
    """A place that says a value of a field.

    Attributes:
        field: its name.
        start: first character in the document.
        end: the character after the last one.
        logit: of the probability that exactly these characters are a value of the field.
        value: that they say.
    """

    field: str
    start: int
    end: int
    logit: float
    value: Scalar


@dataclass(slots=True)
class Taken:
    """Parts of a document, none of which shares a character with another."""

    spans: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def is_free(self, start: int, end: int) -> bool:
        """Whether a part shares a character with none of them."""
        at = bisect_left(self.spans, (start, end))
        before = self.spans[at - 1][1] if at else 0
        after = self.spans[at][0] if at < len(self.spans) else end
        return before <= start and end <= after

    def take(self, start: int, end: int) -> None:
        """Add a part that is free."""
        self.spans.insert(bisect_left(self.spans, (start, end)), (start, end))


def find_mentions(
    logits: NDArray[np.float32], window: Window, read: Reads, *, least: float = 0.0
) -> list[Mention]:
    """The mentions that begin in what a window owns, the surest first.

    Two fields may share words: a date on which a contract is signed and comes into force.

    Args:
        logits: of the runs of tokens (token, width, field): entry ``[i, w]`` is the run from
            token ``i`` of ``window.ids`` to token ``i + w``, inclusive.
        window: that the student read.
        read: the fields of the last axis, and the normaliser of each.
        least: the lowest logit of a mention.
    """
    names = tuple(read.fields)
    taken = [Taken() for _ in names]
    found: list[Mention] = []
    for start, end, column, logit in _candidates(logits, window, read, least):
        if start < end and taken[column].is_free(start, end):
            value = read(names[column], window.document[start:end])
            if value is not None:
                taken[column].take(start, end)
                found.append(Mention(names[column], start, end, logit, value))
    return found


def _candidates(
    logits: NDArray[np.float32], window: Window, read: Reads, least: float
) -> list[tuple[int, int, int, float]]:
    """Start, end, field and logit of the runs that may be mentions, the surest first."""
    first, last = window.owned
    owned = logits[window.first + first : window.first + last]
    tokens, widths, columns = np.nonzero(owned >= least)
    inside = first + tokens + widths < len(window.ends)
    tokens, widths, columns = tokens[inside], widths[inside], columns[inside]
    begin, stop = first + tokens, first + tokens + widths
    anywhere = ~np.array([read.whole(name) for name in read.fields], np.bool_)
    kept = np.flatnonzero((window.begins[begin] & window.stops[stop]) | anywhere[columns])
    scores = owned[tokens[kept], widths[kept], columns[kept]]
    surest = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
    kept = kept[surest]
    return list(
        zip(
            window.starts[begin[kept]].tolist(),
            window.ends[stop[kept]].tolist(),
            columns[kept].tolist(),
            scores[surest].tolist(),
            strict=True,
        )
    )
