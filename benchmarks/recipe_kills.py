"""Ten kills in the midst of a recipe, and what they cost: nothing in the result.

A small version of recipes/r1-tiny.yaml is run undisturbed, then once more in another folder, with
ten SIGKILLs of its whole process group: one in each kind of step, at a random moment of the time
that the step took undisturbed. After each the same command is run again. Then all weights, rows,
samples, answers and judgements must be the same, bit for bit; no step that the manifest had may be
done again; and nothing half-written may be left.

    OMP_NUM_THREADS=1 python benchmarks/recipe_kills.py --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from safetensors.numpy import load_file

RECIPE = Path(__file__).parent.parent / "recipes" / "r1-tiny.yaml"
SMALLER: dict[str, dict[str, Any]] = {
    "sft": {"epochs": 4},
    "grpo": {"steps": 30, "questions": 16, "group": 4},
    "tried": {"samples": 3},
    "again": {"epochs": 2, "accept": {}},
    "preferred": {"max_drop": 1.0},
    "small": {"epochs": 2},
}
TARGETS = (
    *("read", "base", "sft", "sft.judge", "grpo"),
    *("tried", "again", "preferred", "small", "report"),
)
"""Steps that are killed, one after the other."""
SAVE_STEPS = 5
KEPT = ("*/rows.jsonl", "*/samples.jsonl", "*/answers.jsonl", "*/judgement.json", "*/weights.json")
# Imports first, so that the time of a step is not that of imports.
START = (
    "from potstill.train.causal import fine_tune, follow, prefer, reinforce, sample\n"
    "from potstill.cli import main\n"
    "main()"
)


def write_recipe(folder: Path) -> Path:
    """The small recipe: fewer rows, steps and samples."""
    recipe = YAML(typ="safe").load(RECIPE.read_text())
    for name, rows in (("cold", 1000), ("questions", 300), ("test", 60)):
        recipe["data"][name]["made"]["rows"] = rows
    for stage in recipe["stages"]:
        stage.update(SMALLER.get(stage["name"], {}))
        if "learning_rate" in stage:
            stage["save_steps"] = SAVE_STEPS
    file = folder / "r1-tiny.yaml"
    file.write_text(json.dumps(recipe))  # JSON is YAML
    return file


class Attempt:
    """A process that runs the recipe, in a process group of its own."""

    def __init__(self, file: Path, runs: Path, log: Path) -> None:
        self.runs = runs
        self._log = log.open("ab")
        command = [sys.executable, "-c", START, "run", str(file), "--runs", str(runs)]
        self.process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self.begun = time.monotonic()

    def wait_for(self, step: str, seen: int) -> bool:
        """Wait until a step begins that is told after so many events; False where it ends first."""
        while self.process.poll() is None:
            if any(
                event["stage"] == step and event["kind"] == "started"
                for event in events(self.runs)[seen:]
            ):
                return True
            time.sleep(0.003)
        return False

    def kill(self) -> None:
        """End it and its children, as a machine that loses its power would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.end()

    def end(self) -> float:
        """Seconds that it took."""
        self.process.wait()
        self._log.close()
        return time.monotonic() - self.begun


def run_of(runs: Path) -> Path | None:
    return next(runs.glob("r1-tiny/*/"), None)


def events(runs: Path) -> list[dict[str, Any]]:
    """What the run has told so far; a line that is being written is not read."""
    run = run_of(runs)
    file = run / "events.jsonl" if run else None
    if file is None or not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


def manifest(runs: Path) -> dict[str, Any]:
    run = run_of(runs)
    file = run / "manifest.json" if run else None
    return json.loads(file.read_text())["stages"] if file and file.is_file() else {}


