"""From an input to the tokens that a writer goes on from: what training and service share.

A prompt is the source between a fixed beginning and a fixed end, both kept as token ids. The
source is tokenised by itself, and nothing in it is read as a control token: a document that
says ``<|im_end|>`` says so in characters, and cannot end its own turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data.example import Input
from potstill.runtime.reading import Reader

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands around every source, and what ends a text.

    Attributes:
        before: token ids ahead of the source: the instruction.
        after: token ids behind it; the text that is wanted comes next.
        ends: token ids of which each one ends the text; training uses the first.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    ends: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """``{"before": […], "after": […], "ends": […]}``."""
        return {"before": self.before, "after": self.after, "ends": self.ends}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Prompt:
        """The inverse of `to_json`."""
        return cls(*(tuple(row[key]) for key in ("before", "after", "ends")))


class PromptReader:
    """Tokenises sources into prompts, and tokens back into text.

    Args:
        content: of a base's ``tokenizer.json``.
        prompt: what stands around a source.
        max_tokens: of a source; what is longer is cut.
    """

    def __init__(self, content: str, prompt: Prompt, *, max_tokens: int) -> None:
        self._whole = _plain_tokenizer(content)
        cutting = _plain_tokenizer(content)
        cutting.enable_truncation(max_tokens)
        self._reader = Reader(cutting)
        self.prompt = prompt
        self.max_tokens = max_tokens

    def read(self, value: Input) -> tuple[list[int], bool]:
        """The prompt's token ids, and whether something of the source was cut.

        Raises:
            DataError: neither a text nor named fields.
        """
        ids, cut = self._reader.read(value)
        return [*self.prompt.before, *ids, *self.prompt.after], cut

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text that is to be written, however long."""
        return self._whole.encode(text).ids

    def text(self, ids: list[int]) -> str:
        """The text that token ids stand for, without white space at its ends."""
        return self._whole.decode(ids).strip()


def _plain_tokenizer(content: str) -> Tokenizer:
    """A tokenizer that cuts nothing and puts nothing before, behind or into a text.

    What a base puts around a text (a token for its beginning, mostly) is part of the prompt.
    """
    from tokenizers import Tokenizer

    settings = {**orjson.loads(content), "post_processor": None}
    tokenizer = Tokenizer.from_str(orjson.dumps(settings).decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer
