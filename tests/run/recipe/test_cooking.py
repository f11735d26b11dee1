"""A recipe's stages in order: what is refused, what is done again, what a kill costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stub_trainers import STAGES, Killed, skill_of

from potstill.errors import SpecError


def changed(**stages: dict[str, Any]) -> list[dict[str, Any]]:
    """The stages, with other settings for some; names with underscores for hyphens."""
    return [{**stage, **stages.get(stage["name"].replace("-", "_"), {})} for stage in STAGES]


def test_every_stage_is_done_once_and_judged(write_recipe, cook, trainers):
    first = cook(write_recipe())
    assert trainers.stages == ["sft", "grpo", "sft-2", "prefer", "distil"]
    # The second fine-tuning starts over from the base.
    assert [skill for _, skill, _ in trainers.learnt] == [0.0, 0.5, 0.0, 0.7, 0.0]
    assert first.done[:3] == ["read", "base", "base.judge"]
    assert first.done[-1] == "report"
    accuracy = [
        entry["judgement"]["metrics"]["accuracy"]["value"]
        for entry in first.outcome.report["stages"]
        if entry.get("judgement")
    ]
    assert accuracy[0] == 0.0
    assert accuracy[1] < accuracy[2], "0.8 of skill is more than 0.5"
    assert skill_of(first.outcome.model) == 0.4
    again = cook(write_recipe())
    assert again.folder == first.folder
    assert again.done == []
    assert len(trainers.learnt) == 5


def test_a_stage_that_loses_too_much_is_refused_and_the_next_goes_on_from_its_start(
    write_recipe, cook, trainers
):
    file = write_recipe(
        changed(grpo={"learning_rate": 0.1, "max_drop": 0.05}, sft_2={"weights": "grpo"})
    )
    found = cook(file)
    grpo = next(one for one in found.outcome.report["stages"] if one["name"] == "grpo")
    assert grpo["refused"]
    assert any("grpo is refused" in text for text in found.warned)
    starts = {name: skill for name, skill, _ in trainers.learnt}
    assert starts["sft-2"] == 0.5, "grpo's own 0.1 must not be gone on from"
    assert (found.folder / "grpo" / "weights").is_dir(), "what was refused is kept to be looked at"
    assert "(refused)" in (found.folder / "report.md").read_text()


def test_without_a_bound_or_within_it_nothing_is_refused(write_recipe, cook, trainers):
    for drop in ({}, {"max_drop": 0.9}):
        found = cook(write_recipe(changed(grpo={"learning_rate": 0.1, **drop})))
        assert not any(one.get("refused") for one in found.outcome.report["stages"])


def test_a_gate_that_fails_is_told_and_another_bound_is_the_same_run(write_recipe, cook, trainers):
    strict = cook(write_recipe(changed(distil={"accept": {"accuracy": {"min": 0.99}}})))
    assert strict.outcome.gates_passed is False
    mild = cook(write_recipe(changed(distil={"accept": {"accuracy": {"min": 0.1}}})))
    assert mild.outcome.gates_passed is True
    assert mild.folder == strict.folder
    assert mild.done == ["report"]


def test_until_and_from(write_recipe, cook, trainers):
    file = write_recipe()
    part = cook(file, until="grpo")
    assert part.outcome.report is None
    assert part.done[-1] == "grpo.judge"
    assert skill_of(part.outcome.model) == 0.8
    trainers.learnt.clear()
    cook(file)
    assert trainers.stages == ["sft-2", "prefer", "distil"]
    trainers.learnt.clear()
    again = cook(file, restart="grpo")
    assert trainers.stages == ["grpo", "sft-2", "prefer", "distil"]
    assert "sft" not in again.done
    with pytest.raises(SpecError, match="no stage of this recipe is called 'gropo'"):
        cook(file, until="gropo")


def test_a_kill_between_stages_costs_nothing_that_was_finished(write_recipe, cook, trainers):
    file = write_recipe()
    trainers.kill_in = "sft-2"
    with pytest.raises(Killed):
        cook(file)
    trainers.kill_in = None
    trainers.learnt.clear()
    rest = cook(file)
    assert trainers.stages == ["sft-2", "prefer", "distil"]
    assert trainers.found == ["sft-2"], "the checkpoint of the killed training must be there"
    assert rest.done[0] == "sft-2"


def test_from_forgets_the_checkpoints_of_the_stages_that_it_does_again(
    write_recipe, cook, trainers
):
    file = write_recipe()
    trainers.kill_in = "grpo"
    with pytest.raises(Killed):
        cook(file)
    trainers.kill_in = None
    cook(file, restart="grpo")
    assert trainers.found == []


def test_a_kill_while_answers_are_drawn_costs_one_question(write_recipe, cook, trainers, tmp_path):
    file = write_recipe()
    whole = cook(file)
    kept = (whole.folder / "reject" / "rows.jsonl").read_bytes()
    drawn = len(trainers.drawn)
    judged = (whole.folder / "sft" / "judgement.json").read_bytes()

    trainers.drawn.clear()
    # base and sft and grpo are judged by 80 completions each; reject then draws 4 a question.
    trainers.kill_after = 3 * 80 + 4 * 7 + 2
    with pytest.raises(Killed):
        cook(file, restart="base")
    trainers.kill_after = None
    done = len(trainers.drawn)
    rest = cook(file)
    assert len(trainers.drawn) == drawn + 2, "two completions of the eighth question, once more"
    assert (rest.folder / "reject" / "rows.jsonl").read_bytes() == kept
    assert (rest.folder / "sft" / "judgement.json").read_bytes() == judged
    assert not list(rest.folder.glob("*/drawn.jsonl"))
    assert done < drawn


def test_the_judgement_too_is_gone_on_with(write_recipe, cook, trainers):
    file = write_recipe(STAGES[:2])
    trainers.kill_after = 80 + 33
    with pytest.raises(Killed):
        cook(file)
    drawn_file = next((file.parent / "runs").glob("sums/*/sft/drawn.jsonl"))
    # What was being written when the process ended.
    with drawn_file.open("ab") as stream:
        stream.write(b'{"id":"addi')
    trainers.kill_after = None
    found = cook(file)
    assert len(trainers.drawn) == 160 + 1
    stage = json.loads((found.folder / "sft" / "judgement.json").read_text())
    assert stage["samples"] == 80


def test_what_is_not_built_is_refused_before_anything_runs(write_recipe, cook, trainers):
    stages = [{**STAGES[0], "corrected": "drafts.jsonl"}, *STAGES[1:2]]
    with pytest.raises(SpecError, match="cold-start: 'corrected' is not supported yet"):
        cook(write_recipe(stages))
    assert not (Path(write_recipe().parent) / "runs").exists()


def test_the_model_is_copied_where_it_is_wanted(write_recipe, cook, trainers, tmp_path):
    cook(write_recipe(STAGES[:2]), out=tmp_path / "model")
    assert skill_of(tmp_path / "model") == 0.5
