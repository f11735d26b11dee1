"""Windows over a document of any length: every token of it stands in at least one.

A window is what the encoder reads at once: ``[CLS] context [SEP] tokens of the document [SEP]``.
Neighbours overlap, and each token of the document is *owned* by exactly one window, the one in
which it stands further from an edge. A window answers for the values that begin in what it
owns; the overlap is wide enough that such a value ends inside the window as well. So nothing is
cut in two, and nothing is answered twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Input, context_of, document_of
from potstill.data.wholes import cuts
from potstill.errors import SpecError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BLOCK_CHARACTERS = 32_768
"""Characters tokenised at once: bounds the memory that a document takes beside itself."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the encoder reads at once, and where in the document each token stands.

    Attributes:
        ids: token ids, special tokens and context included.
        first: index in `ids` of the first token of the document.
        starts: first character of each token of the document (document token,).
        ends: the character after its last one (document token,).
        owned: the tokens of the document that this window answers for: index of the first of
            them and of the one after the last, in `starts`.
        document: the text that `starts` and `ends` count in.
        begins: whether a word or figure of it begins with a token (document token,).
        stops: whether one ends with it (document token,).
        context_cut: whether the context was too long and lost its end.
    """

    ids: list[int]
    first: int
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    owned: tuple[int, int]
    document: str
    begins: NDArray[np.bool_]
    stops: NDArray[np.bool_]
    context_cut: bool = False


class WindowReader:
    """Cuts documents into windows. Safe to share between threads.

    Args:
        tokenizer: neither truncates nor pads.
        tokens: of a window at most, special ones included.
        overlap: share of a window's document tokens that the next one reads again; raised where
            it would not hold two values of the widest kind.
        widest: tokens of the widest value.

    Raises:
        SpecError: the windows are too small for values so wide.
    """

    def __init__(self, tokenizer: Tokenizer, *, tokens: int, overlap: float, widest: int) -> None:
        if tokenizer.truncation is not None or tokenizer.padding is not None:
            raise ValueError("the tokenizer truncates or pads")
        self._tokenizer = tokenizer
        self._overlap = overlap
        self._before, self._after = _special_ids(tokenizer)
        self._room = tokens - len(self._before) - len(self._after)
        self._widest = widest
        if self._room - self._most_context <= 2 * widest:
            raise SpecError(
                f"windows of {tokens} tokens are too small for values of up to {widest} tokens.",
                hint=f"Set 'windows.tokens' to {5 * widest + 8} or more, or lower "
                "'windows.widest_value'.",
            )

    @property
    def _most_context(self) -> int:
        return self._room // 2

    def read(self, value: Input) -> Iterator[Window]:
        """The windows of a document in its order; none where it has no token.

        Args:
            value: a text, or named fields of which the first is the document.
        """
        head, context_cut = self._head(context_of(value))
        room = self._room + len(self._before) - len(head)
        overlap = max(round(self._overlap * room), 2 * self._widest)
        step, margin = room - overlap, overlap // 2
        held: list[_Tokens] = []
        document = document_of(value)
        count, begins = 0, 0

        def window(tokens: _Tokens, ends: int) -> Window:
            return Window(
                [*head, *tokens.ids.tolist(), *self._after],
                len(head),
                tokens.offsets[:, 0],
                tokens.offsets[:, 1],
                (begins, ends),
                document,
                tokens.whole[:, 0],
                tokens.whole[:, 1],
                context_cut,
            )

        for tokens in self._tokens(document):
            held.append(tokens)
            count += len(tokens.ids)
            while count > room:  # more is to come, so this is not the last window
                whole = _Tokens.joined(held)
                yield window(whole[:room], step + margin)
                held, count, begins = [whole[step:]], count - step, margin
        if count:
            yield window(_Tokens.joined(held), count)

    def _head(self, context: str) -> tuple[list[int], bool]:
        """The ids before the document, and whether the context lost its end."""
        if not context:
            return self._before, False
        ids = self._encode(context).ids
        kept = ids[: self._most_context - len(self._after)]
        return [*self._before, *kept, *self._after], len(kept) < len(ids)

    def _tokens(self, document: str) -> Iterator[_Tokens]:
        """The tokens of a document, a block at a time."""
        start = 0
        while start < len(document):
            end = _block_end(document, start)
            block = document[start:end]
            encoding = self._encode(block)
            if encoding.ids:
                offsets = np.array([_trimmed(block, *at) for at in encoding.offsets], np.int64)
                offsets += start
                whole = [[not cuts(document, at) for at in pair] for pair in offsets.tolist()]
                yield _Tokens(np.array(encoding.ids, np.int64), offsets, np.array(whole, np.bool_))
            start = end

    def _encode(self, text: str) -> Any:
        try:
            return self._tokenizer.encode(text, add_special_tokens=False)
        except (TypeError, UnicodeError):
            # A lone surrogate is in no encoding; one character for one keeps the offsets right.
            return self._tokenizer.encode(_SURROGATE.sub("\ufffd", text), add_special_tokens=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Tokens:
    """Tokens in a row.

    Attributes:
        ids: of each (token,).
        offsets: first character and the one after the last (token, 2).
        whole: whether these are bounds of words or figures (token, 2).
    """

    ids: NDArray[np.int64]
    offsets: NDArray[np.int64]
    whole: NDArray[np.bool_]

    @staticmethod
    def joined(parts: list[_Tokens]) -> _Tokens:
        if len(parts) == 1:
            return parts[0]
        return _Tokens(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.whole for part in parts]),
        )

    def __getitem__(self, part: slice) -> _Tokens:
        return _Tokens(self.ids[part], self.offsets[part], self.whole[part])


def _special_ids(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that stand before a text and after it."""
    encoding = tokenizer.encode("a")
    marked = encoding.special_tokens_mask
    first, last = marked.index(0), len(marked) - marked[::-1].index(0)
    return encoding.ids[:first], encoding.ids[last:]


def _block_end(document: str, start: int) -> int:
    """Where a block ends: before white space, so that no word is cut; anywhere if there is none."""
    end = start + _BLOCK_CHARACTERS
    if end >= len(document):
        return len(document)
    for at in range(end, start + _BLOCK_CHARACTERS // 2, -1):
        if document[at].isspace():
            return at
    return end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A token's characters without the white space that byte-level tokenizers count to it."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
