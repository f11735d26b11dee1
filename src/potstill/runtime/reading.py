"""From an input to token ids: any string at all, in bounded time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from potstill.data.example import Input, text_of
from potstill.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHARACTERS_PER_TOKEN = 32
"""Characters looked at first, for each token that the model reads: six times the English mean."""

_MOST_CHARACTERS_PER_TOKEN = 256
"""Characters looked at in the end, where most of a text vanishes (spaces, control characters)."""


class Reader:
    """A tokenizer that cuts what is too long and accepts what is not well-formed.

    A text is cut after ``max_tokens`` tokens, as ``tokenizer.json`` says. Before that it is
    cut after 32 characters a token, because the whole of a 10 MB text would take seconds to
    tokenise only to be thrown away. Should so many characters make too few tokens, four times
    as many are read, and so on up to 256 characters a token.

    Args:
        tokenizer: truncates at ``max_tokens`` and does not pad.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        truncation: Any = tokenizer.truncation
        if truncation is None:
            raise ValueError("the tokenizer does not truncate")
        self.max_tokens: int = truncation["max_length"]
        self._encode = tokenizer.encode
        self._first_cut = self.max_tokens * _CHARACTERS_PER_TOKEN

    def read(self, value: Input) -> tuple[list[int], bool]:
        """Token ids, and whether something of the input was cut.

        Args:
            value: a text, or named fields.

        Raises:
            DataError: neither of the two.
        """
        text = value if type(value) is str else _text(value)
        if len(text) > self._first_cut:
            return self._read_long(text)
        encoding = self._encode_any(text)
        # A tokenizer that adds no special tokens makes nothing of an empty text; one token
        # is the least that an encoder can attend to.
        return encoding.ids or [0], bool(encoding.overflowing)

    def _read_long(self, text: str) -> tuple[list[int], bool]:
        cut = self._first_cut
        while True:
            encoding = self._encode_any(text[:cut])
            enough = bool(encoding.overflowing)
            if enough or cut >= min(len(text), self.max_tokens * _MOST_CHARACTERS_PER_TOKEN):
                return encoding.ids or [0], enough or cut < len(text)
            cut *= 4

    def _encode_any(self, text: str) -> Any:
        try:
            return self._encode(text)
        except (TypeError, UnicodeError):
            # A lone surrogate is in no encoding: pairs become their character, the rest U+FFFD.
            return self._encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def check_input(value: Any) -> None:
    """See that an input is one.

    Raises:
        DataError: neither a text nor named fields.
    """
    if not isinstance(value, str | Mapping):
        raise DataError(
            f"an input is a text or named fields, not {type(value).__name__}.",
            hint="Give a string, or a mapping of names to strings.",
        )


def _text(value: Any) -> str:
    check_input(value)
    return text_of(value)
