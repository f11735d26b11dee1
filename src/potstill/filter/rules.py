"""Filters that need no model: validity, policy, duplicates, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from potstill.data import Example, Rejection
from potstill.data.duplicates import NearDuplicates
from potstill.filter.base import reject

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
        text = example.text
        if not text.strip():
            return reject(example, self.name, "empty_text", "the text is empty")
        unreadable = sum(not (c.isprintable() or c.isspace()) for c in text) / len(text)
        if unreadable > _MAX_UNREADABLE:
            return reject(
                example,
                self.name,
                "unreadable_text",
                f"{unreadable:.0%} of the characters are control characters or unassigned",
            )
        if example.target is None:
            return reject(example, self.name, "no_target", "nobody said what the answer is")
        given = (example.target,) if isinstance(example.target, str) else example.target
        for label in given:
            if label not in self.labels:
                return reject(
                    example,
                    self.name,
                    "outside_taxonomy",
                    f"{label!r} is not a label of the task",
                )
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
                pattern = self._denies(source.name)
                if pattern is not None:
                    detail = f"the source {source.name!r} is denied by {pattern!r}"
                    rejected.append(reject(example, self.name, "denied_source", detail))
                    break
        return rejected

    def _denies(self, source: str) -> str | None:
        folded = source.casefold()
        return next((p for p in self.deny if fnmatchcase(folded, p.casefold())), None)


@dataclass(frozen=True)
class Duplicates:
    """Of rows that say nearly the same, the first stays; if their targets differ, none does.

    A row that a person answered stays, whatever a teacher said of its copies; the caller puts
    such rows first.

    Attributes:
        similarity: least Jaccard similarity of word 3-grams.
    """

    similarity: float
    name: str = "duplicates"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        index = NearDuplicates(self.similarity)
        first: dict[str, Example] = {}
        repeats: dict[str, list[Example]] = {}
        for example in examples:
            twin = index.find(example.text)
            if twin is None:
                index.add(example.id, example.text)
                first[example.id] = example
            else:
                repeats.setdefault(twin, []).append(example)
        rejected: list[Rejection] = []
        for original, copies in repeats.items():
            known = first[original]
            # A person's answer beats a teacher's; equals who differ cancel each other.
            peers = [copy for copy in copies if copy.is_gold or not known.is_gold]
            disputed = any(copy.target != known.target for copy in peers)
            for copy in copies:
                cause = "conflicting_duplicate" if disputed else "duplicate"
                detail = f"nearly repeats {original!r}"
                rejected.append(reject(copy, self.name, cause, detail))
            if disputed:
                answers = sorted({str(row.target) for row in (known, *copies)})
                detail = f"its near-copies were answered differently: {', '.join(answers)}"
                rejected.append(reject(known, self.name, "conflicting_duplicate", detail))
        return rejected


@dataclass(frozen=True)
class Agreement:
    """The teachers must agree enough: the winner's probability reaches a threshold.

    Rows with a hard target alone (one teacher, one vote; a person) have nothing to disagree
    with and are kept.

    Attributes:
        least: least probability of the winning label, 0 to 1.
    """

    least: float
    name: str = "agreement"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        rejected: list[Rejection] = []
        for example in examples:
            if example.soft_target is None or not isinstance(example.target, str):
                continue
            share = example.soft_target.get(example.target, 0.0)
            if share < self.least:
                detail = f"{example.target!r} won with {share:.2f}, below {self.least:.2f}"
                rejected.append(reject(example, self.name, "low_agreement", detail))
        return rejected
