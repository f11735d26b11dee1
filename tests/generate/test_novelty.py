from __future__ import annotations

import pytest
from scripted import LABELS

from potstill.data import Example
from potstill.generate.commission import DEMONSTRATION
from potstill.generate.grid import Cell
from potstill.generate.novelty import Novelty

SEED = "the bank charged my card twice for one night at a hotel in Leeds and will not pay it back"
FROZEN = (
    "they took my house payment in March and again in April although the loan had been paid off"
)
CELL = Cell(
    target="card",
    style="chat",
    length="one sentence",
    difficulty="plain",
    persona="night nurse, tired, very short",
    situation="a fee for a card that was never ordered",
)


@pytest.fixture
def novelty():
    return Novelty(
        LABELS,
        seeds=[Example(id="s1", input=SEED)],
        frozen=[Example(id="t1", input=FROZEN)],
        similarity=0.7,
    )


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty_text"),
        ("chat", "empty_text"),
        ("Dear [Bank Name], my card is gone", "placeholder"),
        ("My name is <name> and my card is gone", "placeholder"),
        ("I paid {amount} for nothing", "placeholder"),
        ("My card is gone and so is...", "placeholder"),
        ("This is an Account_Closed case, please help", "states_label"),
        ("A fee for a card that was never ordered.", "echoes_prompt"),
        ("A night nurse, tired of waiting, went to the bank and got no card", "echoes_prompt"),
        (DEMONSTRATION[0], "echoes_prompt"),
        (SEED + " today", "copied_seed"),
        (FROZEN.upper(), "leakage"),
        ({"subject": "Card", "body": " "}, "empty_text"),
    ],
)
def test_what_is_not_new_is_objected_to(novelty, text, cause):
    found = novelty.objection(text, CELL)
    assert found is not None
    assert found[0] == cause


@pytest.mark.parametrize(
    "text",
    [
        "my card (the blue one) was charged 3 < 4 times; I < you > me, and that is that",
        "I lost my card and need a loan",
        "Ordered [1] twice, paid {2}",
        {"subject": "Card", "body": "it is gone"},
    ],
)
def test_what_is_new_passes(novelty, text):
    assert novelty.objection(text, CELL) is None


def test_what_was_remembered_is_a_duplicate(novelty):
    text = "I was charged for a subscription that I ended in May, and nobody answers the phone"
    novelty.remember("new-1", text)
    cause, detail = novelty.objection(text + " now", CELL)
    assert (cause, detail) == ("duplicate", "it nearly repeats 'new-1'")


def test_details_name_the_row(novelty):
    assert novelty.objection(SEED, CELL)[1] == "it nearly repeats the seed 's1'"
    assert novelty.objection(FROZEN, CELL)[1] == "it nearly repeats the frozen row 't1'"
