"""Recipe files: names that lead nowhere or where they may not are refused with their reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from potstill.errors import SpecError
from potstill.spec import kind_of
from potstill.spec.loading import load_recipe

ROOT = Path(__file__).parents[2]
SFT = {"name": "sft", "stage": "sft", "data": ["cold"]}
MIX = {"name": "mix", "stage": "mix", "reasoning": ["cold"]}


def load(tmp_path, stages, **changes):
    recipe = {
        "kind": "recipe",
        "version": 1,
        "name": "r",
        "base": {"hidden": 16},
        "data": {"cold": {"made": {}}, "test": {"made": {}}},
        "stages": stages,
        **changes,
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    return load_recipe(tmp_path / "r.yaml").recipe


def test_the_recipes_that_ship_load():
    files = list(ROOT.glob("recipes/*.yaml"))
    assert files
    for file in files:
        assert kind_of(file) == "recipe"
        assert load_recipe(file, check_files=False).recipe.stages


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([SFT, SFT], "stage 2: the name 'sft' is taken"),
        ([{**SFT, "name": "report"}], "stage 1: the name 'report' is taken"),
        ([{**SFT, "name": "cold"}], "stage 1: the name 'cold' is taken"),
        ([{**SFT, "data": ["test"]}], "by which every stage is judged"),
        ([{**SFT, "data": ["nope"]}], "'data' names 'nope', which is no earlier stage"),
        ([{**SFT, "weights": "later"}], "'weights' names 'later'"),
        ([{**SFT, "weights": "bse"}], "'weights' names 'bse'.*did you mean 'base'?"),
        ([{**SFT, "data": ["clod"]}], "'data' names 'clod'.*did you mean 'cold'?"),
        ([{**SFT, "weights": "sft"}], "'weights' names the stage itself, a cycle"),
        (
            [{**SFT, "weights": "b"}, {**SFT, "name": "b", "weights": "sft"}],
            "sft: 'weights' names 'b', which comes later: a cycle, or the wrong order",
        ),
        ([MIX, {**SFT, "weights": "mix"}], "'weights' names 'mix'"),
        ([SFT, {**SFT, "name": "b", "data": ["sft"]}], "which leaves weights and no rows"),
        ([{**MIX, "max_drop": 0.1}], "'accept' and 'max_drop' bound nothing"),
        (
            [{**SFT, "stage": "distil", "student": "a-hub/model", "on_policy": True}],
            "tokens of its teacher 'base'; one of them is made here",
        ),
        ([{**SFT, "accept": {"agility": {"min": 0.1}}}], "not 'agility'"),
    ],
)
def test_what_cannot_run_is_refused(stages, told, tmp_path):
    with pytest.raises(SpecError, match=told):
        load(tmp_path, stages)


def test_a_source_stands_in_one_place(tmp_path):
    with pytest.raises(SpecError, match="found 'file' and 'made'"):
        load(tmp_path, [SFT], data={"cold": {"made": {}, "file": "x"}, "test": {"made": {}}})
    with pytest.raises(SpecError, match="the file 'x' does not exist"):
        load(tmp_path, [SFT], data={"cold": {"file": "x"}, "test": {"made": {}}})


def test_a_stage_may_go_back_to_the_base(tmp_path):
    found = load(tmp_path, [SFT, MIX, {**SFT, "name": "again", "data": ["mix"]}])
    assert [getattr(stage, "weights", None) for stage in found.stages] == ["base", None, "base"]
