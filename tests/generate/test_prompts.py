from __future__ import annotations

import pytest
from labeller import LABELS, make_rows, make_task

from potstill.data import Example
from potstill.generate.method import Method
from potstill.generate.prompts import answer_schema, example_tokens, system_turn, user_turn


def test_methods_name_themselves():
    assert Method().name == "bare"
    method = Method(reasoning=True, examples=8, shortlist=6, votes=3)
    assert method.name == "8 examples + shortlist of 6 + reasoning + 3 votes"
    assert method.to_json()["shortlist"] == 6


def test_the_system_turn_holds_all_that_rows_share():
    gold = make_rows(8)
    said = system_turn(make_task(), gold, thought=False)["content"]
    assert "What is it about?" in said
    assert "- loan: Loans and mortgages." in said and "- card\n" in said
    assert "- A stolen card is card_lost." in said
    lines = said.splitlines()
    for row in gold:
        beneath = lines.index(f'    "{row.text}"')
        label = next(line for line in reversed(lines[:beneath]) if line.startswith("- "))
        assert label[2:].split(":")[0] == row.target
    assert '{"label":"…"}' in lines[-1]


def test_a_thought_is_asked_for_in_words_and_in_the_schema_before_the_label():
    task = make_task()
    assert '{"thought":"…","label":"…"}' in system_turn(task, (), thought=True)["content"]
    schema = answer_schema(task, LABELS[:2], thought=True)
    assert list(schema["properties"]) == ["thought", "label"] == schema["required"]
    assert schema["properties"]["label"]["enum"] == ["card", "card_lost"]
    assert schema["properties"]["thought"]["maxLength"] > 100
    assert list(answer_schema(task, LABELS, thought=False)["properties"]) == ["label"]


def test_the_user_turn_is_the_text_and_what_is_nearest():
    row = Example(id="1", input={"subject": "Hello", "body": "My card"})
    assert user_turn(row)["content"] == "subject: Hello\nbody: My card"
    near = Example(id="2", input='a "quoted"\ntext ' + "word " * 400, target="card")
    said = user_turn(row, [near])["content"]
    assert '"a "quoted" text word' in said and 'word …" -> card\n' in said
    assert said.endswith("The text to be labelled:\nsubject: Hello\nbody: My card")
    assert len(said) < 800


def test_multilabel_answers_are_arrays():
    task = make_task(type="multilabel")
    schema = answer_schema(task, LABELS, thought=False)
    labels = schema["properties"]["labels"]
    assert labels["type"] == "array" and labels["items"]["enum"] == list(LABELS)
    gold = [
        Example(id="1", input="both", target=("card", "loan")),
        Example(id="2", input="none", target=()),
    ]
    said = system_turn(task, gold, thought=False)["content"]
    assert '"both" -> ["card","loan"]' in said and '"none" -> []' in said
    assert '{"labels":["…"]}' in said


def test_tokens_of_examples_are_estimated():
    short, long = Example(id="1", input="a" * 62), Example(id="2", input="a" * 99_999)
    assert example_tokens([short]) == pytest.approx(20)
    assert example_tokens([long]) < 200
