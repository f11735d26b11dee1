from __future__ import annotations

import json
from pathlib import Path

import pytest

from potstill.data import Example, Predictor
from potstill.errors import DataError, TeacherError
from potstill.spec.task import Columns
from potstill.teacher import RecordedAnswers

LABELS = ("card", "loan", "debt")


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, rows: list[dict] | bytes) -> Path:
        path = tmp_path / name
        data = rows
        if isinstance(rows, list):
            data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(data)
        return path

    return write


def load(*paths: Path, multilabel: bool = False, **options) -> RecordedAnswers:
    return RecordedAnswers.load(paths, labels=LABELS, multilabel=multilabel, **options)


def said(answers: RecordedAnswers, example: Example) -> list:
    return [(answer.teacher, answer.target) for answer in answers.of(example)]


def test_answers_are_found_by_id_or_text(write):
    answers = load(
        write("a.jsonl", [{"id": 1, "label": "card"}, {"id": "x", "label": "Loan."}]),
        write("b.jsonl", [{"text": "my  card\n", "label": "debt", "model": "r1"}]),
    )
    assert answers.teachers == ("a", "r1")
    assert said(answers, Example(id="1", input="my card")) == [("a", "card"), ("r1", "debt")]
    assert said(answers, Example(id="x", input="other")) == [("a", "loan")]
    assert said(answers, Example(id="y", input="other")) == []


def test_an_id_recorded_for_another_text_does_not_fit(write):
    answers = load(write("a.jsonl", [{"id": 1, "text": "my card", "label": "card"}]))
    assert said(answers, Example(id="1", input="my loan")) == []
    assert answers.knows_id("1") and not answers.knows_id("2")
    assert said(answers, Example(id="elsewhere", input="my card")) == [("a", "card")]


def test_rows_with_one_text_keep_their_own_answers(write):
    rows = [{"id": n, "text": "same", "label": label} for n, label in enumerate(LABELS)]
    answers = load(write("a.jsonl", rows))
    assert said(answers, Example(id="1", input="same")) == [("a", "loan")]
    assert len(said(answers, Example(id="new", input="same"))) == 3


def test_everything_recorded_is_kept_and_unknown_is_not_zero(write):
    row = {"id": 1, "label": "card", "model": "r1", "reasoning": "a card", "cost_usd": 0.5}
    row |= {"latency_ms": 1500, "prompt_tokens": 9, "endpoint": "https://key@api.example.com/v1"}
    answers = load(write("a.jsonl", [row, {"id": 2, "label": "card"}]))
    (first,) = answers.of(Example(id="1", input=""))
    assert (first.reasoning, first.seconds, first.cost_usd) == ("a card", 1.5, 0.5)
    assert (first.prompt_tokens, first.completion_tokens) == (9, None)
    assert first.endpoint == "api.example.com"
    (second,) = answers.of(Example(id="2", input=""))
    assert (second.seconds, second.cost_usd, second.prompt_tokens) == (None, None, None)


def test_a_file_with_the_answers_of_several_models(write):
    row = {"id": 1, "text": "t", "label": "gold is not an answer"}
    row["answers"] = {"r1": {"label": "card", "seconds": 2}, "v3": "loan"}
    answers = load(write("a.jsonl", [row]))
    assert said(answers, Example(id="1", input="t")) == [("r1", "card"), ("v3", "loan")]


def test_the_table_of_teachers(write):
    rows = [
        {"id": 1, "label": "card", "seconds": 1, "cost_usd": 0.001},
        {"id": 2, "label": "auto_loan", "seconds": 2},
        {"id": 3, "label": None, "seconds": 9},
    ]
    (facts,) = load(write("r1.jsonl", rows)).facts()
    assert (facts.name, facts.answers, facts.seconds) == ("r1", 3, 2)
    assert facts.cost_usd is None  # two prices are unknown, so the sum is
    assert facts.usd_per_million == pytest.approx(1000)
    assert facts.unusable == {"outside_taxonomy": 1, "no_answer": 1}
    assert facts.outside == {"auto_loan": 1}
    (free,) = load(write("v3.jsonl", [{"id": 1, "label": "card"}])).facts(usd_per_million=7)
    assert (free.usd_per_million, free.seconds) == (7, None)


