"""Picking sentences: scores of tokens become an answer made of a document's own words.

A sentence scores the mean of its tokens' scores, plus what its place and its length speak for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.counting import first_words
from potstill.data.example import Input, Text, document_of
from potstill.data.sentences import Sentence, split_sentences
from potstill.runtime.extraction.windows import Window, WindowReader

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FEATURES = ("first", "second", "third", "last", "place", "log_words", "log_words_squared", "long")
"""What is known of a sentence besides its tokens, see `features_of`."""

_OVERLAP = 0.25
_LONG_WORDS = 30
"""Words from which on a sentence rather says too much."""


@dataclass(frozen=True, slots=True)
class PickDecision:
    """How scores become an answer.

    Attributes:
        max_words: of an answer.
        most_sentences: of an answer.
        weights: of each of `FEATURES`, added to the mean score of a sentence's tokens.
    """

    max_words: int
    most_sentences: int
    weights: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """As ``model.json`` holds it."""
        weights = dict(zip(FEATURES, self.weights, strict=True))
        return {
            "max_words": self.max_words,
            "most_sentences": self.most_sentences,
            "weights": weights,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> PickDecision:
        """The inverse of `to_json`."""
        weights = tuple(float(row["weights"][name]) for name in FEATURES)
        return cls(int(row["max_words"]), int(row["most_sentences"]), weights)

    def answer(self, sentences: Sequence[Sentence], tokens: NDArray[np.float32]) -> Text:
        """The best sentence, and the next best ones that fit, in the order of the document.

        A best sentence that is longer than an answer may be is cut, and ``guarded`` says so: what
        a shorter one says instead is mostly beside the point.

        Args:
            sentences: of the document; none gives an empty text.
            tokens: mean score of each one's tokens (sentence,).
        """
        if not sentences:
            return Text("")
        # Of equals the earlier one, whatever the machine sorts like.
        best, *rest = np.argsort(-self.scores(sentences, tokens), kind="stable").tolist()
        left = self.max_words - sentences[best].words
        if left < 0:
            cut = first_words(sentences[best].text, self.max_words)
            return Text(cut, guarded=("length",))
        taken = [best]
        for at in rest:
            if len(taken) < self.most_sentences and sentences[at].words <= left:
                taken.append(at)
                left -= sentences[at].words
        said = (" ".join(sentences[at].text.split()) for at in sorted(taken))
        return Text(" ".join(said))

    def scores(
        self, sentences: Sequence[Sentence], tokens: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The score of each sentence (sentence,), its place and length included."""
        return tokens + features_of(sentences) @ np.array(self.weights)


class Picks:
    """Answers documents of any length with sentences of theirs. Safe to share between threads.

    Args:
        reader: cuts documents into windows, see `pick_reader`.
        score: scores of the tokens of a window (token, 1).
        decision: what is answered.
    """

    def __init__(
        self,
        reader: WindowReader,
        score: Callable[[list[int]], NDArray[np.float32]],
        decision: PickDecision,
    ) -> None:
        self.reader = reader
        self._score = score
        self._decision = decision

    def pick(self, value: Input) -> Text:
        """The sentences that answer a document; an empty text where it has none."""
        sentences = split_sentences(document_of(value))
        scored = ((window, self._score(window.ids)) for window in self.reader.read(value))
        means = sentence_means(sentences, scored)
        return self._decision.answer(sentences, means[:, 0])


def pick_reader(tokenizer: Tokenizer, tokens: int) -> WindowReader:
    """What cuts documents into windows for the scoring of sentences.

    Args:
        tokenizer: neither truncates nor pads.
        tokens: of a window, special ones included.
    """
    return WindowReader(tokenizer, tokens=tokens, overlap=_OVERLAP, widest=1)


def features_of(sentences: Sequence[Sentence]) -> NDArray[np.float64]:
    """Place and length of each sentence (sentence, feature), in the order of `FEATURES`."""
    count = len(sentences)
    at = np.arange(count)
    words = np.array([max(1, sentence.words) for sentence in sentences])
    return np.stack(
        [
            at == 0,
            at == 1,
            at == 2,
            at == count - 1,
            at / max(1, count - 1),
            np.log(words),
            np.log(words) ** 2,
            np.maximum(0, words / _LONG_WORDS - 1),
        ],
        axis=1,
    ).astype(np.float64)


def sentence_means(
    sentences: Sequence[Sentence], windows: Iterable[tuple[Window, NDArray[np.float32]]]
) -> NDArray[np.float32]:
    """What each sentence's tokens are on average: scores, or the states of an encoder.

    A token counts in the one window that owns it, so a sentence may stand in several.

    Args:
        sentences: of a document.
        windows: of the document, each with what is known of its tokens (token, dimension).

    Returns:
        (sentence, dimension); zeros for a sentence without a token.
    """
    starts = np.array([sentence.start for sentence in sentences])
    total: NDArray[np.float64] | None = None
    count = np.zeros(len(sentences))
    for window, known in windows:
        where = owners(window, starts)
        kept = where >= 0
        begins, ends = window.owned
        rows = known[window.first + begins : window.first + ends][kept]
        if total is None:
            total = np.zeros((len(sentences), known.shape[1]))
        np.add.at(total, where[kept], rows)
        np.add.at(count, where[kept], 1)
    if total is None:
        return np.zeros((len(sentences), 1), dtype=np.float32)
    return (total / np.maximum(count, 1)[:, None]).astype(np.float32)


def owners(window: Window, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sentence of each token that a window owns (owned token,); -1 before the first one.

    Args:
        window: of a document.
        starts: first character of each sentence of the document.
    """
    begins, ends = window.owned
    return np.searchsorted(starts, window.starts[begins:ends], side="right") - 1
