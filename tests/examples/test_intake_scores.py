"""The scores that the example's README promises, from its task files to the end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-c", "from potstill.cli import main; main()"]


def potstill(*arguments: str | Path) -> str:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_three_runs_and_the_workflow_reach_what_the_readme_says(tmp_path):
    for name in ("intake", "complaints"):
        shutil.copytree(
            EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("model", "models")
        )
    intake = tmp_path / "intake"
    for name in ("router", "banking", "complaints"):
        potstill(
            *("run", intake / f"{name}.yaml", "--quiet"),
            *("--runs", tmp_path / "runs", "--out", intake / "models" / name),
        )
    found = json.loads(
        potstill("evaluate", intake / "workflow.yaml", "--data", intake / "gold.jsonl", "--json")
    )
    selective = found["selective"]
    assert selective["coverage"]["value"] == pytest.approx(0.88, abs=0.03)
    assert selective["error"]["value"] < 0.045
    assert selective["outside_deferred"]["value"] > 0.7
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(0.935, abs=0.015)
    nodes = {node["node"]: node for node in found["attribution"]["nodes"]}
    assert nodes["route"]["reached"] == 2135
    assert all(node["gain_if_perfect"]["low"] > 0.0 for node in nodes.values())
