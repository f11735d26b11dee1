"""Does `Model.predict` add to what the work itself costs? Against bare onnxruntime and tokenizers.

One text a call, one thread, the same ``model.onnx`` and ``tokenizer.json``. The peer is the
least code that gives logits: ``tokenizer.encode``, one array, ``session.run``. The two take
turns in one process, on a text of their own each turn; medians. Goal: 1.25 at 64 tokens.

    python benchmarks/latency.py --model runs/complaints/latest/model
    python benchmarks/latency.py                       # an untrained head on minilm-l6
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from potstill.runtime import Model
from untrained import export_untrained, text_of, words_of

GOAL = 1.25


def bare_predict(folder: Path) -> Callable[[str], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def predict(text: str) -> object:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        return session.run(None, {"input_ids": ids})

    return predict


def milliseconds(function: Callable[[str], object], text: str) -> float:
    begin = time.perf_counter()
    function(text)
    return 1e3 * (time.perf_counter() - begin)


def measure(folder: Path, rounds: int) -> None:
    model = Model.load(folder, workers=1)
    ways = {"potstill": model.predict, "bare onnxruntime": bare_predict(folder)}
    words = words_of(folder / "tokenizer.json")
    generator = np.random.default_rng(0)
    export = model.card["export"]
    print(f"{model.name}: {export['graph']}, {export['engine']}, one thread, {rounds} rounds")
    print(f"{'tokens':>8}{'potstill ms':>14}{'p95':>8}{'bare ms':>12}{'p95':>8}{'ratio':>8}")
    for tokens in (16, 64, 256):
        if tokens > model.max_tokens:
            continue
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 3):
            text = text_of(words, tokens, generator)
            # Who goes first changes each turn: the second finds the caches warm.
            order = list(ways) if turn % 2 else list(ways)[::-1]
            for name in order:
                spent[name].append(milliseconds(ways[name], text))
        medians = {name: statistics.median(ms[3:]) for name, ms in spent.items()}
        p95 = {name: float(np.quantile(ms[3:], 0.95)) for name, ms in spent.items()}
        ours, bare = ways
        ratio = medians[ours] / medians[bare]
        print(
            f"{tokens:8}{medians[ours]:14.3f}{p95[ours]:8.2f}"
            f"{medians[bare]:12.3f}{p95[bare]:8.2f}{ratio:8.3f}"
            + (f"   goal {GOAL}: {'met' if ratio <= GOAL else 'missed'}" if tokens == 64 else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument("--base", default="minilm-l6", help="base of the untrained model")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or export_untrained(Path(temporary) / "model", options.base)
        measure(folder, options.rounds)


if __name__ == "__main__":
    main()
