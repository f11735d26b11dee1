"""What judges is never learnt: contaminated rows of sources, in every kind of stage."""

from __future__ import annotations

import json

import pytest
from stub_trainers import STAGES

from potstill.errors import TrainingError

TEST = [
    f"A farmer keeps {n} hens and buys {n + 3} more at the market in spring; how many hens has he?"
    for n in range(20, 60)
]
OTHER = [f"Ship number {n} carries {n} crates of tea; what does it carry?" for n in range(20, 60)]


def rows(texts, **more):
    return "".join(
        json.dumps({"prompt": text, "answer": "7", "thought": "I count them.", **more}) + "\n"
        for text in texts
    )


@pytest.fixture
def sources(tmp_path):
    """Test questions, and learnable rows of which three hold one, one of them in its thought."""
    (tmp_path / "test.jsonl").write_text(rows(TEST))
    held = rows([TEST[0], f"Please tell me this. {TEST[1]} Thank you."])
    held += rows(["What did the farmer do?"], thought=f"The text says: {TEST[2]} So I add.")
    (tmp_path / "mixed.jsonl").write_text(rows(OTHER) + held)
    (tmp_path / "held.jsonl").write_text(held)
    return {
        name: {"file": f"{name}.jsonl", "terms": "CC0-1.0", "person": True}
        for name in ("test", "mixed", "held")
    }


def settings(kind, data):
    stages = {
        "cold_start": [{"name": "s", "stage": "cold_start", "data": data}],
        "sft": [{"name": "s", "stage": "sft", "data": data, "learning_rate": 0.5}],
        "grpo": [
            {
                "name": "s",
                "stage": "grpo",
                "data": data,
                "learning_rate": 0.9,
                "rewards": {"verifier": "numeric"},
            }
        ],
        "reject": [
            {"name": "first", "stage": "sft", "data": ["mixed"], "learning_rate": 0.99},
            {
                "name": "s",
                "stage": "reject",
                "weights": "first",
                "data": data,
                "verifier": "numeric",
            },
        ],
        "distil": [
            {
                "name": "s",
                "stage": "distil",
                "student": {"hidden": 16},
                "data": data,
                "learning_rate": 0.5,
            }
        ],
    }
    return stages[kind]


@pytest.mark.parametrize("kind", ["cold_start", "sft", "grpo", "reject", "distil"])
def test_a_stage_that_reads_a_source_leaves_contaminated_rows_out(
    kind, sources, write_recipe, cook, trainers
):
    found = cook(write_recipe(settings(kind, ["mixed"]), data=sources))
    entry = found.outcome.report["stages"][-1]
    assert entry["facts"]["contaminated"] == 3
    assert entry["took"][0]["causes"] == {"mixed": 3}
    assert any("s leaves out 3 of 'mixed'" in text for text in found.warned)
    assert "3 rows that hold questions" in found.outcome.report["warnings"][-1]
    learnt = [text for _, _, texts in trainers.learnt for text in texts]
    if (found.folder / "s" / "rows.jsonl").exists():
        learnt += [
            json.loads(line)["input"]
            for line in (found.folder / "s" / "rows.jsonl").read_text().splitlines()
        ]
    assert learnt
    assert not [text for text in learnt if "hens" in text or "farmer" in text]


@pytest.mark.parametrize("kind", ["sft", "grpo", "reject"])
def test_a_stage_of_which_nothing_is_left_stops(kind, sources, write_recipe, cook, trainers):
    with pytest.raises(TrainingError, match=r"all 3 rows hold questions of 'test'"):
        cook(write_recipe(settings(kind, ["held"]), data=sources))


def test_a_test_question_is_never_handed_to_a_trainer(write_recipe, cook, trainers):
    found = cook(write_recipe(STAGES))
    test = {
        json.loads(line)["input"]
        for line in (found.folder / "sources" / "test.jsonl").read_text().splitlines()
    }
    assert len(test) == 40
    for _, _, texts in trainers.learnt:
        assert texts
        assert not test & set(texts)
