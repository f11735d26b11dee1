from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from potstill.data.example import Example
from potstill.data.extraction import Extraction, Value
from potstill.data.places import (
    Place,
    count_located,
    learn_conventions,
    lost_values,
    places_of,
)
from potstill.errors import TrainingError
from potstill.runtime.extraction.windows import WindowReader
from potstill.spec.extraction import FieldSpec
from potstill.train.spans.lesson import (
    SpanRow,
    read_lesson,
    span_losses,
    span_rows,
    span_targets,
    target_of,
    worth_learning,
)
from potstill.train.tokens import load_whole_tokenizer

FIELDS = {"bank": FieldSpec(), "signed": FieldSpec(type="date")}
NAMES = tuple(FIELDS)


@pytest.fixture
def reader(tiny_base: Path) -> WindowReader:
    tokenizer = load_whole_tokenizer(tiny_base / "tokenizer.json")
    return WindowReader(tokenizer, tokens=16, overlap=0.0, widest=3)


def document(text: str, unsure: tuple[str, ...] = (), **values: tuple[Value, ...]) -> Example:
    return Example(id="d", input=text, target=Extraction(values, unsure))


def rows_of(reader: WindowReader, example: Example, *places: Place) -> list[SpanRow]:
    return span_rows(example, places, reader=reader, fields=NAMES, widest=3)


def test_a_recorded_place_is_the_only_one() -> None:
    text = "my bank and my bank"
    example = document(text, bank=(Value("bank", "bank", 15, 19),))
    assert [place for place, _ in places_of(example, FIELDS)] == [Place("bank", 15, 19)]


def test_a_value_without_a_place_is_sought_wherever_it_is_said() -> None:
    example = document(
        "Bank and my bank, 3 May 2004", bank=(Value("bank"),), signed=(Value("2004-05-03"),)
    )
    found = {(place.field, place.start, place.end) for place, _ in places_of(example, FIELDS)}
    assert found == {("bank", 0, 4), ("bank", 12, 16), ("signed", 18, 28)}


def test_a_value_that_stands_nowhere_has_no_place() -> None:
    assert places_of(document("the loan", bank=(Value("a wholly other name"),)), FIELDS) == []


def test_a_place_that_cuts_a_word_by_mistake_is_taken_for_the_whole_word() -> None:
    example = document("at 13:00pm or the bank", bank=(Value("13:00", "13:00", 3, 8),))
    assert learn_conventions([example], FIELDS)["bank"].inside_words is False
    assert [place for place, _ in places_of(example, FIELDS)] == [Place("bank", 3, 10)]


def test_places_that_are_meant_to_cut_words_stay_as_they_are() -> None:
    examples = [document(f"at {hour}pm", bank=(Value(hour, hour, 3, 4),)) for hour in "678"]
    conventions = learn_conventions(examples, FIELDS)
    assert conventions["bank"].inside_words
    assert [place for place, _ in places_of(examples[0], FIELDS, conventions)] == [
        Place("bank", 3, 4)
    ]


def test_a_value_is_not_sought_inside_a_figure() -> None:
    example = document("section 1.250, but 250 again", bank=(Value("250"),))
    assert [place for place, _ in places_of(example, FIELDS)] == [Place("bank", 19, 22)]


def test_a_place_becomes_the_tokens_that_share_a_character_with_it(reader: WindowReader) -> None:
    text = "my card and the bank again"
    (row,) = rows_of(reader, document(text), Place("bank", 12, 20))
    (token, width, field) = row.values[0]
    first = token - row.window.first
    start, end = row.window.starts[first], row.window.ends[first + width]
    assert (text[start:end], width, NAMES[field]) == ("the bank", 1, "bank")


