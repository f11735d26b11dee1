from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer

from potstill.runtime.extraction.mentions import Mention, find_mentions, without_overlaps
from potstill.runtime.extraction.windows import Window, WindowReader

FIELDS = ("party", "date")


@pytest.fixture
def window(tokenizer: Tokenizer) -> Window:
    """Six tokens of one letter, two characters apart, after ``[CLS]``."""
    (made,) = WindowReader(tokenizer, tokens=16, overlap=0.0, widest=2).read("a b c a b c")
    return made


def silence(window: Window, widest: int = 3) -> np.ndarray:
    return np.full((len(window.ids), widest, len(FIELDS)), -9.0, np.float32)


def test_a_run_of_tokens_becomes_the_characters_from_its_first_to_its_last(window: Window) -> None:
    logits = silence(window)
    logits[2, 1, 1] = 4.0  # [CLS] a b c: tokens b and c
    assert find_mentions(logits, window, FIELDS) == [Mention("date", 2, 5, 4.0)]


def test_the_surest_of_overlapping_runs_stands(window: Window) -> None:
    logits = silence(window)
    logits[1, 1, 0], logits[2, 0, 0], logits[4, 0, 0] = 1.0, 3.0, 0.5
    found = find_mentions(logits, window, FIELDS)
    assert [(one.start, one.end) for one in found] == [(2, 3), (6, 7)]


def test_two_fields_may_share_words(window: Window) -> None:
    logits = silence(window)
    logits[1, 0] = 2.0
    assert {one.field for one in find_mentions(logits, window, FIELDS)} == set(FIELDS)


def test_runs_past_the_document_are_none(window: Window) -> None:
    logits = silence(window)
    logits[6, 1, 0] = logits[7, 0, 0] = logits[0, 0, 0] = 9.0  # c [SEP]; [SEP]; [CLS]
    assert find_mentions(logits, window, FIELDS) == []


def test_only_what_begins_in_the_owned_part_is_answered(tokenizer: Tokenizer) -> None:
    reader = WindowReader(tokenizer, tokens=16, overlap=0.5, widest=2)
    cut = list(reader.read(" ".join("abc"[at % 3] for at in range(40))))
    assert len(cut) > 2
    places: list[int] = []
    for window in cut:
        logits = silence(window)
        logits[:, 0, 0] = 1.0
        places += [one.start for one in find_mentions(logits, window, FIELDS)]
    assert sorted(places) == list(range(0, 80, 2))


def test_least_is_the_lowest_logit(window: Window) -> None:
    logits = silence(window)
    logits[1, 0, 0], logits[3, 0, 0] = -1.0, -2.0
    assert [one.logit for one in find_mentions(logits, window, FIELDS, least=-1.0)] == [-1.0]


def test_a_mention_without_a_character_is_none() -> None:
    assert without_overlaps([Mention("party", 3, 3, 1.0)]) == []


def test_without_overlaps_leaves_neighbours_alone() -> None:
    given = [Mention("party", 0, 4, 1.0), Mention("party", 4, 6, 2.0), Mention("party", 5, 9, 1.5)]
    assert without_overlaps(given) == [given[1], given[0]]
