"""What is right and what is wrong, case by case, and that no verifier ever kills anything."""
# ruff: noqa: RUF001 - the signs of other languages are meant

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from potstill.errors import MissingExtraError
from potstill.spec.recipe import TemplateSpec
from potstill.verify import parse_completion, verifier_of
from potstill.verify.answers import boxes, final_answer
from potstill.verify.mathematics import Mathematics
from potstill.verify.notation import fold
from potstill.verify.numbers import read_number
from potstill.verify.structured import JsonSchema
from potstill.verify.workers import WorkerFault, Workers

CASES = [
    json.loads(line)
    for name in ("cases.jsonl", "more_cases.jsonl")
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").split("\n")
    if line
]
NAMES = ("mathematics", "numeric", "exact", "choice", "labels", "json_schema")


def test_the_table_is_large_and_says_both():
    assert len(CASES) >= 700
    assert min(Counter(case["right"] for case in CASES).values()) >= 200
    assert {case["verifier"] for case in CASES} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_verdict_of_the_table(name):
    verifier = verifier_of(name)
    wrong = []
    for case in CASES:
        if case["verifier"] != name:
            continue
        answer = case.get("answer")
        if answer is None:
            answer = parse_completion(case["completion"], TemplateSpec()).answer
        verdict = verifier(answer, case["wanted"])
        if verdict.right is not case["right"]:
            wrong.append((answer, case["wanted"], case["right"], verdict))
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer",
    [
        "",
        "\x00",
        "\ud800",
        "{" * 3000,
        "(" * 3000,
        "\\boxed{" * 500,
        "\\frac{" * 500,
        "9" * 5000,
        "1," * 5000,
        "[" * 5000 + "]" * 5000,
        "$" * 3000,
        "a=" * 2000,
        "the answer is " * 500,
        "\\left(" * 300,
        "\u202e42",
        "1e999999999",
        "10^{10^{10}}",
        "\n" * 5000 + "x",
        "- " * 3000,
        " " * 20_000 + "x",
        "1 " * 5000,
        "A" * 20_000,
        "answer answer " * 1000,
        "not " * 2000 + "but",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_nothing_that_is_answered_raises_or_takes_long(name, answer):
    verifier = verifier_of(name, timeout_s=3.0)
    wanted = {"json_schema": '{"type": "integer"}', "choice": "B", "labels": "a, b"}.get(name, "7")
    begun = time.monotonic()
    verdict = verifier(answer, wanted)
    assert verdict.right is not True
    assert time.monotonic() - begun < 30.0  # a worker may have to be started


def test_a_power_tower_ends_in_time_and_the_next_answer_is_judged():
    verifier = Mathematics(timeout_s=1.0, workers=Workers(1))
    assert verifier("x+1", "1+x").right is True  # the worker is up
    begun = time.monotonic()
    tower = verifier("9^{9^{9^{9}}}", r"\pi")
    assert (tower.right, tower.fault) == (None, "timeout")
    assert time.monotonic() - begun < 10.0
    assert verifier("y+1", "1+y").right is True
    verifier.workers.close()


def test_symbols_are_judged_off_the_main_thread():
    verifier = verifier_of("mathematics")
    found: list[bool | None] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(verifier(f"x+{n}", f"{n}+x").right))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_cheap_cases_take_about_a_millisecond():
    verifier = verifier_of("mathematics")
    pairs = [(f"The answer is {n}/8.", str(n / 8)) for n in range(1, 200)]
    begun = time.process_time()
    assert all(verifier(answer, wanted).right for answer, wanted in pairs)
    assert (time.process_time() - begun) / len(pairs) < 0.005


def test_a_worker_that_dies_is_a_fault_and_is_replaced():
    workers = Workers(1)
    with pytest.raises(WorkerFault) as caught:
        workers.ask("no such work", {}, 5.0)
    assert caught.value.name == "KeyError"
    taken = workers._take()
    assert taken._process is not None
    taken._process.kill()
    taken._process.wait()
    workers._idle.put(taken)
    with pytest.raises(WorkerFault) as caught:
        workers.ask("mathematics", {"answer": "x", "wanted": "y", "places": None, "digits": 0}, 5.0)
    assert caught.value.name == "crashed"
    request = {"answer": "x+1", "wanted": "1+x", "places": None, "digits": 0}
    assert workers.ask("mathematics", request, 30.0) is True
    workers.close()


def test_a_schema_that_takes_forever_or_is_none_gives_no_verdict():
    slow = {"type": "string", "pattern": "^(a+)+$"}
    verifier = JsonSchema(timeout_s=1.0, workers=Workers(1))
    assert verifier('"aaa"', json.dumps(slow)).right is True
    verdict = verifier(json.dumps("a" * 40 + "!"), json.dumps(slow))
    assert (verdict.right, verdict.fault) == (None, "timeout")
    assert verifier("1", "no schema").right is None
    assert verifier("1", '{"type": "no such type"}').right is None
    assert verifier("1", '{"$ref": "http://127.0.0.1:9/schema"}').right is None
    verifier.workers.close()


def test_what_is_wanted_must_be_readable():
    assert verifier_of("numeric")("7", "seven apples or so").right is None
    assert verifier_of("choice")("B", "neither of them").right is None


def test_without_the_library_the_extra_is_named(monkeypatch):
    from potstill.verify import choosing

    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"potstill\[verify\]"):
        verifier_of("mathematics")


def test_boxes_are_found_with_their_braces():
    text = r"a \boxed{\frac{1}{2}} b \fbox{x} c \boxed{y"
    assert [content for _, _, content in boxes(text)] == [r"\frac{1}{2}", "x", "y"]
    assert boxes("no box") == []


@pytest.mark.parametrize(
    ("text", "answer", "place"),
    [
        (r"\boxed{1} then \boxed{2}", "2", "box"),
        ("#### 3", "3", "mark"),
        ("<answer>4</answer>", "4", "mark"),
        ("The answer is 5. Bye.", "5", "said"),
        ("a\nb", "b", "line"),
        ("", "", "none"),
        ("The answer is correct.", "", "none"),
    ],
)
def test_where_an_answer_stands(text, answer, place):
    found = final_answer(text)
    assert (found.text, found.place) == (answer, place)


@pytest.mark.parametrize(
    "text", ["１２", "½", "$\\dfrac{1}{2}$", "−5", "2³", "1{,}234", "x ≤ 2", "\\text{ cm}", "“a”"]
)
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


def test_a_number_keeps_how_it_was_written():
    read = read_number("12.50%")
    assert read is not None
    assert (read.value * 2, read.places, read.digits, read.percent) == (25, 2, 4, True)
    assert read_number("12 monkeys and a half") is None
    assert read_number("1/0") is None
