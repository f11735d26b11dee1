"""What does a workflow of three models cost beyond the three models?

Three models in a chain, all of which run for every text, against the bare models one after
another on the same thread. The two take turns in one process, on a text of their own each turn;
medians. Goal: 0.3 ms.

    python benchmarks/workflow_overhead.py --model runs/complaints --model runs/banking77
    python benchmarks/workflow_overhead.py             # an untrained head on minilm-l6, thrice
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from potstill.runtime import Model
from potstill.runtime.finding import find_model
from potstill.workflow import Workflow
from untrained import export_untrained, text_of, words_of

GOAL_MS = 0.3


def chain(folders: list[Path]) -> str:
    """A workflow in which each model waits for the one before it, and always runs."""
    lines = ["kind: workflow", "version: 1", "name: chain", "nodes:"]
    for number, folder in enumerate(folders):
        lines += [f"  n{number}:", f"    model: {json.dumps(str(folder.resolve()))}"]
        if number:
            labels = json.dumps(list(Model.load(folders[number - 1], workers=1).labels))
            lines.append(f"    when: {{n{number - 1}.guess: {labels}}}")
    return "\n".join([*lines, f"output: n{len(folders) - 1}", ""])


def milliseconds(function: Callable[[str], object], text: str) -> float:
    begin = time.perf_counter()
    function(text)
    return 1e3 * (time.perf_counter() - begin)


def measure(folders: list[Path], rounds: int) -> None:
    models = [Model.load(folder, workers=1) for folder in folders]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "chain.yaml"
        path.write_text(chain(folders), encoding="utf-8")
        workflow = Workflow.load(path)
    ways: dict[str, Callable[[str], object]] = {
        "workflow": workflow.predict,
        "bare models": lambda text: [model.predict(text) for model in models],
        "with a trace": lambda text: workflow.run([text]),
    }
    words = words_of(folders[0] / "tokenizer.json")
    generator = np.random.default_rng(0)
    print(f"{', '.join(model.name for model in models)}; one thread, {rounds} rounds; median ms")
    print(f"{'tokens':>8}" + "".join(f"{name:>14}" for name in ways) + f"{'added':>9}")
    for tokens in (16, 64):
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 3):
            text = text_of(words, tokens, generator)
            # Who goes first changes each turn: the second finds the caches warm.
            for name in list(ways) if turn % 2 else list(ways)[::-1]:
                spent[name].append(milliseconds(ways[name], text))
        medians = {name: statistics.median(ms[3:]) for name, ms in spent.items()}
        pairs = zip(spent["workflow"][3:], spent["bare models"][3:], strict=True)
        added = statistics.median(whole - bare for whole, bare in pairs)
        verdict = "met" if added <= GOAL_MS else "missed"
        print(
            f"{tokens:8}"
            + "".join(f"{ms:14.3f}" for ms in medians.values())
            + f"{added:9.3f}   goal {GOAL_MS}: {verdict}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, action="append", help="repeat for several")
    parser.add_argument("--base", default="minilm-l6", help="base of the untrained model")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        given = options.model or [export_untrained(Path(temporary) / "model", options.base)]
        folders = [find_model(path) for path in given]
        measure((folders * 3)[:3], options.rounds)


if __name__ == "__main__":
    main()
