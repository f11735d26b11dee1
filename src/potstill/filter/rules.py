"""Filters that need no model: validity, policy, duplicates, agreement."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from potstill.data import Example, Extraction, Rejection, Target, Text, labels_of
from potstill.data.duplicates import NearDuplicates
from potstill.data.values import value_key
from potstill.filter.base import reject
from potstill.filter.meaning import repeats_in_meaning

_MAX_UNREADABLE = 0.1


@dataclass(frozen=True)
class Validity:
    """A row must hold readable text and a target inside the taxonomy.

    Attributes:
        labels: the taxonomy.
    """

    labels: tuple[str, ...]
    name: str = "validity"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        return [found for example in examples if (found := self._fault(example)) is not None]

    def _fault(self, example: Example) -> Rejection | None:
        fault = text_fault(example)
        if fault is not None:
            return reject(example, self.name, *fault)
        if example.target is None:
            return reject(example, self.name, "no_target", "nobody said what the answer is")
        for label in labels_of(example.target):
            if label not in self.labels:
                return reject(
                    example,
                    self.name,
                    "outside_taxonomy",
                    f"{label!r} is not a label of the task",
                )
        return None


def text_fault(example: Example) -> tuple[str, str] | None:
    """Why the text of a row cannot be read, as cause and detail; None where it can."""
    text = example.text
    if not text.strip():
        return "empty_text", "the text is empty"
    unreadable = sum(not (c.isprintable() or c.isspace()) for c in text) / len(text)
    if unreadable > _MAX_UNREADABLE:
        said = f"{unreadable:.0%} of the characters are control characters or unassigned"
        return "unreadable_text", said
    return None


@dataclass(frozen=True)
class Policy:
    """A row with a source that the owner denies never reaches training.

    Attributes:
        deny: patterns of source names, as in `fnmatch` (``openai/*``), case folded.
    """

    deny: tuple[str, ...]
    name: str = "policy"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        rejected: list[Rejection] = []
        for example in examples:
            for source in example.sources:
                pattern = self.denies(source.name)
                if pattern is not None:
                    detail = f"the source {source.name!r} is denied by {pattern!r}"
                    rejected.append(reject(example, self.name, "denied_source", detail))
                    break
        return rejected

    def denies(self, source: str) -> str | None:
        """The first pattern that denies a source of this name; None where none does."""
        folded = source.casefold()
        return next((p for p in self.deny if fnmatchcase(folded, p.casefold())), None)


@dataclass(frozen=True)
class Duplicates:
    """Of rows that say nearly the same, the first stays; if their targets differ, none does.

    A row that a person answered stays, whatever a teacher said of its copies; the caller puts
    such rows first. With `near_meaning` rows also repeat each other in other words, but only
    where they have the same target: neighbours with different targets are the border that the
    student must learn. Documents of which other values are true, as of two contracts made from
    one form, repeat each other only where they are the same to the word. Of texts many are right,
    so that two of them never contradict each other.

    Attributes:
        similarity: least Jaccard similarity of word 3-grams.
        near_meaning: least cosine similarity of embeddings; None leaves meaning alone.
        features: id of a row -> its embedding (dimension,); read with `near_meaning`.
    """

    similarity: float
    near_meaning: float | None = None
    features: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]] | None = None
    name: str = "duplicates"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        rejected = self._in_words(examples)
        if self.near_meaning is not None and self.features is not None:
            gone = {rejection.id for rejection in rejected}
            left = [example for example in examples if example.id not in gone]
            rejected += self._in_meaning(left, self.near_meaning, self.features)
        return rejected

    def _in_meaning(
        self,
        examples: Sequence[Example],
        least: float,
        features: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]],
    ) -> list[Rejection]:
        """A person's rows are never taken: two of them that are alike were both meant."""
        answered: dict[Any, list[Example]] = {}
        for example in examples:
            answered.setdefault(_said(example.target), []).append(example)
        rejected: list[Rejection] = []
        for rows in answered.values():
            repeats = repeats_in_meaning(np.stack([features[row.id] for row in rows]), least)
            for row, repeat in zip(rows, repeats, strict=True):
                if repeat is not None and not row.is_gold:
                    twin, cosine = rows[repeat[0]].id, repeat[1]
                    detail = f"says the same as {twin!r} (cosine {cosine:.2f})"
                    rejected.append(reject(row, self.name, "same_meaning", detail))
        return rejected

    def _in_words(self, examples: Sequence[Example]) -> list[Rejection]:
        index = NearDuplicates(self.similarity)
        first: dict[str, Example] = {}
        repeats: dict[str, list[Example]] = {}
        for example in examples:
            twin = index.find(example.text)
            if twin is None or _is_another(example, first[twin]):
                index.add(example.id, example.text)
                first[example.id] = example
            else:
                repeats.setdefault(twin, []).append(example)
        rejected: list[Rejection] = []
        for original, copies in repeats.items():
            known = first[original]
            # A person's answer beats a teacher's; equals who differ cancel each other.
            peers = [copy for copy in copies if copy.is_gold or not known.is_gold]
            disputed = any(_said(copy.target) != _said(known.target) for copy in peers)
            for copy in copies:
                cause = "conflicting_duplicate" if disputed else "duplicate"
                detail = f"nearly repeats {original!r}"
                rejected.append(reject(copy, self.name, cause, detail))
            if disputed:
                answers = sorted({str(_said(row.target)) for row in (known, *copies)})
                detail = f"its near-copies were answered differently: {', '.join(answers)}"
                rejected.append(reject(known, self.name, "conflicting_duplicate", detail))
        return rejected


def _is_another(example: Example, known: Example) -> bool:
    """Whether a near-copy is a document of its own: other words, and other values in them."""
    if not isinstance(example.target, Extraction) or example.text.split() == known.text.split():
        return False
    return _said(example.target) != _said(known.target)


def _said(target: Target | None) -> Any:
    """What a target says, apart from where it stands and how sure it is, as a key."""
    if isinstance(target, Text):
        return None
    if isinstance(target, Extraction):
        values = {name: {value_key(v.value) for v in held} for name, held in target.fields.items()}
        return "; ".join(f"{name}: {', '.join(sorted(values[name]))}" for name in sorted(values))
    return target


@dataclass(frozen=True)
class Agreement:
    """The teachers must agree enough: the winner's probability reaches a threshold.

    Of fields that is the mean probability of what is said of each. Rows with a hard target alone
    (one teacher, one vote; a person) have nothing to disagree with and are kept, and so are
    texts: of several the one that is most like the others was chosen.

    Attributes:
        least: least probability of the winning label, 0 to 1.
    """

    least: float
    name: str = "agreement"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        rejected: list[Rejection] = []
        for example in examples:
            shares, target = example.soft_target, example.target
            if shares is None:
                continue
            if isinstance(target, str):
                share, what = shares.get(target, 0.0), f"{target!r} won"
            elif isinstance(target, Extraction) and shares:
                share, what = statistics.fmean(shares.values()), "its fields won"
            else:
                continue
            if share < self.least:
                detail = f"{what} with {share:.2f}, below {self.least:.2f}"
                rejected.append(reject(example, self.name, "low_agreement", detail))
        return rejected
