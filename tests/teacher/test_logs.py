from __future__ import annotations

import json
from pathlib import Path

import pytest

from potstill.data import Example, id_of
from potstill.errors import DataError
from potstill.teacher import RecordedAnswers, examples_from_logs, is_log

LABELS = ("card", "loan")


def request(text: object, model: str = "big/r1") -> dict:
    system = {"role": "system", "content": "Which product?"}
    return {"model": model, "messages": [system, {"role": "user", "content": text}]}


def response(answer: object, finish: str = "stop", **message: object) -> dict:
    choice = {"index": 0, "finish_reason": finish, "message": {"content": answer, **message}}
    usage = {"prompt_tokens": 40, "completion_tokens": 2}
    return {"id": "chat-1", "model": "r1-0528", "choices": [choice], "usage": usage}


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answer_to(path: Path | list[Path], example: Example):
    paths = path if isinstance(path, list) else [path]
    (answer,) = RecordedAnswers.load(paths, labels=LABELS).of(example)
    return answer


@pytest.mark.parametrize(
    "row",
    [
        {"request": request("my card"), "response": response("Card")},
        {"request_body": request("my card"), "response_body": response("card")},
        {"request": {"body": request("my card")}, "response": {"body": response("card")}},
        {"request": json.dumps(request("my card")), "response": json.dumps(response("card"))},
        {**request("my card"), "response": response("card")},
        {**request("my card"), "choices": response("card")["choices"]},
        {"id": "log-7", "request": request("my card"), "response": response("card")},
    ],
)
def test_shapes_of_a_request_with_its_response(tmp_path, row):
    path = write(tmp_path / "log.jsonl", row)
    assert is_log(path)
    (example,) = examples_from_logs([path], terms="mine")
    assert (example.input, example.target) == ("my card", None)
    assert (example.sources[0].name, example.sources[0].terms) == ("log.jsonl", "mine")
    answer = answer_to(path, example)
    assert (answer.target, answer.teacher) == ("card", "big/r1")
    assert answer_to(path, Example(id="of the inbox", input="my card")) == answer


def test_facts_of_an_exchange(tmp_path):
    row = {"request": request("my card"), "response": response("card"), "duration_ms": 250}
    answer = answer_to(write(tmp_path / "a.jsonl", row), Example(id="1", input="my card"))
    assert (answer.seconds, answer.cost_usd) == (0.25, None)
    assert (answer.prompt_tokens, answer.completion_tokens) == (40, 2)
    assert (answer.revision, answer.request) == ("r1-0528", "chat-1")


def test_the_input_is_the_last_user_message(tmp_path):
    parts = [
        {"type": "text", "text": "one"},
        {"type": "image_url"},
        {"type": "text", "text": "two"},
    ]
    chat = request("an example")
    chat["messages"] += [
        {"role": "assistant", "content": "card"},
        {"role": "user", "content": parts},
        {"role": "tool", "content": "a tool's words"},
    ]
    path = write(tmp_path / "a.jsonl", {"request": chat, "response": response("loan")})
    assert [example.input for example in examples_from_logs([path])] == ["one\ntwo"]


def test_thoughts_are_kept_apart(tmp_path):
    spoken = response("<think>A card,\nso</think>\ncard")
    field = response("card", reasoning_content="A card, so")
    for reply, thought in ((spoken, "A card,\nso"), (field, "A card, so")):
        path = write(tmp_path / "a.jsonl", {"request": request("t"), "response": reply})
        answer = answer_to(path, Example(id="1", input="t"))
        assert (answer.target, answer.reasoning, answer.raw) == ("card", thought, "card")


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (response("card", finish="length"), "cut_off"),
        (response(None, refusal="I will not"), "no_answer"),
        (response("<think>on and on"), "no_answer"),
        (response("a boat"), "outside_taxonomy"),
        ({"error": {"message": "overloaded"}}, "failed"),
        ({"choices": []}, "failed"),
        (None, "failed"),
    ],
)
def test_replies_that_are_no_answers(tmp_path, reply, fault):
    path = write(tmp_path / "a.jsonl", {"request": request("t"), "response": reply})
    answer = answer_to(path, Example(id="1", input="t"))
    assert (answer.target, answer.fault) == (None, fault)


def test_a_batch_is_joined_with_its_input_in_either_order(tmp_path):
    asked = write(
        tmp_path / "in.jsonl",
        {"custom_id": "r-1", "method": "POST", "body": request("my card")},
        {"custom_id": "r-2", "method": "POST", "body": request("my loan")},
    )
    output = write(
        tmp_path / "out.jsonl",
        {"custom_id": "r-2", "response": {"status_code": 200, "body": response("loan")}},
        {"custom_id": "r-1", "response": {"status_code": 500, "body": {}}, "error": None},
    )
    assert is_log(asked) and is_log(output)
    assert [e.id for e in examples_from_logs([asked])] == ["r-1", "r-2"]
    for paths in ([asked, output], [output, asked]):
        assert answer_to(paths, Example(id="other", input="my loan")).target == "loan"
        assert answer_to(paths, Example(id="other", input="my card")).fault == "failed"
    # The id alone is enough: the prompt may wrap the text, the input file may be lost.
    assert answer_to(output, Example(id="r-2", input="unwrapped")).target == "loan"
    with pytest.raises(DataError, match="batch's input file"):
        examples_from_logs([output])


def test_the_same_text_is_one_example_with_every_answer(tmp_path):
    rows = [
        {"id": f"log-{n}", "request": request("my card"), "response": response(label)}
        for n, label in enumerate(("card", "card", "loan"))
    ]
    path = write(tmp_path / "a.jsonl", *rows)
    (example,) = examples_from_logs([path])
    answers = RecordedAnswers.load([path], labels=LABELS)
    assert [answer.target for answer in answers.of(example)] == ["card", "card", "loan"]
    assert (answers.counts["duplicates"], answers.counts["conflicting"]) == (1, 1)


