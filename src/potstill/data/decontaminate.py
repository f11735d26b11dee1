"""Decontamination: training rows that hold an evaluation row, word for word or nearly so.

Two things make a part of a training row (its input, its thought or its target) contaminated:

- it shares a run of so many words with an evaluation row, ten in DeepSeek-R1 (DeepSeek-AI 2025,
  arXiv:2501.12948v2, appendix), whose authors say that paraphrases escape that rule;
- it holds nearly all words of an evaluation row in their order, in a stretch of about its length:
  the longest common subsequence, divided by the words of the evaluation row.

Of evaluation rows of fewer words the whole is compared with the whole part, since "thank you" is
no reason to give up a page, and of these all figures must be the same: 3+5 is not 3+6.

Questions that are made by one form are not copies of each other. A run that ten evaluation rows
share is no row's own and is not looked for; nor is any run of a row that shares six tenths of its
words with most of the rows that have such a phrase in common with it, and of such a row a greater
part must be held. And where most of a row's figures are others, a training row of the same words
is another question.

The index is of the evaluation rows alone, so that training rows can stream past it. A candidate is
found by grams of two or three words. Of each evaluation row the half is indexed that is rarest
among the evaluation rows: a tenth of the words, changed, takes at most three tenths of its
3-grams, so that some of that half remain, and phrases that all rows share are not looked up.
Every candidate is then compared word by word, so that what is found is true as it is told.

MinHash, by which `potstill.data.duplicates` finds copies, estimates how equal two texts are, not
whether one holds the other; benchmarks/decontamination.py prints what each finds and how fast.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rapidfuzz.distance import LCSseq

from potstill.data.example import Example, Input, Text
from potstill.errors import DataError

Part = Literal["input", "reasoning", "target"]

SIMILARITY = 0.75
"""Share of an evaluation row's words from which a training row holds it."""

_SHORT_SIMILARITY = 0.8
"""Of rows of five to nine words one word may be another, of shorter ones none."""
_FORM_ROWS = 10
"""Evaluation rows that share a gram from which on it is one of a form, and no row's own."""
_FORM_ALIKE = 0.6
_FORM_SIMILARITY = 0.87
_COMPANIES = 3
_COMPANY = 30
"""A row is compared with so many others of each of so many grams that the form may be known by."""
_LEAST_GRAMS = 4
_LEAST_SHARED = 0.2
"""Share of a row's indexed grams from which on a training row is compared with it."""
_LEAST_FIGURES = 0.5
_STRETCH = 1.25
"""Length of the compared stretch, in lengths of the evaluation row."""

# Thai, Lao, Burmese, Khmer, Han and kana put no space between words: each letter is one.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
)
_FIGURE = re.compile(r"\d|^[-+*/=<>^]$")
# A sign of sums is a word beside a figure, since 3+5 is another question than 3*5. The sign comes
# before what it looks back at, which is twice as fast.
_SIGN = r"[-+*/=<>^](?:(?<=\d.)|(?<=\d .)|(?=\s?\d))"
_ASCII_WORD = re.compile(rf"\w+(?:'\w+)*|{_SIGN}", re.ASCII)
_LETTERS = rf"[^\W{_UNSPACED}]+"
_WORD = re.compile(rf"[{_UNSPACED}]|{_LETTERS}(?:'{_LETTERS})*|{_SIGN}")
_SIGNS = str.maketrans("×÷−·’", "*/-*'")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Contamination:
    """What of an evaluation row stands in a training row.

    Attributes:
        data: name of the evaluation set.
        id: id of the evaluation row.
        part: the part of the training row that holds it.
        kind: `run`, so many words one after another, or `similar`.
        words: the shared words; an ellipsis stands where the two differ.
        similarity: words shared in their order, in a stretch of about the evaluation row's
            length, divided by the words of the evaluation row (of short ones by those of the
            longer of the two), 0 to 1.
    """

    data: str
    id: str
    part: Part
    kind: Literal["run", "similar"]
    words: str
    similarity: float

    def __str__(self) -> str:
        what = "shares a run of words" if self.kind == "run" else f"{self.similarity:.0%} alike"
        return f"its {self.part} holds {self.id!r} of {self.data!r} ({what}): {self.words}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A text of an evaluation row; grams are those of it that are indexed."""

    data: str
    id: str
    words: tuple[str, ...]
    figures: tuple[str, ...]
    grams: int


