"""What a written text must not be: empty, a form to fill in, or a copy of something known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from potstill.data import Example, Input, text_of
from potstill.data.duplicates import NearDuplicates, jaccard, shingles
from potstill.generate.commission import DEMONSTRATION
from potstill.generate.grid import Cell

_GAP = re.compile(
    r"\[[A-Za-z][\w' /-]{0,40}\]|<[A-Za-z][\w' -]{0,40}>|\{[A-Za-z][\w' -]{0,40}\}|…$|\.\.\.$"
)
_IDENTIFIER = re.compile(r"[_/]|[a-z][A-Z]")
_LEAST_WORDS = 2
_ECHO = 0.6


class Novelty:
    """Decides whether a written text is new, and remembers those that are.

    Args:
        labels: the taxonomy.
        seeds: rows that the teacher may have been shown.
        frozen: rows of the test and development splits, which it never was.
        similarity: Jaccard similarity of word 3-grams from which a text is a copy.

    Raises:
        MissingExtraError: datasketch is not installed.
    """

    def __init__(
        self,
        labels: Mapping[str, str | None],
        *,
        seeds: Iterable[Example],
        frozen: Iterable[Example],
        similarity: float,
    ) -> None:
        # A label that is a plain word may stand in any text; an identifier betrays the answer.
        self._betraying = [label.casefold() for label in labels if _IDENTIFIER.search(label)]
        self._known = {
            "leakage": NearDuplicates(similarity),
            "copied_seed": NearDuplicates(similarity),
        }
        self._written = NearDuplicates(similarity)
        for cause, examples in (("leakage", frozen), ("copied_seed", seeds)):
            for place, example in enumerate(examples):
                self._known[cause].add(f"{place}:{example.id}", example.text)

    def objection(self, value: Input, cell: Cell) -> tuple[str, str] | None:
        """The cause and a sentence against a text that was written for a cell; None if it is new."""
        return self._form(value, cell) or self._copy(text_of(value))

    def remember(self, key: str, value: Input) -> None:
        """Holds a text against all that come later."""
        self._written.add(key, text_of(value))

    def _form(self, value: Input, cell: Cell) -> tuple[str, str] | None:
        parts = [value] if isinstance(value, str) else list(value.values())
        text = " ".join(parts)
        if not all(part.strip() for part in parts) or len(text.split()) < _LEAST_WORDS:
            return "empty_text", "there is nothing, or one word alone"
        gap = _GAP.search(text)
        if gap is not None:
            return "placeholder", f"it leaves a gap: {gap[0]!r}"
        folded = text.casefold()
        named = next((label for label in self._betraying if label in folded), None)
        if named is not None:
            return "states_label", f"it names the label {named!r}"
        pieces = shingles(text)
        told = [words for words in (cell.situation, cell.persona, *DEMONSTRATION) if words]
        if any(jaccard(pieces, shingles(words)) >= _ECHO for words in told):
            return "echoes_prompt", "it repeats the words of the request"
        if cell.persona and pieces & shingles(cell.persona):
            return "echoes_prompt", "it tells of its writer, and is not what they wrote"
        return None

    def _copy(self, text: str) -> tuple[str, str] | None:
        for cause, index in self._known.items():
            twin = index.find(text)
            if twin is not None:
                whose = "seed" if cause == "copied_seed" else "frozen row"
                return cause, f"it nearly repeats the {whose} {twin.partition(':')[2]!r}"
        twin = self._written.find(text)
        return None if twin is None else ("duplicate", f"it nearly repeats {twin!r}")