def test_answers_outside_the_taxonomy_are_kept_counted_and_told(write):
    answers = load(write("r1.jsonl", [{"id": 1, "label": "auto_loan"}, {"id": 2, "label": "card"}]))
    (answer,) = answers.of(Example(id="1", input=""))
    assert (answer.target, answer.raw, answer.fault) == (None, "auto_loan", "outside_taxonomy")
    assert any("1 of 2 answers unusable: outside taxonomy" in line for line in answers.problems)
    assert any("'auto_loan' 1x" in line for line in answers.problems)


def test_two_answers_of_one_teacher_to_one_row_are_two_votes(write):
    rows = [{"id": 1, "label": "card"}, {"id": 1, "label": "loan"}]
    rows += [{"id": 2, "label": "card"}, {"id": 2, "label": "card"}]
    rows += [{"text": "a", "label": "card"}, {"text": "a ", "label": "debt"}]
    answers = load(write("r1.jsonl", rows))
    assert said(answers, Example(id="1", input="")) == [("r1", "card"), ("r1", "loan")]
    assert answers.counts["conflicting"] == 2
    assert answers.counts["duplicates"] == 1
    (line,) = answers.problems
    assert line.startswith("r1: 2 row(s) answered more than once and differently, '1' for one")


def test_rows_that_are_no_answers_are_counted_with_their_place(write):
    path = write("r1.jsonl", [{"id": 1, "label": "card"}, {"label": "card"}, {"id": 3}])
    answers = load(path)
    assert answers.counts["malformed"] == 2
    assert answers.problems[0].startswith(f"{path}:2: no id or text, or no label; 2 such row")


def test_multilabel_answers(write):
    path = write("a.csv", b'id,labels\n1,"Loan, card"\n2,card\n3,"card, boat"\n4,[]\n')
    answers = load(path, multilabel=True)
    targets = [answers.of(Example(id=str(n), input=""))[0].target for n in (1, 2, 3, 4)]
    assert targets == [("card", "loan"), ("card",), None, ()]


def test_columns_of_other_names_and_named_fields(write):
    path = write("a.jsonl", [{"ticket": 7, "subject": "hi", "body": "my card", "label": "card"}])
    answers = load(path, columns=Columns(id="ticket", input=["subject", "body"]))
    assert said(answers, Example(id="7", input={"subject": "hi", "body": "my card"}))
    assert said(answers, Example(id="other", input={"subject": "hi", "body": "my card"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "r1.jsonl: the file holds no rows."),
        (b"\n \n", "the file holds no rows."),
        (b'{"id": 1, "label": "card"}\n{"id": 2, "lab\n', "r1.jsonl:2: not JSON"),
        (b'{"id": 1, "label": "card"}\n{"id": 2, "label": "\xff"}\n', "r1.jsonl:2: byte 21 of"),
        (b'{"id": 1, "label": "ca\x00rd"}\n', "r1.jsonl:1: not JSON"),
        (b"[1]\n", "r1.jsonl:1: expected a JSON object"),
        (b'{"ident": 1, "answer": "card"}\n', "the columns are 'ident', 'answer'"),
    ],
)
def test_files_that_cannot_be_read(write, content, message):
    with pytest.raises(DataError) as caught:
        load(write("r1.jsonl", content))
    assert message in str(caught.value)


def test_byte_order_mark_and_windows_line_ends(write):
    content = b'\xef\xbb\xbf{"id": 1, "label": "card"}\r\n{"id": 2, "label": "loan"}\r\n'
    answers = load(write("r1.jsonl", content))
    assert said(answers, Example(id="1", input="")) == [("r1", "card")]
    assert said(answers, Example(id="2", input="")) == [("r1", "loan")]


