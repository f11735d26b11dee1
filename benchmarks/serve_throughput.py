"""How many requests a second for 64 callers? Against LitServe, FastAPI, and no HTTP at all.

All serve the same model on the same cores, in turns; medians over rounds. The load is wrk's:
64 connections that are kept, each asking again as soon as it is answered, with other texts.

* potstill: one process.
* LitServe, and FastAPI, with transformers' `pipeline`: over the same ``model.onnx``, and over
  torch; LitServe with one process a core. The faster stands for each.
* LitServe with the bare session of the same ``model.onnx`` and no pipeline, one process a core,
  or one process with batches of up to 16: what somebody who knows our lessons would write.
* bare onnxruntime: padded batches at the best of several sizes, in one process, no HTTP.

Goals: 1.5 times the fastest peer with the pipeline, 0.7 of bare onnxruntime.

    python benchmarks/serve_throughput.py --model MODEL --peer-python peers/bin/python
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from serving import HERE, PREDICT, Load, free_port, ours, started, wrk
from throughput import bare_onnxruntime
from untrained import export_untrained, text_of, words_of

CLIENTS = 64
PEERS = {
    "LitServe + pipeline, onnx": ("litserve", "onnx", 1),
    "LitServe + pipeline, torch": ("litserve", "torch", 1),
    "LitServe, bare onnx": ("litserve", "bare", 1),
    "LitServe, bare onnx, by 16": ("litserve", "bare", 16),
    "FastAPI + pipeline, onnx": ("fastapi", "onnx", 1),
    "FastAPI + pipeline, torch": ("fastapi", "torch", 1),
}
TEXTS = 400


def bare_rate(folder: Path, texts: list[str], seconds: float) -> float:
    """The best rate of batched onnxruntime over several batch sizes."""
    best = 0.0
    for size in (4, 8, 16, 32):
        run = bare_onnxruntime(folder, size)
        run(texts[:64])
        begin, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - begin) < seconds / 4:
            run(texts[:64])
            done += 64
        best = max(best, done / spent)
    return best


def measure(options: argparse.Namespace, folder: Path, base: Path) -> None:
    words = words_of(folder / "tokenizer.json")
    generator = np.random.default_rng(0)
    texts = [text_of(words, options.tokens, generator) for _ in range(TEXTS)]
    loads: dict[str, list[Load]] = {"potstill": []}
    bare: list[float] = []
    for number in range(options.rounds):
        port = free_port()
        with started(ours(folder, port), port):
            loads["potstill"].append(load(port, PREDICT, texts, options.seconds))
        bare.append(bare_rate(folder, texts, options.seconds))
        for name, (kind, engine, batch) in PEERS.items() if options.peer_python else ():
            port = free_port()
            arguments = [kind, engine, str(folder), str(base), str(port), str(batch)]
            command = [str(options.peer_python), str(HERE / "serve_peer.py"), *arguments]
            with started(command, port):
                loads.setdefault(name, []).append(load(port, "/predict", texts, options.seconds))
        print(f"round {number + 1} of {options.rounds} done", flush=True)
    print(
        f"{CLIENTS} clients, {options.tokens} tokens, {options.rounds} rounds of {options.seconds} s"
    )
    print(f"{'':28}{'answers/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'bad':>6}{'ours/it':>9}")
    rates = {name: statistics.median(each.per_s for each in found) for name, found in loads.items()}
    for name, found in loads.items():
        p50 = statistics.median(each.p50_ms for each in found)
        p99 = statistics.median(each.p99_ms for each in found)
        bad = sum(each.bad for each in found)
        ratio = rates["potstill"] / rates[name]
        print(f"{name:28}{rates[name]:10.0f}{p50:9.1f}{p99:9.1f}{bad:6}{ratio:9.2f}")
    alone = statistics.median(bare)
    print(f"{'bare onnxruntime, no HTTP':28}{alone:10.0f}{'':24}{rates['potstill'] / alone:9.2f}")
    for kind in ("LitServe + pipeline", "FastAPI + pipeline", "LitServe, bare"):
        if peers := [rate for name, rate in rates.items() if name.startswith(kind)]:
            verdict(rates["potstill"] / max(peers), 1.5, kind)
    verdict(rates["potstill"] / alone, 0.7, "bare onnxruntime")


def load(port: int, path: str, texts: list[str], seconds: int) -> Load:
    wrk(port, path, texts, connections=CLIENTS, seconds=2)
    return wrk(port, path, texts, connections=CLIENTS, seconds=seconds)


def verdict(ratio: float, goal: float, whom: str) -> None:
    print(f"{ratio:.2f} times {whom}; goal {goal}: {'met' if ratio >= goal else 'missed'}")


def main() -> None:
    from potstill.train import resolve_base

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument("--base", default="minilm-l6", help="base of the peers and the untrained")
    parser.add_argument("--peer-python", type=Path, help="a python with litserve and transformers")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of one load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or export_untrained(Path(temporary) / "model", options.base)
        measure(options, folder, resolve_base(options.base).folder)


if __name__ == "__main__":
    main()
