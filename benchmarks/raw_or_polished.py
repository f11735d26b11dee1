"""Whose traces teach a small model better: those of the raw RL model, or those of the polished one?

DeepSeek-R1's report distils the polished model alone. Here `recipes/r1-tiny.yaml` goes on after its
last stage: the same questions are answered by the weights that come out of the cold start, out of
reinforcement learning and out of the whole recipe, and three copies of one small model learn from
the right and healthy answers of each, nothing else. They are judged on the same held-out
questions, in pairs.

    OMP_NUM_THREADS=1 python benchmarks/raw_or_polished.py --seeds 7 0 1 --json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import yaml

from potstill.api.reasoning import compare_stages
from potstill.run.recipe.cooking import run_recipe
from potstill.spec.loading import load_recipe

RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "r1-tiny.yaml"
WRITERS = {"cold": "sft", "raw": "grpo", "polished": "preferred"}


def longer(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with traces of three writers and a student of each; its own student is left out."""
    stages = {stage["name"]: stage for stage in recipe["stages"]}
    small = stages.pop("small")
    drawn = stages["tried"]
    for name, writer in WRITERS.items():
        stages[f"{name}_traces"] = {**drawn, "name": f"{name}_traces", "weights": writer}
    for name in WRITERS:
        student = {**small, "name": f"{name}_student", "data": [f"{name}_traces"]}
        stages[student["name"]] = {key: student[key] for key in student if key != "weights"}
    return {**recipe, "stages": list(stages.values())}


def main() -> None:
    """Run the longer recipe for each seed, and print what each student came to."""
    parser = argparse.ArgumentParser(description="Whose traces teach a small model better?")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 0, 1])
    parser.add_argument("--runs", type=Path, help="keep the runs here")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    recipe = longer(yaml.safe_load(RECIPE.read_text(encoding="utf-8")))
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in given.seeds:
            path = Path(folder) / "raw-or-polished.yaml"
            path.write_text(yaml.safe_dump({**recipe, "seed": seed}), encoding="utf-8")
            done = run_recipe(load_recipe(path), runs=given.runs or Path(folder) / "runs")
            found.append(_figures(seed, done.folder))
            if not given.json:
                print(found[-1], flush=True)
    if given.json:
        print(json.dumps(found, indent=1))


def _figures(seed: int, run: Path) -> dict[str, Any]:
    report = json.loads((run / "report.json").read_bytes())
    stages = {entry["name"]: entry for entry in report["stages"]}
    accuracy = {
        name: round(stages[name]["judgement"]["metrics"]["accuracy"]["value"], 3)
        for name in (*WRITERS.values(), *(f"{name}_student" for name in WRITERS))
    }
    rows = {name: stages[f"{name}_traces"]["facts"]["rows"] for name in WRITERS}
    pairs = {}
    for one, other in (("polished", "raw"), ("raw", "cold")):
        beside = compare_stages(f"{run}:{one}_student", f"{run}:{other}_student")
        apart = beside.comparison.differences["accuracy"]
        pairs[f"{one} against {other}"] = [
            round(value, 3) for value in (apart.value, apart.low, apart.high)
        ]
    return {"seed": seed, "rows": rows, "accuracy": accuracy, "pairs": pairs}


if __name__ == "__main__":
    main()