def test_a_text_of_ten_megabytes(write):
    text = "a long letter " * 750_000
    answers = load(write("r1.jsonl", [{"text": text, "label": "card"}]))
    assert said(answers, Example(id="1", input=text)) == [("r1", "card")]


def test_coverage_of_nothing_is_an_error_that_shows_both_ids(write):
    answers = load(write("r1.jsonl", [{"id": "a-1", "label": "card"}]))
    answers.check_coverage([])
    answers.check_coverage([Example(id="b-1", input=""), Example(id="a-1", input="")])
    with pytest.raises(TeacherError, match=r"'b-1'.*'a-1'") as caught:
        answers.check_coverage([Example(id="b-1", input="")])
    assert "'id' or by 'text'" in str(caught.value)


def test_a_teacher_as_a_predictor(write):
    rows = [{"id": 1, "label": "card"}, {"id": 2, "label": "boat"}]
    answers = load(write("r1.jsonl", rows), write("v3.jsonl", [{"id": 1, "label": "loan"}]))
    examples = [Example(id=str(n), input=f"text {n}") for n in (1, 2, 3)]
    teacher = answers.predictor("r1", examples)
    assert isinstance(teacher, Predictor)
    assert (teacher.name, teacher.labels) == ("r1", LABELS)
    found = teacher.predict(["text 3", "text 2", "text 1", "unheard of"])
    assert [prediction.target for prediction in found] == [None, None, "card", None]
    assert found[2].confidence is None
    assert teacher.predict([]) == []


def test_the_committee_as_a_predictor(write):
    files = [
        write(
            f"{name}.jsonl", [{"id": n, "label": LABELS[(n + (n < wrong)) % 3]} for n in range(30)]
        )
        for name, wrong in (("a", 0), ("b", 4), ("c", 20))
    ]
    answers = load(*files)
    examples = [Example(id=str(n), input=f"text {n}") for n in range(30)]
    committee = answers.committee(examples)
    assert committee.name == "committee of 3"
    found = committee.predict([example.input for example in examples])
    assert [p.target for p in found[4:]] == [LABELS[n % 3] for n in range(4, 30)]
    for prediction in found:
        assert prediction.scores is not None and tuple(prediction.scores) == LABELS
        assert sum(prediction.scores.values()) == pytest.approx(1.0)
        assert prediction.confidence == max(prediction.scores.values())
    assert load(files[0]).committee(examples).name == "a"


def test_rows_without_a_model_beside_rows_with_one_are_told(write):
    rows = [{"id": n, "label": "card", "model": "r1"} for n in range(3)]
    path = write("answers.jsonl", [*rows, {"id": 3, "label": "card"}])
    answers = load(path)
    assert answers.teachers == ("r1", "answers")
    assert answers.problems == (
        f"{path}:4: no 'model'; 1 such row(s) count as a teacher of their own, 'answers', "
        "beside 'r1'",
    )
    unnamed = [{"id": n, "label": "card"} for n in range(3)]
    assert load(write("plain.jsonl", unnamed)).problems == ()
    assert load(write("r1.jsonl", [*rows, {"id": 3, "label": "card"}])).problems == ()


def test_empty_ids_are_no_ids(write):
    answers = load(write("a.csv", b"id,text,label\n,my card,card\n ,my loan,loan\n"))
    assert said(answers, Example(id="1", input="my loan")) == [("a", "loan")]
    assert not answers.knows_id("") and not answers.knows_id(" ")


def test_booleans_and_whole_numbers_are_labels(write):
    path = write("a.jsonl", [{"id": n, "label": label} for n, label in enumerate([True, 2.0, 2])])
    answers = RecordedAnswers.load([path], labels=("true", "2"))
    targets = [answers.of(Example(id=str(n), input=""))[0].target for n in range(3)]
    assert targets == ["true", "2", "2"]
