"""What an export gives its candidates to read: a whole document's tokenizer, rows in mixed order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from potstill.data.example import Example

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def whole_tokenizer(path: Path) -> Tokenizer:
    """The base's tokenizer as it ships: a document is cut into windows, and never by it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def shuffled(rows: Sequence[Example], seed: int) -> list[Example]:
    """The rows in an order that the seed draws."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[at] for at in order.tolist()]


def silent(phase: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
