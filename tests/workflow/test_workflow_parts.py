"""Answers of several parts against people's: each part by the measure of its kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import potstill.api.parts
from potstill.api.judging import read_question
from potstill.api.parts import PartsEvaluation, evaluate_parts, judge_workflow
from potstill.data.example import Input, Prediction, Text
from potstill.data.extraction import Extraction, Value
from potstill.errors import DataError, PotstillError, SpecError
from potstill.runtime.folder import seal
from potstill.spec.answer import AnswerSpec
from potstill.workflow import Workflow

ANSWERS = {
    "kind": {"type": "classification", "labels": ["nda", "other"]},
    "finder": {"type": "extraction", "fields": {"party": {"many": True}}},
    "gist": {"type": "generation"},
}


class _Kind:
    name = "kind"
    labels = ("nda", "other")

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        return [Prediction("nda" if "secret" in str(value) else "other") for value in inputs]


class _Finder:
    name = "finder"
    labels = ("party",)

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        return [self._answer(str(value)) for value in inputs]

    def _answer(self, text: str) -> Prediction:
        found = tuple(Value(name, name) for name in ("Ann", "Bob") if name in text)
        return Prediction(Extraction({"party": found}))


class _Gist:
    name = "gist"
    labels = ()

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        return [Prediction(Text("they keep it secret")) for _ in inputs]


NODES = """
kind: {model: kind, gold: kind}
finder: {model: finder, when: {kind.label: nda}, gold: fields}
gist: {model: gist, when: {kind.label: nda}, gold: summary}
"""
ROWS = [
    {"id": "1", "text": "a secret of Ann and Bob", "kind": "nda", "fields": {"party": ["Ann", "Bob"]}, "summary": "they keep it secret"},
    {"id": "2", "text": "a secret of Ann and Cid", "kind": "nda", "fields": {"party": ["Ann", "Cid"]}},
    {"id": "3", "text": "hidden by Bob", "kind": "nda", "fields": {"party": ["Bob"]}},
    {"id": "4", "text": "the weather, says Ann", "kind": "other", "fields": None},
]  # fmt: skip


@pytest.fixture
def parts_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    known = {"kind": _Kind(), "finder": _Finder(), "gist": _Gist()}
    for name, facts in ANSWERS.items():
        (tmp_path / name).mkdir()
        task = {"answer": AnswerSpec.model_validate(facts).model_dump(mode="json")}
        card = {"name": name, "type": facts["type"], "task": task}
        (tmp_path / name / "model.json").write_bytes(seal(card))
    monkeypatch.setattr(
        potstill.api.parts,
        "load",
        lambda path: Workflow.load(path, load_model=lambda folder: known[folder.name], workers=1),
    )

    def evaluated(output: str, rows: Sequence[dict] = ROWS):
        path, data = tmp_path / "workflow.yaml", tmp_path / "gold.jsonl"
        body = "\n".join(f"  {line}" for line in NODES.strip().splitlines())
        path.write_text(
            f"kind: workflow\nversion: 1\nname: papers\nnodes:\n{body}\noutput: {output}\n"
        )
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return evaluate_parts(path, data)

    return evaluated


def test_each_part_is_judged_by_its_own_measure(parts_of):
    found = parts_of("{what: kind.label, who: finder, gist: gist}")
    assert found.rows == 4
    assert list(found.parts) == ["what", "who", "gist"]
    # Row 3 is taken for something else, so that its party is missed: 3 of 5 are found, one of
    # the three rows with fields is right.
    assert found.parts["what"].metrics["accuracy"].value == pytest.approx(3 / 4)
    who = found.parts["who"]
    assert who.metrics["value_f1"].value == pytest.approx(2 * 3 / (3 + 5))
    assert who.metrics["document_accuracy"].value == pytest.approx(1 / 3)
    assert found.parts["gist"].metrics["rouge_l"].value == 1.0
    assert found.to_json()["parts"]["who"]["metrics"]["value_f1"]


def test_parts_may_be_the_fields_of_answers(parts_of):
    whole = parts_of("{what: kind, who: finder, gist: gist}")
    fields = parts_of("{what: kind.label, who: finder.fields, gist: gist.text}")
    for name, found in whole.parts.items():
        assert found.metrics == fields.parts[name].metrics


def test_a_part_without_gold_is_not_judged(parts_of):
    rows = [{key: row[key] for key in ("id", "text", "kind")} for row in ROWS]
    assert list(parts_of("{what: kind, who: finder, sure: kind.confidence}", rows).parts) == [
        "what"
    ]


def test_where_nothing_can_be_judged_the_remedy_is_named(parts_of):
    with pytest.raises(SpecError, match="Name the column of a node's right answers"):
        parts_of("{sure: kind.confidence, parties: finder.fields.party}")
    with pytest.raises(SpecError, match="not a workflow whose answer has parts"):
        parts_of("kind")
    with pytest.raises(DataError, match="what the rows say of 'who' cannot be judged"):
        parts_of("{who: finder}", [*ROWS, {**ROWS[0], "id": "5", "fields": {"nobody": ["x"]}}])


def test_two_answers_of_several_parts_are_not_compared_as_one(parts_of, tmp_path):
    parts_of("{what: kind.label, who: finder}")
    workflow = potstill.api.parts.load(tmp_path / "workflow.yaml")
    with pytest.raises(PotstillError, match="'papers' have several parts"):
        read_question([workflow], tmp_path / "gold.jsonl")


def test_a_workflow_is_judged_by_what_it_answers(parts_of, tmp_path):
    parts_of("{what: kind.label, who: finder}")
    found = judge_workflow(tmp_path / "workflow.yaml", tmp_path / "gold.jsonl")
    assert isinstance(found, PartsEvaluation)
    assert list(found.parts) == ["what", "who"]
