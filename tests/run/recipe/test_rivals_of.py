"""Beside whose weights a stage is judged."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from stub_trainers import STAGES, SUMS, skill_of

from potstill.errors import SpecError
from potstill.run.recipe.rivals import Rival, rivals_of
from potstill.spec.recipe import Recipe


def recipe_of(**student: Any) -> Recipe:
    stages = [*STAGES[:-1], {**STAGES[-1], **student}]
    return Recipe.model_validate(
        {
            "kind": "recipe",
            "version": 1,
            "name": "sums",
            "base": {"hidden": 32},
            "data": SUMS,
            "stages": stages,
        }
    )


@pytest.mark.parametrize(
    ("student", "wanted"),
    [
        # The rows of `mix` come from `reject`, where `grpo` answered.
        ({}, [Rival("grpo", "teacher")]),
        ({"weights": "prefer"}, [Rival("prefer", "teacher")]),
        ({"on_policy": True, "weights": "sft"}, [Rival("sft", "teacher")]),
        ({"on_policy": True}, [Rival("base", "teacher")]),
        ({"data": ["cold-start"]}, [Rival("base", "base")]),
        ({"student": {"hidden": 32}}, [Rival("grpo", "teacher"), Rival("base", "start")]),
        ({"student": "sft"}, [Rival("sft", "start"), Rival("grpo", "teacher")]),
        ({"student": {"hidden": 32}, "data": ["cold"]}, [Rival("base", "start")]),
    ],
)
def test_a_student_is_judged_beside_its_teacher_and_its_kind(
    student: dict[str, Any], wanted: list[Rival]
) -> None:
    recipe = recipe_of(**student)
    assert rivals_of(recipe, recipe.stages[-1]) == wanted


def test_a_student_may_be_an_earlier_stage(write_recipe, cook, trainers):
    follow = {**STAGES[-1], "name": "more", "student": "distil", "learning_rate": 0.5}
    found = cook(write_recipe([*STAGES, follow]))
    assert trainers.learnt[-1][:2] == ("more", 0.4)
    entry = found.outcome.report["stages"][-1]
    assert (entry["before"], entry["role"]) == ("distil", "start")
    assert entry["also_beside"][0]["differences"]["accuracy"]["value"] < 0
    number = len(STAGES)
    assert f"s{number} ==> s{number + 1}" in found.outcome.report["mermaid"]
    with pytest.raises(SpecError, match="'student' names 'more', which is no earlier stage"):
        cook(write_recipe([*STAGES[:-1], {**STAGES[-1], "student": "more"}, follow]))


def test_what_is_no_student_is_judged_beside_its_start() -> None:
    recipe = recipe_of()
    found = {stage.name: rivals_of(recipe, stage) for stage in recipe.stages}
    assert found["sft-2"] == [Rival("base", "start")]
    assert found["prefer"] == [Rival("sft-2", "start")]


def test_the_report_says_beside_whom(write_recipe, cook, trainers):
    stages = [*STAGES[:-1], {**STAGES[-1], "student": {"hidden": 16}}]
    found = cook(write_recipe(stages, base={"hidden": 16}))
    entry = found.outcome.report["stages"][-1]
    assert (entry["before"], entry["role"]) == ("grpo", "teacher")
    # Half of grpo's skill, and more than the base's, which is none.
    assert entry["beside"]["differences"]["accuracy"]["value"] < -0.1
    (base,) = entry["also_beside"]
    assert base["differences"]["accuracy"]["value"] > 0.1
    text = (found.folder / "report.md").read_text()
    assert "distil is a student: it is judged beside its teacher, grpo." in text
    assert "beside its start or teacher" in text


def test_a_student_that_loses_too_much_leaves_the_place_to_its_teacher(
    write_recipe, cook, trainers
):
    stages = [*STAGES[:-1], {**STAGES[-1], "max_drop": 0.1}]
    found = cook(write_recipe(stages))
    assert found.outcome.report["stages"][-1]["refused"]
    assert orjson.loads((found.folder / "distil" / "weights.json").read_bytes()) == {
        "weights": "grpo"
    }
    assert skill_of(found.outcome.model) == 0.8