def disturbed(
    file: Path, runs: Path, log: Path, took: dict[str, float], chance: random.Random
) -> tuple[float, list[float]]:
    """Run with a kill in each of the targets.

    Returns:
        Seconds in all, and those from the beginning of a step to the kill that fell into it.
    """
    seconds, underway = 0.0, list[float]()
    finished: dict[str, Any] = {}
    for target in TARGETS:
        attempt = Attempt(file, runs, log)
        if not attempt.wait_for(target, len(events(runs))):
            sys.exit(f"{target} did not begin: see {log}")
        time.sleep(chance.random() * took[target])
        now = time.time()
        attempt.kill()
        seconds += time.monotonic() - attempt.begun
        last = events(runs)[-1]
        since = now - last["time"] if last["kind"] == "started" else 0.0
        underway.append(since)
        print(f"killed: {since:.2f} s after {last['stage']} {last['kind']}", flush=True)
        check_kept(finished, manifest(runs))
        finished = manifest(runs)
    attempt = Attempt(file, runs, log)
    seconds += attempt.end()
    if attempt.process.returncode:
        sys.exit(f"the last attempt failed: see {log}")
    check_kept(finished, manifest(runs))
    return seconds, underway


def check_kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Every step that was finished is finished still, and was not done again."""
    for step, entry in before.items():
        if after.get(step) != entry:
            sys.exit(f"{step} was finished, and was done again")


def differences(first: Path, second: Path) -> tuple[float, int, int]:
    """Greatest difference of any weight, and files that are compared and that differ."""
    most, files, differing = 0.0, 0, 0
    for weights in sorted(first.glob("*/weights/model.safetensors")):
        mine, other = (load_file(run / weights.relative_to(first)) for run in (first, second))
        assert mine.keys() == other.keys()
        most = max(most, *(float(np.abs(mine[name] - other[name]).max()) for name in mine))
    for pattern in (*KEPT, "*/weights/model.safetensors"):
        for file in sorted(first.glob(pattern)):
            files += 1
            differing += file.read_bytes() != (second / file.relative_to(first)).read_bytes()
    return most, files, differing


def leftovers(run: Path) -> list[str]:
    """What should not be there when all is done."""
    found = [*run.rglob("*.partial*"), *run.glob("*/checkpoints"), *run.glob("*/drawn.jsonl")]
    return [str(path.relative_to(run)) for path in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    seed = parser.parse_args().seed
    with tempfile.TemporaryDirectory(prefix="recipe-kills-") as place:
        folder = Path(place)
        file, log = write_recipe(folder), folder / "log.txt"
        whole = Attempt(file, folder / "whole", log)
        seconds = whole.end()
        if whole.process.returncode:
            sys.exit(f"the undisturbed run failed:\n{log.read_text()[-2000:]}")
        took = {step: entry["seconds"] for step, entry in manifest(folder / "whole").items()}
        work = sum(took.values())
        print(f"undisturbed: {seconds:.0f} s, of which {work:.0f} s are work", flush=True)
        again, underway = disturbed(file, folder / "killed", log, took, random.Random(seed))
        first, second = run_of(folder / "whole"), run_of(folder / "killed")
        assert first is not None and second is not None
        most, files, differing = differences(first, second)
        told = events(folder / "killed")
        starts = Counter(event["stage"] for event in told if event["kind"] == "started")
        ends = Counter(event["stage"] for event in told if event["kind"] == "finished")
        spent = sum(entry["seconds"] for entry in manifest(folder / "killed").values())
        done = spent + sum(underway)
        print(f"killed {len(underway)} times: {again:.0f} s, of which {done:.0f} s are work")
        print(f"steps begun {sum(starts.values())} times, finished {sum(ends.values())} times")
        print(
            f"greatest difference of a weight: {most:g}; files that differ: {differing} of {files}"
        )
        left = leftovers(second)
        print(f"left over: {', '.join(left) or 'nothing'}")
        if most or differing or left or set(ends.values()) != {1} or ends.keys() != took.keys():
            sys.exit("FAILED")


if __name__ == "__main__":
    main()
