"""Extractors made by hand; a tokenizer of a few words, and one that counts white space to tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from extraction_model import write_extractor
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from potstill.runtime.extraction.extractor import Extractor

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "asked", ":", "people", "a", "b", "c", "##b", "##c"]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Words of the letters a, b and c become one token a letter; all else is unknown."""
    vocabulary = {word: index for index, word in enumerate(_WORDS)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return made


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    """One token a byte, white space included, and no special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", letter) for letter in "abc"]
    vocabulary = {piece: at for at, piece in enumerate([*alphabet, *map("".join, merges)])}
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    made.decoder = decoders.ByteLevel()
    return made


@pytest.fixture
def make_extractor(tmp_path: Path) -> Callable[..., Extractor]:
    """Write a model folder, see `write_extractor`, and load it."""

    def make(*, workers: int = 1, **options: Any) -> Extractor:
        return Extractor.load(write_extractor(tmp_path / "model", **options), workers=workers)

    return make


@pytest.fixture
def extractor(make_extractor: Callable[..., Extractor]) -> Extractor:
    """With one worker."""
    return make_extractor()
