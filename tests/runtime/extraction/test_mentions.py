from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from potstill.data.values import Convention
from potstill.runtime.extraction.mentions import Mention, find_mentions
from potstill.runtime.extraction.values import ValueReader
from potstill.runtime.extraction.windows import Window, WindowReader
from potstill.spec.extraction import FieldSpec

FIELDS = {"party": FieldSpec(), "note": FieldSpec()}
READ = ValueReader(FIELDS, {})


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
    assert find_mentions(logits, window, READ) == [Mention("note", 2, 5, 4.0, "b c")]


def test_the_surest_of_overlapping_runs_stands(window: Window) -> None:
    logits = silence(window)
    logits[1, 1, 0], logits[2, 0, 0], logits[4, 0, 0] = 1.0, 3.0, 0.5
    found = find_mentions(logits, window, READ)
    assert [(one.start, one.end) for one in found] == [(2, 3), (6, 7)]


def test_two_fields_may_share_words(window: Window) -> None:
    logits = silence(window)
    logits[1, 0] = 2.0
    assert {one.field for one in find_mentions(logits, window, READ)} == set(FIELDS)


def test_runs_past_the_document_are_none(window: Window) -> None:
    logits = silence(window)
    logits[6, 1, 0] = logits[7, 0, 0] = logits[0, 0, 0] = 9.0  # c [SEP]; [SEP]; [CLS]
    assert find_mentions(logits, window, READ) == []


def test_only_what_begins_in_the_owned_part_is_answered(tokenizer: Tokenizer) -> None:
    reader = WindowReader(tokenizer, tokens=16, overlap=0.5, widest=2)
    cut = list(reader.read(" ".join("abc"[at % 3] for at in range(40))))
    assert len(cut) > 2
    places: list[int] = []
    for window in cut:
        logits = silence(window)
        logits[:, 0, 0] = 1.0
        places += [one.start for one in find_mentions(logits, window, READ)]
    assert sorted(places) == list(range(0, 80, 2))


def test_least_is_the_lowest_logit(window: Window) -> None:
    logits = silence(window)
    logits[1, 0, 0], logits[3, 0, 0] = -1.0, -2.0
    assert [one.logit for one in find_mentions(logits, window, READ, least=-1.0)] == [-1.0]


def cut(tokenizer: Tokenizer, text: str) -> Window:
    (made,) = WindowReader(tokenizer, tokens=64, overlap=0.0, widest=2).read(text)
    return made


def mentions(window: Window, read: ValueReader, *runs: tuple[int, int, float]) -> list[str]:
    """What is found of the only field when the student holds (first token, last token, logit)."""
    logits = np.full((len(window.ids), len(window.ids), 1), -9.0, np.float32)
    for first, last, logit in runs:
        logits[window.first + first, last - first, 0] = logit
    return [window.document[one.start : one.end] for one in find_mentions(logits, window, read)]


@pytest.fixture
def letters() -> Tokenizer:
    """One token a character but white space."""
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return made


def test_what_cannot_be_read_stands_in_nobodys_way(letters: Tokenizer) -> None:
    window = cut(letters, "on 13.10.2015 or 7")
    dates = ValueReader({"signed": FieldSpec(type="date")}, {})
    # o n 1 3 . 1 0 . 2 0 1 5 o r 7
    assert mentions(window, dates, (0, 11, 1.0), (2, 11, 2.0), (2, 14, 1.5), (2, 6, 3.0)) == [
        "13.10.2015"
    ]
    assert mentions(window, dates, (12, 14, 3.0), (8, 13, 2.5), (2, 11, 1.0)) == ["13.10.2015"]


def test_no_mention_cuts_a_word_or_a_figure(letters: Tokenizer) -> None:
    window = cut(letters, "£1,250 ten tenancy")
    text = ValueReader({"any": FieldSpec()}, {})
    # £ 1 , 2 5 0 t e n t e n a n c y
    assert mentions(window, text, (0, 1, 9.0), (3, 5, 8.0), (9, 11, 7.0)) == []
    assert mentions(window, text, (0, 5, 1.0), (6, 8, 2.0), (9, 15, 3.0)) == [
        "tenancy",
        "ten",
        "£1,250",
    ]


def test_values_that_are_recorded_inside_words_are_found_there(letters: Tokenizer) -> None:
    window = cut(letters, "at 6pm")
    read = ValueReader({"time": FieldSpec()}, {"time": Convention(inside_words=True)})
    assert mentions(window, read, (2, 2, 1.0)) == ["6"]
