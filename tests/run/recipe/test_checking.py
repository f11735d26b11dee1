"""`check` of a recipe: counted rows, estimates that say what they are, and warnings."""

from __future__ import annotations

import json

import pytest
from stub_trainers import STAGES, SUMS

from potstill.errors import DataError
from potstill.run.recipe.checking import check_recipe
from potstill.run.recipe.flowchart import flowchart
from potstill.spec.loading import load_recipe


@pytest.fixture
def check(tmp_path):
    return lambda file: check_recipe(load_recipe(file), runs=tmp_path / "runs")


def plan_of(found, name):
    return next(one for one in found.stages if one.name == name)


def test_what_is_counted_and_what_is_a_bound(write_recipe, check, tmp_path):
    before = write_recipe()
    files = sorted(tmp_path.rglob("*"))
    found = check(before)
    assert sorted(tmp_path.rglob("*")) == files, "nothing may be changed"
    assert found.rows == {"cold": 30, "questions": 20, "test": 40}
    sft = plan_of(found, "sft")
    assert (sft.rows, sft.exact, sft.steps, sft.start) == (30, True, 2, "base")
    assert sft.judged == 80
    reject = plan_of(found, "reject")
    assert (reject.rows, reject.completions, reject.tokens) == (20, 80, 3200)
    mix = plan_of(found, "mix")
    assert (mix.rows, mix.exact) == (20 + 30, False)
    assert plan_of(found, "grpo").completions == 32 * 16
    assert all(one.seconds is None for one in found.stages)
    assert found.measured is None


def test_the_estimate_of_steps_is_what_a_run_takes(write_recipe, check):
    stages = [
        {**STAGES[0]},
        {"name": "sft", "stage": "sft", "data": ["cold-start"], "epochs": 3, "batch_size": 8},
        {
            "name": "g",
            "stage": "grpo",
            "data": ["questions"],
            "questions": 6,
            "group": 4,
            "probe": 2,
        },
    ]
    found = check(write_recipe(stages))
    assert plan_of(found, "sft").steps == 3 * 4
    assert plan_of(found, "g").steps == 3
    assert plan_of(found, "g").completions == 3 * 6 * 4 + 2 * 20


def test_a_run_measures_the_speed_of_this_machine(write_recipe, check, cook, trainers):
    file = write_recipe()
    cook(file)
    found = check(file)
    assert found.measured is not None
    assert all(one.seconds is not None for one in found.stages)
    # Another batch is another speed; other questions are not.
    other = [{**stage, "batch_size": 64} if stage["name"] == "sft" else stage for stage in STAGES]
    assert plan_of(check(write_recipe(other)), "sft").seconds is None
    assert plan_of(check(write_recipe(other)), "reject").seconds is not None


def warnings_of(check, file, part):
    return [text for text in check(file).warnings if part in text]


def test_few_questions_and_a_source_that_nobody_reads_are_told(write_recipe, check):
    few = {**SUMS, "test": {"made": {"rows": 12}}, "idle": {"made": {"rows": 3}}}
    found = check(write_recipe(data=few)).warnings
    assert any("12 questions judge every stage, too few for an interval" in one for one in found)
    assert any("'idle' is read by no stage" in one for one in found)
    many = {**SUMS, "test": {"made": {"rows": 150}}}
    assert check(write_recipe(data=many)).warnings == []


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_questions_without_an_answer_are_told(write_recipe, check, tmp_path):
    write_rows(tmp_path / "q.jsonl", [{"prompt": f"How many is {n}?"} for n in range(9)])
    data = {**SUMS, "questions": {"file": "q.jsonl"}}
    [grpo, reject] = warnings_of(check, write_recipe(data=data), "nothing can be verified")
    assert grpo.startswith("grpo: no question of 'questions'")
    assert reject.startswith("reject:")
    write_rows(
        tmp_path / "q.jsonl",
        [{"prompt": f"How many is {n}?", "answer": "4" if n else None} for n in range(9)],
    )
    assert len(warnings_of(check, write_recipe(data=data), "1 of 9 questions")) == 2


def test_a_judge_without_answers_and_a_verifier_that_reads_none_are_told(
    write_recipe, check, tmp_path
):
    write_rows(
        tmp_path / "t.jsonl", [{"prompt": f"Say {n}.", "answer": "blue"} for n in range(200)]
    )
    data = {**SUMS, "test": {"file": "t.jsonl"}}
    assert warnings_of(check, write_recipe(data=data), "does not take 200 of the first 200")
    bare = {**SUMS, "test": {"file": "t.jsonl", "answer": "nope"}}
    assert warnings_of(check, write_recipe(data=bare), "test: no row has an answer under 'nope'")


def test_test_rows_in_a_training_source_are_told_by_name(write_recipe, check, tmp_path):
    questions = [
        {
            "prompt": f"A farmer keeps {n} hens and buys three more at the market; how many?",
            "answer": "1",
        }
        for n in range(120)
    ]
    write_rows(tmp_path / "t.jsonl", questions)
    write_rows(tmp_path / "q.jsonl", [*questions[:2], {"prompt": "Who is there?", "answer": "2"}])
    data = {**SUMS, "test": {"file": "t.jsonl"}, "questions": {"file": "q.jsonl"}}
    file = write_recipe(data=data)
    [told] = warnings_of(check, file, "will be left out")
    assert told.startswith("questions: 2 rows hold questions of 'test'")
    assert plan_of(check(file), "reject").rows == 1


def test_an_empty_test_set_is_an_error(write_recipe, check, tmp_path):
    (tmp_path / "t.jsonl").write_text("")
    with pytest.raises(DataError, match="the source 'test' has no rows"):
        check(write_recipe(data={**SUMS, "test": {"file": "t.jsonl"}}))


def test_a_base_without_a_chat_template_is_told(write_recipe, check, tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path / "bare"
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "<e>": 1, "<p>": 2}, unk_token="a"))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<e>", pad_token="<p>"
    ).save_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"never loaded")
    (folder / "config.json").write_text("{}")
    [told] = warnings_of(check, write_recipe(base="bare"), "no chat template")
    assert told.startswith("base: ")
    [told] = warnings_of(check, write_recipe(base="some/hub-model"), "comes from the hub")


def test_too_long_answers_for_a_small_base_are_told(write_recipe, check):
    base = {"hidden": 16, "positions": 32}
    told = warnings_of(check, write_recipe(base=base), "32 positions")
    assert {text.partition(":")[0] for text in told} == {"judge", "grpo", "reject"}


def test_the_restart_from_the_base_is_drawn(write_recipe):
    drawn = flowchart(load_recipe(write_recipe()).recipe)
    assert "base ==> s2" in drawn
    assert "base ==>|restarts from base| s6" in drawn
    assert "s2 ==> s3" in drawn
    assert "d3 -.-> s6" in drawn
