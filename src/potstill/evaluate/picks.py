"""Picks: the production rows whose label would teach the next student most.

A row teaches much where the model is unsure of it, and little where it says what another pick
says already. So picks are taken one after the other, each time the row of the greatest

    (1 - confidence) * (1 - similarity to the nearest pick so far)

Uncertainty sampling (Lewis & Gale, SIGIR 1994) alone picks the same question in twenty
wordings; the second factor is that of maximal marginal relevance (Carbonell & Goldstein, SIGIR
1998), as a product, so that a copy of a pick is worth nothing however unsure the model is.
Similarity is the cosine of TF-IDF vectors of words and pairs of words.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from potstill.data.example import Deferral, text_of
from potstill.data.production import Kept
from potstill.errors import DataError, MissingExtraError
from potstill.evaluate.intervals import FloatArray
from potstill.evaluate.record import Record

_CANDIDATES_PER_PICK = 20
_FEWEST_CANDIDATES = 2_000
_LEAST_WORTH = 1e-3
"""Below this a row is sure, or a copy of a pick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick(Record):
    """One row that is worth a label.

    Attributes:
        id: hash of the input, as it was kept.
        input: the input, as it was kept.
        guess: what the model took it for.
        confidence: how sure the model was.
        deferred: why it did not answer; None where it did.
        worth: uncertainty times novelty at the time of picking, 0 to 1.
        at: when it was answered.
    """

    id: str
    input: str | dict[str, str]
    guess: str | tuple[str, ...] | None
    confidence: float
    deferred: Deferral | None
    worth: float
    at: str

    def row(self, column: str = "text") -> dict[str, Any]:
        """A row of a data file, as ``data.unlabeled`` of a task reads it.

        Args:
            column: of the text; named fields are columns of their own names.
        """
        known = self.to_json()
        text = known.pop("input")
        fields = {column: text} if isinstance(text, str) else text
        return {"id": known.pop("id"), **fields, **known}


def pick(rows: Iterable[Kept], most: int) -> list[Pick]:
    """The rows whose label would teach most, the best first.

    Only rows whose texts were kept can be picked, and none that a fallback has answered: those
    have a label already. A text that came several times is one candidate.

    Args:
        rows: what was kept.
        most: rows wanted; there may be fewer that are worth it.

    Raises:
        DataError: no text was kept.
        MissingExtraError: scikit-learn is not installed.
    """
    candidates, texts = _most_unsure(rows, max(_FEWEST_CANDIDATES, _CANDIDATES_PER_PICK * most))
    if not texts:
        raise DataError(
            "no texts were kept, so that there are none to pick.",
            hint="Set 'serve.consent: true' in the task if their owner agrees, and serve it again.",
        )
    doubt = np.array([1.0 - (row.prediction.confidence or 0.0) for row in candidates])
    return [
        _pick(candidates[at], worth) for at, worth in _diverse(doubt, map(_text, candidates), most)
    ]


def _most_unsure(rows: Iterable[Kept], most: int) -> tuple[list[Kept], int]:
    """The least confident rows, each text once, and the number of rows that have a text."""
    seen: set[str] = set()
    heap: list[tuple[float, int, Kept]] = []
    texts = 0
    # Where confidences are equal the number decides, so that rows are never compared.
    for number, row in enumerate(rows):
        texts += row.input is not None
        confidence = row.prediction.confidence
        if row.input is None or row.answer is not None or confidence is None or row.id in seen:
            continue
        seen.add(row.id)
        entry = (1.0 - confidence, -number, row)
        (heapq.heappush if len(heap) < most else heapq.heappushpop)(heap, entry)
    return [row for *_, row in sorted(heap, reverse=True)], texts


def _diverse(doubt: FloatArray, texts: Iterable[str], most: int) -> Iterator[tuple[int, float]]:
    """Places and worths of the picks, one after the other."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "train") from error
    if not len(doubt):
        return
    # Texts without a single word are all alike.
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|^\W*$")
    vectors: Any = vectorizer.fit_transform(texts)
    nearest = np.zeros(len(doubt))
    for _ in range(most):
        worth = doubt * (1.0 - nearest)
        best = int(worth.argmax())
        if worth[best] < _LEAST_WORTH:
            return
        yield best, float(worth[best])
        similar = (vectors @ vectors[best].T).toarray()[:, 0]
        nearest = np.maximum(nearest, np.minimum(similar, 1.0))
        nearest[best] = 1.0


def _text(row: Kept) -> str:
    return text_of(row.input or "")


def _pick(row: Kept, worth: float) -> Pick:
    given = row.prediction
    return Pick(
        id=row.id,
        input=row.input if isinstance(row.input, str) else dict(row.input or {}),
        guess=given.target if isinstance(given.target, str | tuple) else None,
        confidence=given.confidence or 0.0,
        deferred=given.deferred,
        worth=worth,
        at=row.at,
    )
