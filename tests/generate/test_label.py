from __future__ import annotations

import json
from pathlib import Path

import pytest

from potstill.data import Example, Source
from potstill.errors import TeacherError
from potstill.generate import label_examples
from potstill.teacher import RecordedAnswers

LABELS = ("card", "loan", "debt")
COMPLAINTS = Path(__file__).parents[2] / "examples" / "complaints"


def recorded(folder: Path, files: dict[str, list[dict]], *, multilabel=False, terms=None):
    paths = []
    for name, rows in files.items():
        paths.append(folder / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RecordedAnswers.load(paths, labels=LABELS, multilabel=multilabel, terms=terms)


def rows(count: int) -> list[Example]:
    source = Source(kind="dataset", name="inbox.jsonl", contributed=("input",), stage="read")
    return [Example(id=str(n), input=f"text {n}", sources=(source,)) for n in range(count)]


def test_one_teacher_gives_hard_labels_with_their_lineage(tmp_path):
    row = {"id": 0, "label": "card", "model": "r1", "reasoning": "A card.", "cost_usd": 0.25}
    row |= {"request": "req-1", "revision": "0528", "endpoint": "https://api.example.com"}
    answers = recorded(
        tmp_path, {"a": [row, {"id": 1, "label": "loan", "model": "r1"}]}, terms="r1-terms"
    )
    labelled = label_examples(rows(2), answers)
    first, second = labelled.examples
    assert (first.target, first.soft_target, first.reasoning) == ("card", None, "A card.")
    assert first.cost_usd == 0.25
    assert first.sources[0].name == "inbox.jsonl"
    assert first.sources[1:] == (
        Source(
            kind="model",
            name="r1",
            contributed=("target", "reasoning"),
            stage="label",
            terms="r1-terms",
            revision="0528",
            endpoint="api.example.com",
            request="req-1",
        ),
    )
    assert (second.cost_usd, second.sources[1].contributed) == (None, ("target",))
    assert not first.is_gold
    assert Example.from_json(json.loads(json.dumps(first.to_json()))) == first


def test_what_was_not_answered_is_rejected_with_its_cause(tmp_path):
    files = {
        "a": [
            {"id": 0, "label": "card"},
            {"id": 1, "label": "boat", "cost_usd": 0.5},
            {"id": 2, "label": None},
            {"id": 3, "text": "another text", "label": "card"},
        ]
    }
    answers = recorded(tmp_path, files)
    labelled = label_examples(rows(5), answers)
    assert [example.id for example in labelled.examples] == ["0"]
    found = {r.id: (r.stage, r.cause, r.cost_usd) for r in labelled.rejected}
    assert found == {
        "1": ("label", "outside_taxonomy", 0.5),
        "2": ("label", "no_answer", None),
        "3": ("label", "not_answered", 0.0),
        "4": ("label", "not_answered", 0.0),
    }
    details = {r.id: r.detail for r in labelled.rejected}
    assert "a said 'boat'" in details["1"]
    assert "for another text" in details["3"]
    assert "no answer is recorded" in details["4"]
    (row,) = labelled.teachers
    assert (row["answered"], row["coverage"], row["agreement"]) == (1, 0.2, 1.0)
    assert row["accuracy"] is None


def test_sixty_percent_of_the_rows_answered_is_no_error(tmp_path):
    answers = recorded(tmp_path, {"a": [{"id": n, "label": "card"} for n in range(60)]})
    labelled = label_examples(rows(100), answers)
    assert len(labelled.examples) == 60
    assert [r.cause for r in labelled.rejected] == ["not_answered"] * 40


def test_no_row_answered_and_no_answer_usable_are_errors(tmp_path):
    answers = recorded(tmp_path, {"a": [{"id": "z", "label": "card"}]})
    with pytest.raises(TeacherError, match="none of the 2 rows"):
        label_examples(rows(2), answers)
    answers = recorded(tmp_path, {"a": [{"id": 0, "label": "boat"}]})
    with pytest.raises(TeacherError, match="the teachers said 'boat'"):
        label_examples(rows(1), answers)
    assert label_examples([], answers).examples == []


def test_a_committee_votes_soft_labels(tmp_path):
    good = [{"id": n, "label": LABELS[n % 3], "reasoning": "so"} for n in range(30)]
    other = [{**row, "label": "debt"} if row["id"] < 4 else row for row in good]
    lost = [{"id": n, "label": "debt", "reasoning": "no"} for n in range(29)]
    answers = recorded(tmp_path, {"good": good, "other": other, "lost": lost})
    labelled = label_examples(rows(30), answers)
    assert [e.target for e in labelled.examples[4:]] == [LABELS[n % 3] for n in range(4, 30)]
    for example in labelled.examples:
        assert example.soft_target is not None
        assert sum(example.soft_target.values()) == pytest.approx(1.0)
        assert max(example.soft_target, key=example.soft_target.__getitem__) == example.target
    assert [s.name for s in labelled.examples[9].sources[1:]] == ["good", "other", "lost"]
    assert [s.name for s in labelled.examples[29].sources[1:]] == ["good", "other"]
    thinkers = [s.name for s in labelled.examples[9].sources if "reasoning" in s.contributed]
    assert len(thinkers) == 1 and labelled.examples[9].reasoning == "so"
    by_name = {row["name"]: row for row in labelled.teachers}
    assert by_name["good"]["accuracy"] > by_name["lost"]["accuracy"]
    assert sum(row["weight"] for row in labelled.teachers) == pytest.approx(1.0)
    hard = label_examples(rows(30), answers, soft_labels=False)
    assert {e.soft_target for e in hard.examples} == {None}
    assert [e.target for e in hard.examples] == [e.target for e in labelled.examples]


def test_several_votes_of_one_teacher_become_shares(tmp_path):
    votes = [{"id": 0, "label": label} for label in ("loan", "card", "loan", "boat")]
    answers = recorded(tmp_path, {"a": votes})
    (example,) = label_examples(rows(1), answers).examples
    assert example.target == "loan"
    assert example.soft_target == pytest.approx({"card": 1 / 3, "loan": 2 / 3, "debt": 0.0})
    assert len(example.sources) == 2


def test_rows_answered_once_stay_hard_though_the_teacher_changed(tmp_path):
    files = {"old": [{"id": 0, "label": "card"}], "new": [{"id": 1, "label": "loan"}]}
    answers = recorded(tmp_path, files)
    found = label_examples(rows(2), answers).examples
    assert [(e.target, e.soft_target) for e in found] == [("card", None), ("loan", None)]


def test_a_tie_goes_to_the_first_label_of_the_task(tmp_path):
    answers = recorded(tmp_path, {"a": [{"id": 0, "label": "debt"}, {"id": 0, "label": "card"}]})
    (example,) = label_examples(rows(1), answers).examples
    assert example.target == "card"


def test_multilabel_targets_and_probabilities(tmp_path):
    sets = [["card", "loan"], ["card"], []]
    files = {
        name: [{"id": n, "label": sets[(n + shift * (n == 1)) % 3]} for n in range(30)]
        for name, shift in (("a", 0), ("b", 0), ("c", 1))
    }
    answers = recorded(tmp_path, files, multilabel=True)
    found = label_examples(rows(30), answers).examples
    assert [example.target for example in found] == [tuple(sets[n % 3]) for n in range(30)]
    soft = found[1].soft_target
    assert soft is not None and 0.5 < soft["card"] < found[0].soft_target["card"]
    assert soft["debt"] < 0.1
    single = recorded(tmp_path, {"a": files["a"]}, multilabel=True)
    (first, *_) = label_examples(rows(3), single).examples
    assert (first.target, first.soft_target) == (("card", "loan"), None)


def test_the_committee_of_the_complaints_is_no_worse_than_the_majority():
    gold = [json.loads(line) for line in (COMPLAINTS / "gold.jsonl").read_text().splitlines()]
    labels = tuple(sorted({row["label"] for row in gold}))
    paths = sorted((COMPLAINTS / "answers").iterdir())
    answers = RecordedAnswers.load(paths, labels=labels)
    assert len(answers.teachers) == 14
    inbox = [json.loads(line) for line in (COMPLAINTS / "inbox.jsonl").read_text().splitlines()]
    examples = [Example(id=str(row["id"]), input=row["text"]) for row in (*inbox, *gold)]
    labelled = label_examples(examples, answers)
    assert len(labelled.examples) == 750 and not labelled.rejected
    truth = {str(row["id"]): row["label"] for row in gold}
    right = sum(truth[e.id] == e.target for e in labelled.examples if e.id in truth)
    assert right >= 150  # the majority vote: 150 of 200
    outside = {row["name"]: row["outside"] for row in labelled.teachers if row["outside"]}
    assert outside == {"gpt-4o": {"auto_loan": 2}, "gemini-2.0-flash-lite": {"student_loans": 1}}


def test_rows_without_a_recorded_answer_are_a_warning(tmp_path):
    some = [{"id": n, "label": "card"} for n in range(6)]
    other = [{"id": 6, "text": "another text", "label": "card"}]
    answers = recorded(tmp_path, {"a": some + other})
    labelled = label_examples(rows(10), answers)
    assert labelled.warnings == (
        "4 of 10 rows have no recorded answer; 1 of their ids are recorded, but for other texts",
    )
    labelled = label_examples(rows(8)[:6], answers)
    assert labelled.warnings == ()
