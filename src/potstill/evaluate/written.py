"""What written texts are like, beside how good they are."""

from __future__ import annotations

from dataclasses import dataclass

from potstill.evaluate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Record):
    """The texts of a predictor; means are of the rows that it answered.

    Attributes:
        words: mean words of an answer.
        gold_words: mean words of the first reference.
        longer: answers that have more words than their source.
        guarded: answers that a guard changed.
    """

    words: float
    gold_words: float
    longer: int
    guarded: int
