from __future__ import annotations

import jsonschema
import pytest
from scripted import make_task

from potstill.generate.commission import (
    DEMONSTRATION,
    opening_turns,
    read_texts,
    system_turn,
    writing_schema,
    writing_turn,
)
from potstill.generate.grid import Cell


def cell(**given):
    known = {"target": "card", "style": "chat", "length": "one sentence", "difficulty": "plain"}
    return Cell(**(known | given))


def test_the_system_turn_holds_the_task():
    words = system_turn(make_task(rules=["Fees are card."]))["content"]
    for part in ("What is it about?", "- card: Cards and their charges.", "Fees are card."):
        assert part in words
    assert "- account_closed\n" in words


def test_a_large_taxonomy_is_not_listed():
    task = make_task(labels=[f"label{number}" for number in range(500)])
    assert "label7" not in system_turn(task)["content"]
    assert "label7" in writing_turn(task, [cell(target="label7")])["content"]


def test_each_cell_is_a_line_of_the_request():
    cells = [
        cell(persona="nurse, tired", situation="charged twice"),
        cell(style="email", difficulty="indirect"),
    ]
    lines = writing_turn(make_task(), cells)["content"].splitlines()
    assert lines[0] == "Write 2 texts. For each of them the right answer is"
    assert lines[1] == "card: Cards and their charges."
    assert "1. chat, one sentence. Writer: nurse, tired. Subject: charged twice" in lines
    assert any(line.startswith("2. email, one sentence. Avoid the usual words") for line in lines)


def test_a_border_names_its_rival_and_asks_what_decides():
    words = writing_turn(make_task(), [cell(difficulty="border", rival="loan")])["content"]
    assert "would answer loan (Loans.)" in words
    assert "what the writer wants is card" in words


def test_sets_of_labels_are_asked_for_together():
    task = make_task(type="multilabel")
    words = writing_turn(task, [cell(target=("card", "loan"))])["content"]
    assert "right answers are\ncard: Cards and their charges.\nloan: Loans." in words
    assert "none of the answers" in writing_turn(task, [cell(target=())])["content"]


def test_seeds_are_shown_whole_and_known_texts_by_their_beginning():
    seed = "my card was charged twice"
    known = " ".join(f"w{number}" for number in range(30))
    words = writing_turn(make_task(), [cell()], seeds=[seed, "x " * 600], known=[known])["content"]
    assert f"- {seed}\n" in words
    assert "- w0 w1 w2 w3 w4 w5 w6 w7 w8 w9\n" in words
    assert len(words) < 1500


def test_the_schema_wants_one_text_a_cell():
    schema = writing_schema(make_task(), [cell(), cell()])
    jsonschema.validate({"texts": ["one", "two"]}, schema)
    for texts in (["one"], ["one", "two", "three"], ["one", ""], [{"text": "one"}, "two"]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"texts": texts}, schema)


def test_named_fields_are_asked_for_one_by_one():
    task = make_task(data={"gold": "gold.jsonl", "columns": {"input": ["subject", "body"]}})
    schema = writing_schema(task, [cell()])
    value = {"texts": [{"subject": "1. Card", "body": " charged twice "}]}
    jsonschema.validate(value, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"texts": [{"subject": "Card"}]}, schema)
    assert read_texts(task, value) == [{"subject": "Card", "body": "charged twice"}]
    assert "subject, body" in system_turn(task)["content"]
    assert len(opening_turns(task, 3)) == 1


def test_the_demonstration_is_a_finished_answer_in_the_very_form():
    import json

    system, asked, answered = opening_turns(make_task(), 3)
    assert [turn["role"] for turn in (system, asked, answered)] == ["system", "user", "assistant"]
    value = json.loads(answered["content"])
    jsonschema.validate(value, writing_schema(make_task(), [cell()] * 3))
    assert tuple(value["texts"]) == DEMONSTRATION
    form = writing_turn(make_task(), [cell(persona="p", situation="s")] * 3)["content"]
    assert asked["content"].splitlines()[0] == form.splitlines()[0]


def test_numbers_of_a_list_are_taken_off():
    value = {"texts": ["1. It was late", "Text 2: Again", "3 times charged", " plain "]}
    assert read_texts(make_task(), value) == ["It was late", "Again", "3 times charged", "plain"]


def test_the_demonstration_is_as_long_as_a_request():
    asked, answered = (turn["content"] for turn in opening_turns(make_task(), 1)[1:])
    assert asked.startswith("Write 1 text. For it the right answer is\n")
    assert DEMONSTRATION[0] in answered
    assert DEMONSTRATION[1] not in answered
    assert len(opening_turns(make_task(), 20)) == 3


def test_only_a_border_says_first_what_decides():
    border = writing_schema(make_task(), [cell(difficulty="border", rival="loan")])
    assert list(border["properties"]) == ["decides", "texts"]
    assert list(writing_schema(make_task(), [cell()])["properties"]) == ["texts"]