def test_values_from_which_nothing_is_learnt_are_told(reader: WindowReader) -> None:
    examples = [
        document("my card and the bank", bank=(Value("card and the bank"), Value("nobody"))),
        document("the bank", bank=(Value("bank"),)),
    ]
    counts = count_located(examples, FIELDS, widest=3)["bank"]
    assert counts == {"values": 3, "located": 2, "wide": 1}
    lesson = read_lesson(examples, fields=FIELDS, reader=reader, widest=3, seed=0)
    assert lesson.located["bank"] == {"values": 3, "located": 2, "wide": 1, "mentions": 1}
    (said,) = lost_values(lesson.located, widest=3)
    assert said == (
        "bank: of 3 recorded values 1 were not found in their documents and 1 are longer than "
        "'windows.widest_value' (3 tokens), and nothing is learnt from them."
    )


def test_a_value_wider_than_the_widest_is_left_out(reader: WindowReader) -> None:
    (row,) = rows_of(reader, document("my card and the bank"), Place("bank", 0, 20))
    assert row.values.shape == (0, 3)


def test_each_value_of_a_long_document_stands_in_one_window(reader: WindowReader) -> None:
    text = "my bank and " * 30
    places = [Place("bank", at, at + 4) for at in range(3, len(text), 12)]
    rows = rows_of(reader, document(text), *places)
    assert len(rows) > 3
    assert sum(len(row.values) for row in rows) == 30


def test_targets_are_ones_where_values_stand_and_count_where_a_value_could(
    reader: WindowReader,
) -> None:
    (row,) = rows_of(reader, document("my bank and"), Place("bank", 3, 7))
    wanted, counted = span_targets([row], tokens=8, widest=3, fields=2)
    assert wanted.nonzero().tolist() == [[0, 2, 0, 0]]  # [CLS] my bank
    ends_inside = {(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)}
    assert {(token, width) for _, token, width, _ in counted.nonzero().tolist()} == ends_inside


def test_a_field_of_which_the_teachers_are_unsure_does_not_count(reader: WindowReader) -> None:
    (row,) = rows_of(reader, document("my bank and", unsure=("bank",)))
    _, counted = span_targets([row], tokens=5, widest=3, fields=2)
    assert not counted[..., 0].any()
    assert counted[..., 1].any()


def test_what_is_not_owned_does_not_count(reader: WindowReader) -> None:
    first, second, *_ = rows_of(reader, document("my bank and " * 30))
    for row in (first, second):
        _, counted = span_targets([row], tokens=16, widest=3, fields=2)
        starts = counted[0, :, 0, 0].nonzero().flatten().tolist()
        begins, ends = row.window.owned
        assert starts == list(range(row.window.first + begins, row.window.first + ends))


def test_the_loss_by_hand() -> None:
    logits = torch.tensor([math.log(3.0), 0.0, 50.0]).reshape(1, 3, 1, 1)
    wanted = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    counted = torch.tensor([True, True, False]).reshape(1, 3, 1, 1)
    loss = span_losses(logits, wanted, counted)
    assert loss.tolist() == pytest.approx([-math.log(0.75) + math.log(2.0)])


def test_all_windows_with_values_and_a_quarter_as_many_without(reader: WindowReader) -> None:
    text = "my bank and " * 60
    places = [Place("bank", at, at + 4) for at in range(3, 200, 12)]
    rows = rows_of(reader, document(text), *places)
    full = [row for row in rows if len(row.values)]
    assert 2 <= len(full) < len(rows) / 2
    (kept,) = worth_learning([rows], np.random.default_rng(0))
    assert len(kept) == len(full) + max(1, round(len(full) / 4))
    assert all(any(row is other for other in kept) for row in full)


def test_a_document_of_one_window_is_always_learnt_from(reader: WindowReader) -> None:
    rows = rows_of(reader, document("my card"))
    assert worth_learning([rows, rows], np.random.default_rng(0)) == [rows, rows]


def test_a_row_with_a_label_is_no_extraction() -> None:
    with pytest.raises(TrainingError, match="the row d has no fields"):
        target_of(Example(id="d", input="text", target="cards"))
