"""Stages by name, compared question by question."""

from __future__ import annotations

import pytest
from stub_trainers import SUMS

from potstill.api import compare_stages, evaluate_samples, is_sampled
from potstill.errors import DataError, ModelError, SpecError
from potstill.run.recipe.finding import find_stage, names_stage


@pytest.fixture
def run(write_recipe, cook, trainers):
    return cook(write_recipe()).folder


def test_a_stage_is_found_in_a_run_and_in_the_newest_of_a_recipe(run):
    assert find_stage(f"{run}:grpo").run == run
    assert find_stage(f"{run.parent}:grpo").weights == run / "grpo" / "weights"
    assert names_stage(f"{run}:grpo")
    assert not names_stage(run)
    assert is_sampled(run / "grpo" / "weights")
    assert not is_sampled(run)


def test_two_stages_are_compared_with_the_answers_that_changed(run):
    found = compare_stages(f"{run}:grpo", f"{run}:sft", examples=3)
    assert found.comparison.names == ("grpo", "sft")
    assert found.comparison.n == 40
    assert found.comparison.difference.value > 0
    assert found.comparison.losses == 0
    assert len(found.better) == 3
    for one in found.better:
        assert one.first_right > one.second_right
        assert one.first.endswith(one.wanted)
        assert one.second.endswith("7777")
    assert found.worse == []
    assert found.to_json()["outcome"] == "better"


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("gropo", "no stage of this run is called 'gropo'"),
        ("mix", "the stage 'mix' was not judged"),
    ],
)
def test_what_cannot_be_compared_is_told(run, stage, told):
    with pytest.raises(ModelError, match=told):
        compare_stages(f"{run}:{stage}", f"{run}:sft")
    with pytest.raises(ModelError, match="no run of a recipe is here"):
        compare_stages(f"{run.parents[2]}:sft", f"{run}:sft")
    with pytest.raises(ModelError, match="names no stage"):
        compare_stages(run, f"{run}:sft")


def test_other_questions_cannot_be_compared(run, write_recipe, cook):
    data = {**SUMS, "test": {"made": {"digits": 2, "rows": 40, "seed": 9}}}
    other = cook(write_recipe(data=data)).folder
    with pytest.raises(DataError, match="not asked the same questions"):
        compare_stages(f"{run}:sft", f"{other}:sft")


def test_another_way_of_judging_is_told(run, write_recipe, cook):
    judge = {"samples": 3, "max_new_tokens": 40, "verifier": "numeric"}
    other = cook(write_recipe(judge=judge)).folder
    found = compare_stages(f"{run}:sft", f"{other}:sft")
    assert found.warnings == ("the two were judged with another 'samples': 2 and 3",)
    assert found.comparison.names == (f"{run.name}:sft", f"{other.name}:sft")


def test_a_stage_is_asked_other_questions(run, tmp_path):
    file = tmp_path / "q.jsonl"
    file.write_text('{"question": "1+1=", "answer": "2"}\n{"question": "2+2=", "answer": "4"}\n')
    found = evaluate_samples(f"{run}:grpo", file, settings={"samples": 8}, limit=1)
    assert found.stability.samples == 8
    assert found.judge.verifier == "numeric"
    assert found.judge.max_new_tokens == 40, "as the recipe judges"
    assert any("plain numbers" in note for note in found.notes)
    with pytest.raises(SpecError, match=r"^verifier: Input should be"):
        evaluate_samples(f"{run}:grpo", file, settings={"verifier": "maths"})
