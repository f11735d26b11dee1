"""How many short messages a second? Against batched onnxruntime and transformers' `pipeline`.

All three read the same texts on the same cores, in turns, in one process; medians over turns.

* potstill: ``Model.stream``, one unpadded text a run.
* bare onnxruntime: the same ``model.onnx`` in padded batches, threads = cores, the best of
  several batch sizes. The graph has no attention mask, so the padded answers are wrong; the
  time is that of right ones or less.
* pipeline: ``transformers.pipeline("text-classification")``, torch fp32, the same base with a
  head of as many labels, the best of several batch sizes; it reads a quarter of the texts,
  for it would take most of the time.

Goals: 0.8 of bare onnxruntime, 3 times the pipeline.

    python benchmarks/throughput.py --model runs/complaints/latest/model
    python benchmarks/throughput.py                    # an untrained head on minilm-l6
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from potstill.runtime import Model
from untrained import export_untrained, message_lengths, text_of, words_of

CORES = len(os.sched_getaffinity(0))
TURNS = 5

Run = Callable[[Sequence[str]], None]


def bare_onnxruntime(folder: Path, batch: int) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()

    def run(texts: Sequence[str]) -> None:
        for begin in range(0, len(texts), batch):
            encoded = tokenizer.encode_batch(list(texts[begin : begin + batch]))
            session.run(None, {"input_ids": np.array([row.ids for row in encoded])})

    return run


def torch_pipeline(base: Path, labels: int, max_tokens: int, batch: int) -> Run:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(CORES)
    classify = pipeline(
        "text-classification",
        model=AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=labels, dtype=torch.float32
        ),
        tokenizer=AutoTokenizer.from_pretrained(base),
        device="cpu",
    )

    def run(texts: Sequence[str]) -> None:
        list(classify(list(texts), batch_size=batch, truncation=True, max_length=max_tokens))

    return run


def rate(run: Run, texts: Sequence[str]) -> float:
    """Texts a second."""
    begin = time.perf_counter()
    run(texts)
    return len(texts) / (time.perf_counter() - begin)


def best(make: Callable[[int], Run], sizes: Sequence[int], texts: Sequence[str]) -> tuple[int, Run]:
    """The batch size with the highest rate on a sample, and its run."""
    runs = {size: make(size) for size in sizes}
    for run in runs.values():
        run(texts[:64])
    size = max(sizes, key=lambda size: rate(runs[size], texts))
    return size, runs[size]


def measure(folder: Path, base: Path, rows: int) -> None:
    model = Model.load(folder)
    words = words_of(folder / "tokenizer.json")
    generator = np.random.default_rng(0)
    lengths = message_lengths(rows, generator)
    texts = [text_of(words, int(tokens), generator) for tokens in lengths]
    sample = texts[: max(rows // 40, 64)]
    labels = len(model.labels)

    def stream(some: Sequence[str]) -> None:
        for _ in model.stream(some):
            pass

    size, bare = best(lambda size: bare_onnxruntime(folder, size), (4, 8, 16, 32, 64), sample)
    torch_size, torch_run = best(
        lambda size: torch_pipeline(base, labels, model.max_tokens, size), (1, 8, 32), sample
    )
    stream(sample)
    ways = {
        "potstill": stream,
        f"bare onnxruntime, batch {size}": bare,
        f"transformers pipeline, batch {torch_size}": torch_run,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS):
        part = texts[turn::TURNS]
        for name, run in ways.items():
            rates[name].append(rate(run, part[::4] if run is torch_run else part))
    export = model.card["export"]
    print(f"{model.name}: {export['graph']}, {export['engine']}, {CORES} cores")
    print(f"{rows} texts, {lengths.mean():.1f} tokens on average, {TURNS} turns")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    goals = dict(zip(ways, (None, 0.8, 3.0), strict=True))
    for name, found in medians.items():
        ratio = medians["potstill"] / found
        goal = goals[name]
        verdict = f"   goal {goal}: {'met' if ratio >= goal else 'missed'}" if goal else ""
        print(f"{name:36}{found:10.0f} texts/s   ratio {ratio:5.2f}{verdict}")


def main() -> None:
    from potstill.train import resolve_base

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument(
        "--base", default="minilm-l6", help="base of the pipeline and the untrained"
    )
    parser.add_argument("--rows", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or export_untrained(Path(temporary) / "model", options.base)
        measure(folder, resolve_base(options.base).folder, options.rows)


if __name__ == "__main__":
    main()