class EvaluationIndex:
    """An index of evaluation rows that finds training rows which hold one of them.

    Of an evaluation row its input counts, and target and thought where they are texts of at
    least `ngram` words: the answer 42 stands in half of all rows.

    Args:
        sets: evaluation rows by the name of their set.
        ngram: words of a run that may not be shared.
        similarity: least share of an evaluation row's words, above 0 to 1.

    Raises:
        DataError: `ngram` or `similarity` is out of range.
    """

    def __init__(
        self,
        sets: Mapping[str, Iterable[Example]],
        *,
        ngram: int = 10,
        similarity: float = SIMILARITY,
    ) -> None:
        if ngram < 1 or not 0.0 < similarity <= 1.0:
            raise DataError(
                f"a run of {ngram} words at a similarity of {similarity:g} cannot be looked for",
                hint="Give at least 1 word, and a similarity above 0 and at most 1.",
            )
        self._ngram = ngram
        self._similarity = similarity
        self._rows: list[_Row] = []
        self._runs: dict[int, int] = {}
        self._forms: frozenset[int] = frozenset()
        # Hashes stand for grams: a collision makes a candidate too many, which is then compared.
        self._long: dict[int, array[int]] = {}
        self._short: dict[int, array[int]] = {}
        # Equal texts are one: what stands in many rows is counted below.
        texts: dict[tuple[str, ...], tuple[str, str]] = {}
        for name, rows in sets.items():
            for row in rows:
                for words in _evaluation_texts(row, ngram):
                    texts.setdefault(words, (name, row.id))
        self._add(texts)

    def __len__(self) -> int:
        """Texts in the index."""
        return len(self._rows)

    def find(self, row: Example | str) -> Contamination | None:
        """The evaluation row that a training row holds, the most similar one; None for none.

        Args:
            row: a training row, or the text of its input.
        """
        found: Contamination | None = None
        for part, text in _training_texts(row):
            here = self._find(part, words_of(text))
            if here is not None and (found is None or here.similarity > found.similarity):
                found = here
        return found

    def _add(self, texts: Mapping[tuple[str, ...], tuple[str, str]]) -> None:
        grams_of = [list(dict.fromkeys(self._grams(words))) for words in texts]
        frequency = Counter(gram for grams in grams_of for gram in grams)
        run_frequency = Counter(run for words in texts for run in set(self._runs_of(words)))
        company: defaultdict[int, list[int]] = defaultdict(list)
        for place, ((words, (name, key)), grams) in enumerate(
            zip(texts.items(), grams_of, strict=True)
        ):
            grams.sort(key=lambda gram: frequency[gram])
            own = sum(frequency[gram] < _FORM_ROWS for gram in grams)
            rarest = grams[: max(_LEAST_GRAMS, min(own, (len(grams) + 1) // 2))]
            index = self._short if len(words) < self._ngram else self._long
            for gram in rarest:
                index.setdefault(gram, array("I")).append(place)
            self._rows.append(_Row(name, key, words, _figures(words), len(rarest)))
            for run in self._runs_of(words):
                if run_frequency[run] < _FORM_ROWS:
                    self._runs.setdefault(run, place)
            for gram in grams[own:]:
                if len(company[gram]) < _COMPANY:
                    company[gram].append(place)
        self._forms = frozenset(
            place
            for place, grams in enumerate(grams_of)
            if any(
                self._is_form(place, company[gram])
                for gram in islice(filter(company.get, grams), _COMPANIES)
            )
        )

    def _runs_of(self, words: tuple[str, ...]) -> Iterator[int]:
        return _hashes(words, self._ngram) if len(words) >= self._ngram else iter(())

    def _grams(self, words: Sequence[str]) -> Iterator[int]:
        return _hashes(words, 2 if len(words) < self._ngram else 3)

    def _is_form(self, place: int, company: Sequence[int]) -> bool:
        """Whether most of some rows that share a gram with this one are of its form."""
        words, others = self._rows[place].words, [self._rows[other].words for other in company]
        alike = [LCSseq.normalized_similarity(words, other) >= _FORM_ALIKE for other in others]
        return sum(alike) > len(alike) / 2

    def _find(self, part: Part, words: tuple[str, ...]) -> Contamination | None:
        found: Contamination | None = None
        grams = list(_hashes(words, 3))
        running = {self._runs[run] for run in self._runs.keys() & set(self._runs_of(words))}
        places = {*running, *self._candidates(self._long, set(grams))}
        if part == "input" and len(words) <= self._ngram * _STRETCH:
            places.update(self._candidates(self._short, set(_hashes(words, 2))))
        for place in sorted(places):
            run = self._common_run(words, place) if place in running else ()
            here = self._compare(part, words, grams, place, run)
            if here is not None and (found is None or here.similarity > found.similarity):
                found = here
        return found

    def _candidates(self, index: dict[int, array[int]], grams: set[int]) -> Iterator[int]:
        """Places of rows of which enough indexed grams are here."""
        shared = Counter[int]()
        for gram in index.keys() & grams:
            shared.update(index[gram])
        for place, count in shared.items():
            if count >= _LEAST_SHARED * self._rows[place].grams:
                yield place

    def _compare(
        self,
        part: Part,
        words: tuple[str, ...],
        grams: Sequence[int],
        place: int,
        run: tuple[str, ...],
    ) -> Contamination | None:
        row, least = self._rows[place], self._similarity
        short = len(row.words) < self._ngram
        if short:
            window, whole = words, max(len(row.words), len(words))
            least = max(least, _SHORT_SIMILARITY)
        else:
            window, whole = _densest(words, grams, row.words), len(row.words)
        if place in self._forms:
            least = max(least, _FORM_SIMILARITY)
        common = LCSseq.similarity(row.words, window)
        if not run and (common < least * whole or self._other_figures(row, window, short)):
            return None
        shared = " ".join(run) or _shared(row.words, window)
        kind = "run" if run else "similar"
        return Contamination(row.data, row.id, part, kind, shared, common / whole)

    def _other_figures(self, row: _Row, window: tuple[str, ...], short: bool) -> bool:
        """Whether a row of nearly the same words asks about other figures."""
        here = _figures(window)
        if short:
            return here != row.figures
        return LCSseq.similarity(row.figures, here) < _LEAST_FIGURES * len(row.figures)

    def _common_run(self, words: tuple[str, ...], row: int) -> tuple[str, ...]:
        """The longest run of words that is also in a row, the first of equals; empty for none.

        Some of so many words in it must be shared by few evaluation rows.
        """
        if row in self._forms:
            return ()
        wanted, size = self._rows[row].words, self._ngram
        places: dict[int, list[int]] = defaultdict(list)
        for place, gram in enumerate(self._runs_of(wanted)):
            if gram in self._runs:
                places[gram].append(place)
        best: tuple[str, ...] = ()
        for start, gram in enumerate(self._runs_of(words)):
            for place in places.get(gram, ()):
                if start and place and words[start - 1] == wanted[place - 1]:
                    continue
                end = 0
                for one, other in zip(words[start:], wanted[place:], strict=False):
                    if one != other:
                        break
                    end += 1
                if end >= size and end > len(best):
                    best = words[start : start + end]
        return best


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, and its signs of sums, without case and in compatible letters."""
    if text.isascii():
        found = _ASCII_WORD.findall(text.lower())
    else:
        folded = unicodedata.normalize("NFKC", text).casefold().translate(_SIGNS)
        found = _WORD.findall(folded)
    # A text of other signs alone is one word.
    return tuple(found) or tuple(text.split())


def _hashes(words: Sequence[str], size: int) -> Iterator[int]:
    """A hash of each gram of so many words; of fewer words one of them all."""
    if len(words) < size:
        return iter((hash(tuple(words)),) if words else ())
    return map(hash, zip(*(words[start:] for start in range(size)), strict=False))


def _evaluation_texts(row: Example, ngram: int) -> Iterator[tuple[str, ...]]:
    first, *others = _fields(row.input)
    yield words_of(first)
    if isinstance(row.target, Text):
        others.append(row.target.text)
    if row.reasoning is not None:
        others.append(row.reasoning)
    for text in others:
        words = words_of(text)
        # Columns of figures meet by chance; what is said does not.
        if sum(word.isalpha() for word in words) >= ngram:
            yield words


def _training_texts(row: Example | str) -> Iterator[tuple[Part, str]]:
    if isinstance(row, str):
        yield "input", row
        return
    for text in _fields(row.input):
        yield "input", text
    if row.reasoning is not None:
        yield "reasoning", row.reasoning
    if isinstance(row.target, Text):
        yield "target", row.target.text


def _fields(value: Input) -> list[str]:
    return [value] if isinstance(value, str) else list(value.values()) or [""]


def _densest(
    words: tuple[str, ...], grams: Sequence[int], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """The stretch of these words, about as long as wanted, that shares the most grams with it."""
    length = int(len(wanted) * _STRETCH) + 1
    if len(words) <= length:
        return words
    known = set(_hashes(wanted, 3))
    hits = [place for place, gram in enumerate(grams) if gram in known]
    best = first = count = 0
    for last, place in enumerate(hits):
        while place - hits[first] > length - 3:
            first += 1
        if last - first + 1 > count:
            best, count = first, last - first + 1
    if not count:
        return words[:length]
    # What the stretch is longer than its hits lies on both sides of them.
    begin, end = hits[best], hits[best + count - 1] + 3
    begin = max(0, begin - (length - (end - begin)) // 2)
    return words[begin : begin + length]


def _figures(words: Sequence[str]) -> tuple[str, ...]:
    """The words with a digit, and the signs of sums."""
    return tuple(word for word in words if _FIGURE.search(word))


def _shared(wanted: tuple[str, ...], window: tuple[str, ...]) -> str:
    parts: list[str] = []
    for step in LCSseq.opcodes(wanted, window):
        if step.tag == "equal":
            parts += wanted[step.src_start : step.src_end]
        elif parts and parts[-1] != "…":
            parts.append("…")
    return " ".join(parts).removesuffix(" …")
