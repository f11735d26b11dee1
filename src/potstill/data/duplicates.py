"""Near-duplicates: texts that share almost all of their word 3-grams.

Candidates come from MinHash signatures in a locality-sensitive index (Broder 1997; Indyk and
Motwani 1998), which misses a few; each candidate is then verified by its exact Jaccard
similarity, so that none is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from potstill.errors import MissingExtraError

_WORD = re.compile(r"\w+")
_SHINGLE_WORDS = 3
_PERMUTATIONS = 128


def shingles(text: str) -> frozenset[str]:
    """The word 3-grams of a text, case folded; a shorter text is one shingle."""
    words = _WORD.findall(text.casefold())
    if len(words) <= _SHINGLE_WORDS:
        return frozenset([" ".join(words) or text.strip().casefold()])
    return frozenset(
        " ".join(words[start : start + _SHINGLE_WORDS])
        for start in range(len(words) - _SHINGLE_WORDS + 1)
    )


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles divided by all shingles, 0 to 1."""
    return len(one & other) / len(one | other)


class NearDuplicates:
    """An index of texts that finds what is nearly the same.

    Args:
        similarity: least Jaccard similarity of word 3-grams, above 0 to 1.

    Raises:
        MissingExtraError: datasketch is not installed.
    """

    def __init__(self, similarity: float) -> None:
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError as error:
            raise MissingExtraError("datasketch", "train") from error
        self._similarity = similarity
        # Banding makes matches at the threshold itself a coin toss; a looser index loses none
        # to speak of, and verification removes what it finds too much.
        self._index = MinHashLSH(threshold=max(0.1, similarity - 0.2), num_perm=_PERMUTATIONS)
        self._signature = MinHash(num_perm=_PERMUTATIONS)
        self._texts: dict[str, str] = {}

    def add(self, key: str, text: str) -> None:
        """Put a text into the index under a key that it does not hold yet."""
        self._texts[key] = text
        self._index.insert(key, self._sign(shingles(text)), check_duplication=False)

    def find(self, text: str) -> str | None:
        """The key of a text in the index that is nearly the same, or None."""
        wanted = shingles(text)
        found = [
            key
            for key in map(str, self._index.query(self._sign(wanted)))
            if jaccard(wanted, shingles(self._texts[key])) >= self._similarity
        ]
        return min(found, default=None)

    def _sign(self, pieces: frozenset[str]):  # a type of an optional library
        signature = self._signature.copy()
        signature.update_batch([piece.encode("utf-8", "surrogatepass") for piece in pieces])
        return signature


def near_duplicates_of(
    rows: Iterable[tuple[str, str]], frozen: Iterable[tuple[str, str]], similarity: float
) -> Iterator[tuple[str, str]]:
    """Pairs of (id of a row, id of the frozen row that it nearly repeats).

    Args:
        rows: (id, text) of the rows that may be removed.
        frozen: (id, text) of the rows that may not.
        similarity: least Jaccard similarity of word 3-grams.
    """
    index = NearDuplicates(similarity)
    for key, text in frozen:
        index.add(key, text)
    for key, text in rows:
        twin = index.find(text)
        if twin is not None:
            yield key, twin
