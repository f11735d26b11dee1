"""How the values of a field are recorded, learnt from values beside their evidence.

A contract says ``NIKE, Inc.`` where the records say ``Nike Inc.``: an extraction is of use when
it answers as the records do. A convention is a few named steps, and the words that are recorded
otherwise than they are written; which ones is measured on training pairs. It can be read by a
person, and is saved with the model.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from potstill.data.extraction import Scalar
from potstill.data.values.dates import find_dates
from potstill.spec.extraction import FieldSpec

STEPS: Mapping[str, Callable[[str], str]] = {
    "close_up": lambda text: re.sub(r"\s+(?=[.,;:)])|(?<=[^\W\d]-)\s+(?=\w)", "", text),
    "and_in_words": lambda text: " ".join(text.replace("&", " and ").split()),
    "and_as_sign": lambda text: re.sub(r"\b[Aa][Nn][Dd]\b", "&", text),
    "without_commas": lambda text: text.replace(",", ""),
    "without_article": lambda text: re.sub(r"^(?:the|an?)\s+", "", text, flags=re.IGNORECASE),
    "without_last_stop": lambda text: text.rstrip("."),
    "in_title_case": str.title,
    "in_upper_case": str.upper,
    "in_lower_case": str.lower,
}
"""Ways in which records differ from what they record, in the order in which they are taken."""

FEWEST_REWRITES = 2
"""A word must have been recorded otherwise this often for its rewriting to be taken over."""

LEAST_AGREEMENT = 0.8
"""Share of a word's mentions that must be recorded in the one way."""


@dataclass(frozen=True, slots=True)
class Convention:
    """How evidence becomes a recorded value.

    Attributes:
        steps: names of `STEPS`.
        words: words, in lower case and without points, and how they are recorded.
        day_first: whether ``03/04/2005`` is a day of April; None where nothing tells.
        inside_words: whether values begin or end inside words, as ``6`` in ``6pm``.
    """

    steps: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    day_first: bool | None = None
    inside_words: bool = False

    def write(self, evidence: str) -> str:
        """Evidence as the records would have it."""
        text = " ".join(evidence.split())
        for name, step in STEPS.items():
            if name in self.steps:
                text = step(text)
        return " ".join(self.words.get(_bare(word), word) for word in text.split())

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "steps": list(self.steps),
            "words": dict(self.words),
            "day_first": self.day_first,
            "inside_words": self.inside_words,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Convention:
        """The inverse of `to_json`."""
        words = MappingProxyType(dict(row["words"]))
        return cls(tuple(row["steps"]), words, row["day_first"], row.get("inside_words", False))


def learn_convention(pairs: Iterable[tuple[str, Scalar]], spec: FieldSpec) -> Convention:
    """The convention that reproduces most recorded values of a field from their evidence.

    Values of a type have one normal form, so that of those the order of day and month alone is
    learnt. For texts, steps are added one by one, each time the one after which most values are reproduced, as
    long as their number grows.

    Args:
        pairs: evidence and recorded value of training documents.
        spec: the field.
    """
    known = [(evidence, value) for evidence, value in pairs if isinstance(value, str)]
    if spec.type != "text":
        return Convention(day_first=_day_first(known) if spec.type == "date" else None)
    best = _with_words(Convention(), known)
    reproduced = _reproduced(best, known)
    while True:
        further = [
            _with_words(replace(best, steps=(*best.steps, name)), known)
            for name in STEPS
            if name not in best.steps
        ]
        scores = [_reproduced(convention, known) for convention in further]
        if not scores or max(scores) <= reproduced:
            steps = tuple(name for name in STEPS if name in best.steps)
            return replace(best, steps=steps)
        reproduced = max(scores)
        best = further[scores.index(reproduced)]


def _reproduced(convention: Convention, pairs: Sequence[tuple[str, str]]) -> int:
    return sum(convention.write(evidence) == value for evidence, value in pairs)


def _with_words(convention: Convention, pairs: Sequence[tuple[str, str]]) -> Convention:
    """The convention with the words that its steps alone leave otherwise than recorded."""
    plain = replace(convention, words=MappingProxyType({}))
    recorded: defaultdict[str, Counter[str]] = defaultdict(Counter)
    rewritten: Counter[str] = Counter()
    for evidence, value in pairs:
        written, wanted = plain.write(evidence).split(), value.split()
        if len(written) == len(wanted):
            for one, other in zip(written, wanted, strict=True):
                recorded[_bare(one)][other] += 1
                rewritten[_bare(one)] += one != other
    words: dict[str, str] = {}
    for word, forms in recorded.items():
        form, often = forms.most_common(1)[0]
        if word and rewritten[word] >= FEWEST_REWRITES and often >= LEAST_AGREEMENT * forms.total():
            words[word] = form
    return replace(plain, words=MappingProxyType(words))


def _bare(word: str) -> str:
    """A word's letters and figures, in lower case: ``L.L.C.`` is ``llc``, ``&`` is nothing."""
    return "".join(filter(str.isalnum, word.lower()))


def _day_first(pairs: Sequence[tuple[str, str]]) -> bool | None:
    """Which order of day and month the recorded dates show by their majority."""
    votes: Counter[bool] = Counter()
    for evidence, value in pairs:
        readings = {
            order: [day for day, _, _ in find_dates(evidence, day_first=order)]
            for order in (True, False)
        }
        if readings[True] != readings[False]:
            votes.update(order for order, days in readings.items() if value in days)
    return votes.most_common(1)[0][0] if votes else None
