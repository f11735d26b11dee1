"""ROUGE: how much of what is wanted a text says in the same words.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", by way of the library
rouge-score, with stemming. Its own reading of words knows the letters a to z alone; ours
agrees with it there and reads other scripts too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from potstill.errors import MissingExtraError

_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W_\u3040-\u30ff\u3400-\u9fff]+")
"""A run of letters and digits; scripts without spaces are read character by character."""

_LONGEST_UNSTEMMED = 3


@dataclass(frozen=True, slots=True)
class Rouge:
    """F1 of the words, of the word pairs, and of the longest common subsequence, 0 to 1."""

    rouge_1: float
    rouge_2: float
    rouge_l: float


def rouge(text: str, references: Sequence[str]) -> Rouge:
    """The ROUGE of a text against the reference that suits each figure best.

    Args:
        text: what was written.
        references: texts that are equally right; without any all figures are 0.

    Raises:
        MissingExtraError: rouge-score is not installed.
    """
    if not references:
        return Rouge(0.0, 0.0, 0.0)
    scores = _scorer().score_multi(references, text)
    return Rouge(*(float(scores[name].fmeasure) for name in _FIGURES))


_FIGURES = ("rouge1", "rouge2", "rougeL")


class _Words:
    """The tokenizer that rouge-score is given."""

    def __init__(self, stem: Any) -> None:
        self._stem = cache(stem)

    def tokenize(self, text: str) -> list[str]:
        """Words in lower case, the longer ones stemmed."""
        words = _WORD.findall(text.lower())
        return [self._stem(word) if len(word) > _LONGEST_UNSTEMMED else word for word in words]


@cache
def _scorer() -> Any:
    try:
        from nltk.stem.porter import PorterStemmer
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtraError("rouge-score", "train") from error
    return RougeScorer(list(_FIGURES), tokenizer=_Words(PorterStemmer().stem))
