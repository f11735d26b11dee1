"""A whole recipe by its verbs: check, run, run again, compare, evaluate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = """
kind: recipe
version: 1
name: sums
base: {hidden: 48, layers: 2, heads: 4, positions: 64}
data:
  cold: {made: {operation: addition, digits: 1, rows: 60, worked: true, seed: 1}}
  questions: {made: {operation: addition, digits: 1, rows: 20, seed: 2}}
  test: {made: {operation: addition, digits: 1, rows: 20, seed: 3}}
judge: {samples: 2, max_new_tokens: 24, verifier: numeric}
stages:
  - {name: cold-start, stage: cold_start, data: [cold]}
  - {name: sft, stage: sft, data: [cold-start], epochs: 30, learning_rate: 0.01, batch_size: 20, device_batch_size: 20, max_tokens: 64}
  - {name: grpo, stage: grpo, weights: sft, data: [questions], steps: 2, questions: 4, group: 4, batch_size: 16, device_batch_size: 16, learning_rate: 0.001, max_new_tokens: 24, max_tokens: 64, kl: 0.0, rewards: {verifier: numeric}}
  - {name: reject, stage: reject, weights: grpo, data: [questions], samples: 8, max_new_tokens: 24, verifier: numeric}
  - {name: mix, stage: mix, reasoning: [reject, cold-start]}
  - {name: sft-2, stage: sft, data: [mix], epochs: 4, learning_rate: 0.01, batch_size: 20, device_batch_size: 20, max_tokens: 64}
  - {name: prefer, stage: prefer, weights: sft-2, data: [reject], batch_size: 8, device_batch_size: 8, max_tokens: 64, learning_rate: 0.00001}
  - {name: distil, stage: distil, student: {hidden: 32, layers: 2, heads: 4, positions: 64}, data: [mix], epochs: 2, learning_rate: 0.01, batch_size: 20, device_batch_size: 20, max_tokens: 64}
  - {name: follow, stage: distil, on_policy: true, student: {hidden: 32, layers: 2, heads: 4, positions: 64}, weights: sft-2, data: [questions], batch_size: 20, device_batch_size: 20, learning_rate: 0.01, max_tokens: 48}
"""


@pytest.fixture(scope="module")
def cooked(tmp_path_factory, potstill):
    """A folder with a recipe that is finished, after its process was ended once in the midst."""
    folder = tmp_path_factory.mktemp("cooked")
    (folder / "recipe.yaml").write_text(RECIPE)
    checked = potstill("check", "recipe.yaml", "--json", cwd=folder)
    assert checked.code == 0, checked.err
    with (folder / "first.log").open("w") as log:
        first = subprocess.Popen(
            [sys.executable, "-c", "from potstill.cli import main; main()", "run", "recipe.yaml"],
            cwd=folder,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    patience = time.monotonic() + 100
    while first.poll() is None and time.monotonic() < patience:
        if list(folder.glob("runs/sums/*/sft/judgement.json")):
            first.send_signal(signal.SIGKILL)
            break
        time.sleep(0.2)
    first.wait(30)
    done = potstill("run", "recipe.yaml", "--json", cwd=folder)
    assert done.code == 0, done.err
    return folder, json.loads(checked.out), json.loads(done.out), done.err


def test_a_recipe_runs_from_its_file_to_its_report(cooked):
    folder, checked, done, told = cooked
    assert "sft       kept" in told, "what was finished before the kill is not done again"
    stages = {entry["name"]: entry for entry in done["results"]["stages"]}
    assert list(stages) == [plan["name"] for plan in checked["stages"]]
    assert stages["sft"]["facts"]["steps"] == 90
    assert (folder / done["report"]).is_file()
    assert "<svg" in (folder / done["report"]).read_text()
    for plan in checked["stages"]:
        steps = stages[plan["name"]].get("facts", {}).get("steps")
        if plan["exact"] and steps:
            assert plan["steps"] == steps, plan["name"]


def test_its_stages_are_compared(cooked, potstill):
    folder, _, done, _ = cooked
    result = potstill("compare", "runs/sums:sft", f"{done['run']}:base", cwd=folder)
    assert result.code == 0, result.err
    assert "Accuracy at one sample" in result.out
    found = json.loads(
        potstill("compare", "runs/sums:sft", "runs/sums:base", "--json", cwd=folder).out
    )
    assert found["comparison"]["names"] == ["sft", "base"]
    wrong = potstill("compare", "runs/sums:soft", "runs/sums:base", cwd=folder)
    assert wrong.code == 2
    assert "no stage of this run is called 'soft'" in wrong.err
    assert "Traceback" not in wrong.err


def test_its_weights_are_asked_again(cooked, potstill):
    folder, _, done, _ = cooked
    rows = [json.dumps({"question": f"{n}+1=", "answer": str(n + 1)}) for n in range(9)]
    (folder / "q.jsonl").write_text("\n".join(rows))
    result = potstill(
        "evaluate",
        "runs/sums:sft",
        "--data",
        "q.jsonl",
        "--samples",
        "4",
        "--limit",
        "5",
        cwd=folder,
    )
    assert result.code == 0, result.err
    assert "5, 20" in result.out
    assert "judged by 'numeric', since all answers are plain numbers" in result.err
    by_folder = potstill(
        "evaluate",
        f"{done['model']}",
        "--data",
        "q.jsonl",
        "--max-new-tokens",
        "20",
        "--json",
        cwd=folder,
    )
    assert json.loads(by_folder.out)["judge"]["max_new_tokens"] == 20


def test_check_draws_and_tells_the_time_that_was_measured(cooked, potstill):
    folder, _, _, _ = cooked
    result = potstill("check", "recipe.yaml", cwd=folder)
    assert result.code == 0, result.err
    assert "restarts from base" in result.out
    assert "speeds were measured in runs/sums/" in result.out
    assert "20 questions judge every stage" in result.err


@pytest.mark.slow
def test_the_tiny_recipe_that_ships_runs(tmp_path, potstill):
    done = potstill("run", ROOT / "recipes" / "r1-tiny.yaml", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["gates_passed"]
