"""How should a server lay out its cores? Threads, threads a run, or batches.

* single: so many callers, each giving onnxruntime one text at a time on one thread (ours).
* wide: one caller, all cores on each text.
* batch: padded batches on all cores, the best that batching can do: the texts are all there.

All take turns on the same texts; medians. A real batching server also waits for its batches.

    python benchmarks/serve_layout.py --model runs/complaints/latest/model
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from potstill.runtime import Model
from potstill.serve.layout import cores_in_quota
from untrained import export_untrained, text_of, words_of

TURNS = 5
CORES = cores_in_quota()
Run = Callable[[Sequence[str]], None]


def single(model: Model, callers: int) -> Run:
    pool = ThreadPoolExecutor(callers)

    def run(texts: Sequence[str]) -> None:
        shares = [texts[at::callers] for at in range(callers)]
        list(pool.map(lambda share: [model.predict(text) for text in share], shares))

    return run


def batches(folder: Path, size: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()

    def run(texts: Sequence[str]) -> None:
        for begin in range(0, len(texts), size):
            encoded = tokenizer.encode_batch(list(texts[begin : begin + size]))
            session.run(None, {"input_ids": np.array([row.ids for row in encoded])})

    return run


def measure(folder: Path, seconds: float) -> None:
    model = Model.load(folder, workers=1)
    words = words_of(folder / "tokenizer.json")
    ways = {f"single, {n} callers": single(model, n) for n in sorted({1, CORES, 2 * CORES})}
    ways["wide, 1 caller"] = batches(folder, 1)
    ways |= {f"batch of {size}": batches(folder, size) for size in (4, 8, 32)}
    lengths = (16, 64, 256)
    generator = np.random.default_rng(0)
    print(f"{CORES} cores, texts a second{''.join(f'{n:>8} tokens' for n in lengths)}")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for tokens in lengths:
        texts = [text_of(words, tokens, generator) for _ in range(32)]
        ways["single, 1 callers"](texts)
        begin = time.perf_counter()
        ways["single, 1 callers"](texts)
        repeat = max(1, round(seconds / (time.perf_counter() - begin)))
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, run in ways.items():
                begin = time.perf_counter()
                run(texts * repeat)
                found[name].append(len(texts) * repeat / (time.perf_counter() - begin))
        for name, each in found.items():
            rates[name].append(statistics.median(each))
    for name, each in rates.items():
        print(f"{name:22}{''.join(f'{rate:15.0f}' for rate in each)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument("--base", default="minilm-l6", help="base of the untrained model")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one way in one turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or export_untrained(Path(temporary) / "model", options.base)
        measure(folder, options.seconds)


if __name__ == "__main__":
    main()
