"""Loops: stretches of a thought that say the same again and again and bring nothing new.

Two measurements must agree, since each alone is fooled. Repeated n-grams also show in an
enumeration that shares its wording, so a stretch loops only if hardly any word in it stands
there once: each item of an honest list names something of its own. And such a stretch must
compress, which text with many short common words does not.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

_NGRAM = 3
_TIMES = 3
_SHORTEST_WORDS = 32
_LONGEST_WORDS = 1600
_MIN_COVERED = 0.75
_MAX_NEW = 0.07
_MAX_RATIO = 0.42

# Letters without spaces between words (Chinese, Japanese, Thai) are words by themselves; so are
# the letters of a "word" that is too long to be one, since "hahahaha" must be seen to repeat.
_PIECE = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\W\d_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+|\d+"
)
_LONGEST_WORD = 30
# "12." and "Step 13:" count the items of a list and are no news.
_COUNTER = re.compile(
    r"^[ \t#>*•-]*(?:\w{1,12}[ \t])?\(?\d{1,4}[.):][ \t]+|\b(?:step|item|reason|point)\s+\d+\b",
    re.IGNORECASE | re.MULTILINE,
)
_SAME_SIGN = re.compile(r"([^\w\s])\1{199,}")


@dataclass(frozen=True, slots=True)
class Loop:
    """Where a thought goes round in circles.

    Attributes:
        share: words inside loops divided by all words, 0 to 1.
        begins: character at which the first loop begins.
        ratio: compressed size of the most regular loop divided by its size.
        excerpt: the beginning of the first loop.
    """

    share: float
    begins: int
    ratio: float
    excerpt: str


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int


def find_loop(thought: str) -> Loop | None:
    """The loops of a thought taken together; None where it goes on saying something new."""
    signs = _SAME_SIGN.search(thought)
    words = list(_words(thought))
    if signs is not None:
        share = (signs.end() - signs.start()) / len(thought)
        return Loop(share, signs.start(), 0.0, signs[0][:60])
    looping = bytearray(len(words))
    # Hardly a word of a healthy text is repeated at all, which is seen before any window is.
    repeated = list(accumulate(_covered([word.text for word in words]), initial=0))
    ratios: list[float] = []
    for start, end in _windows(len(words)):
        known = looping.find(0, start, end) < 0
        if known or repeated[end] - repeated[start] < _MIN_COVERED * (end - start):
            continue
        ratio = _repeats(thought, words[start:end])
        if ratio is not None:
            looping[start:end] = b"\1" * (end - start)
            ratios.append(ratio)
    if not ratios:
        return None
    begins = words[looping.index(1)].start
    excerpt = " ".join(thought[begins : begins + 80].split())
    return Loop(sum(looping) / len(words), begins, min(ratios), excerpt)


def _words(thought: str) -> Iterator[_Word]:
    # What counts items is blanked, not cut, so that places in the thought stay true.
    text = _COUNTER.sub(lambda found: " " * len(found[0]), thought)
    for found in _PIECE.finditer(text):
        if len(found[0]) <= _LONGEST_WORD:
            yield _Word(found[0].casefold(), found.start(), found.end())
        else:
            for place, letter in enumerate(found[0].casefold(), found.start()):
                yield _Word(letter, place, place + 1)


def _windows(length: int) -> Iterator[tuple[int, int]]:
    """Windows of growing size over the words, each overlapping the next, the last all of them."""
    longest = min(length, _LONGEST_WORDS)
    size = _SHORTEST_WORDS
    while size < longest:
        step = max(4, size // 4)
        for start in range(0, length - size, step):
            yield start, start + size
        yield length - size, length
        size = size * 5 // 4
    if longest >= _SHORTEST_WORDS:
        yield length - longest, length


def _covered(texts: Sequence[str]) -> bytearray:
    """1 for each word that lies in an n-gram which these words hold often enough, else 0."""
    grams = [tuple(texts[i : i + _NGRAM]) for i in range(len(texts) - _NGRAM + 1)]
    times = Counter(grams)
    covered = bytearray(len(texts))
    for place, gram in enumerate(grams):
        if times[gram] >= _TIMES:
            covered[place : place + _NGRAM] = b"\1" * _NGRAM
    return covered


def _repeats(thought: str, words: Sequence[_Word]) -> float | None:
    """The compression ratio of a window that loops, else None."""
    texts = [word.text for word in words]
    if sum(_covered(texts)) < _MIN_COVERED * len(texts):
        return None
    once = sum(count == 1 for count in Counter(texts).values())
    if once > _MAX_NEW * len(texts):
        return None
    span = thought[words[0].start : words[-1].end].encode("utf-8", "surrogatepass")
    ratio = len(zlib.compress(span, 9, wbits=-15)) / len(span)
    return ratio if ratio <= _MAX_RATIO else None
