from __future__ import annotations

import numpy as np
import pytest

from potstill.data.extraction import Extraction, Value
from potstill.train.spans.work import compared, micro_f1, row_f1


def test_values_with_places_are_compared_by_place() -> None:
    wanted = Extraction({"date": (Value("today", "today", 3, 8),)})
    elsewhere = Extraction({"date": (Value("today", "today", 13, 18),)})
    assert compared(wanted, wanted) == (1, 1, 1)
    assert compared(elsewhere, wanted) == (0, 1, 1)


def test_values_without_places_are_compared_by_value_and_once() -> None:
    wanted = Extraction({"party": (Value("Nike Inc."), Value("Eric Sprunk"))})
    said = Extraction({"party": (Value("NIKE INC.", "NIKE", 0, 4), Value("nike inc.", "n", 9, 13))})
    assert compared(said, wanted) == (1, 1, 2)


def test_a_field_that_is_not_wanted_at_all_is_wrong() -> None:
    assert compared(Extraction({"term": (Value("2 years"),)}), Extraction()) == (0, 1, 0)


def test_fields_of_which_the_teachers_are_unsure_do_not_count() -> None:
    wanted = Extraction({"term": (Value("2 years"),)}, unsure=("term",))
    assert compared(Extraction(), wanted) == (0, 0, 0)


def test_f1_by_hand() -> None:
    counts = np.array([[1, 2, 1], [0, 0, 0], [2, 2, 3]])
    assert micro_f1(counts) == pytest.approx(2 * 3 / (4 + 4))
    assert row_f1(counts).tolist() == pytest.approx([2 / 3, 1.0, 4 / 5])
    assert micro_f1(counts[1:2]) == 1.0