def test_an_example_without_an_id_is_named_by_its_text(tmp_path):
    row = {"request": request("my card"), "response": response("card")}
    (example,) = examples_from_logs([write(tmp_path / "a.jsonl", row)])
    assert example.id == id_of("my card")


def test_what_is_no_log(tmp_path):
    assert not is_log(write(tmp_path / "a.jsonl", {"id": 1, "label": "card"}))
    assert not is_log(write(tmp_path / "b.jsonl", {"text": "t", "response": "card"}))
    assert not is_log(write(tmp_path / "c.jsonl"))
    with pytest.raises(DataError, match="no such file"):
        is_log(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="no line holds a request"):
        examples_from_logs([write(tmp_path / "d.jsonl", {"id": 1})])


def test_odd_values_do_not_break_the_reading(tmp_path):
    rows = [
        {"request": {"messages": ["not an object", {"role": "user", "content": 5}]}, "response": 1},
        {"request": request("t"), "response": {"choices": ["not an object"]}, "seconds": "fast"},
        {"request": request("t"), "response": response("card"), "seconds": -1, "cost_usd": True},
        {"request": request("t"), "response": response("card"), "url": "http://[broken"},
    ]
    answers = RecordedAnswers.load([write(tmp_path / "a.jsonl", *rows)], labels=LABELS)
    found = answers.of(Example(id="1", input="t"))
    assert [answer.fault for answer in found] == ["failed", None, None]
    assert all((a.seconds, a.cost_usd, a.endpoint) == (None, None, None) for a in found)
    assert answers.counts["malformed"] == 1


def lines(*rows: tuple[object, str, object]) -> list[dict]:
    return [
        {"id": name, "request": request(text), "response": response(label)}
        for name, text, label in rows
    ]


def test_ids_that_repeat_across_logs_do_not_mix_the_answers(tmp_path):
    one = write(tmp_path / "1.jsonl", *lines((0, "my card", "card"), (1, "a home", "loan")))
    two = write(tmp_path / "2.jsonl", *lines((0, "a car", "loan"), (1, "plastic", "card")))
    examples = examples_from_logs([one, two])
    assert len({example.id for example in examples}) == 4
    for paths in ([one, two], [two, one]):
        answers = RecordedAnswers.load(paths, labels=LABELS)
        said = {e.input: [answer.target for answer in answers.of(e)] for e in examples}
        expected = {"my card": "card", "a home": "loan", "a car": "loan", "plastic": "card"}
        assert said == {text: [label] for text, label in expected.items()}
    # The log that holds a row's own answer may be missing: another's is not taken for it.
    (first, *_) = examples_from_logs([one])
    assert first.id == "0"
    assert RecordedAnswers.load([two], labels=LABELS).of(first) == []


def test_ids_of_logs_stand_unless_they_are_taken_by_another_text(tmp_path):
    one = write(tmp_path / "1.jsonl", *lines((0, "my card", "card"), (5, "a home", "loan")))
    two = write(tmp_path / "2.jsonl", *lines((0, "my card", "card"), ("", "a car", "loan")))
    assert [e.id for e in examples_from_logs([one, two])] == ["0", "5", id_of("a car")]
    table = [Example(id="5", input="another text"), Example(id="0", input="my card")]
    found = examples_from_logs([one], others=table)
    assert [e.id for e in found] == ["0", id_of("a home")]


def test_a_prompt_may_wrap_the_text_that_has_its_id(tmp_path):
    prompt = 'Which product? {"text": "My \\"old\\" card,\\nlost."} Answer with one word.'
    path = write(tmp_path / "a.jsonl", *lines((7, prompt, "card"), (8, "Sort: a home", "loan")))
    assert answer_to(path, Example(id="7", input='My "old" card,\nlost.')).target == "card"
    fields = {"subject": "My old", "body": "card, lost"}
    assert answer_to(path, Example(id="7", input=fields)).target == "card"
    answers = RecordedAnswers.load([path], labels=LABELS)
    assert answers.of(Example(id="8", input="My card, lost.")) == []
    assert answers.of(Example(id="8", input="ome")) == []  # part of a word
    assert answers.of(Example(id="8", input="?!")) == []
    assert answers.knows_id("8")


def test_a_longer_text_under_the_same_id_is_no_prompt_where_a_log_has_the_text(tmp_path):
    path = write(
        tmp_path / "a.jsonl", *lines((5, "thanks", "card"), (5, "thanks for the loan", "loan"))
    )
    assert answer_to(path, Example(id="5", input="thanks")).target == "card"


def test_batches_that_share_ids_are_joined_only_where_it_is_certain(tmp_path):
    def batch(name: str, text: str, label: str):
        asked = write(tmp_path / f"{name}-in.jsonl", {"custom_id": "0", "body": request(text)})
        output = {"custom_id": "0", "response": {"status_code": 200, "body": response(label)}}
        return [asked, write(tmp_path / f"{name}-out.jsonl", output)]

    paths = [*batch("a", "Sort: my card", "card"), *batch("b", "Sort: a home", "loan")]
    answers = RecordedAnswers.load(paths, labels=LABELS)
    for example in examples_from_logs([paths[0], paths[2]]):
        assert answers.of(example) == []
    assert answers.of(Example(id="0", input="my card")) == []
    # Two prompts for one row, on the other hand, are two answers to it.
    paths = [*batch("a", "Sort: my card", "card"), *batch("b", "Which? my card", "loan")]
    answers = RecordedAnswers.load(paths, labels=LABELS)
    found = answers.of(Example(id="0", input="my card"))
    assert [answer.target for answer in found] == ["card", "loan"]
