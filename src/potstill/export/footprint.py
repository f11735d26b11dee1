"""What a student would cost to run, before anybody has decided to ship it.

The graph is made as an export makes it, int8 with dynamic ranges where there is an encoder, but
nothing is compared and nothing is written: latency and size do not depend on what was learnt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from potstill.data.example import Input
from potstill.errors import MissingExtraError
from potstill.export.inputs import whole_tokenizer
from potstill.export.student import ExportableStudent, read_tokenizer
from potstill.runtime.extraction.windows import WindowReader
from potstill.runtime.reading import Reader
from potstill.runtime.session import open_session, run_one

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

Precision = Literal["auto", "fp32", "int8"]

_TIMED_TEXTS = 100
_ROUNDS = 3
_WARM_UP_RUNS = 5


def footprint(
    student: ExportableStudent, inputs: Sequence[Input], *, precision: Precision
) -> dict[str, float]:
    """Latency on one thread and size of the graph that a student of labels would ship as.

    Args:
        student: trained or not.
        inputs: real ones, whose lengths decide the times; an even sample of them is timed.
        precision: ``fp32`` leaves the encoder as it is.

    Returns:
        ``latency_ms`` and ``latency_p95_ms`` of an answer, tokenising included, and
        ``megabytes`` of graph and tokenizer (a million bytes each).

    Raises:
        MissingExtraError: torch, transformers or onnx is not installed.
    """
    tokenizer = read_tokenizer(student)
    reader = Reader(tokenizer)

    def read(value: Input) -> list[list[int]]:
        return [reader.read(value)[0]]

    return _measured(student.module, tokenizer, read, inputs, precision)


def footprint_of_windows(
    module: nn.Module,
    tokenizer_file: Path,
    reader: Callable[[Tokenizer], WindowReader],
    inputs: Sequence[Input],
    *,
    precision: Precision,
) -> dict[str, float]:
    """The same of a student that reads whole documents, one window after the other.

    Args:
        module: trained or not.
        tokenizer_file: the ``tokenizer.json`` of its base.
        reader: cuts the windows, given the tokenizer.
        inputs: see `footprint`.
        precision: see `footprint`.
    """
    tokenizer = whole_tokenizer(tokenizer_file)
    windows = reader(tokenizer)

    def read(value: Input) -> list[list[int]]:
        return [window.ids for window in windows.read(value)]

    return _measured(module, tokenizer, read, inputs, precision)


def _measured(
    module: nn.Module,
    tokenizer: Tokenizer,
    read: Callable[[Input], list[list[int]]],
    inputs: Sequence[Input],
    precision: Precision,
) -> dict[str, float]:
    graph = _graph(module, quantised=precision != "fp32")
    session = open_session(graph, where="the graph of a candidate")

    def answer(value: Input) -> None:
        for ids in read(value):
            run_one(session, ids)

    sample = inputs[:: -(-len(inputs) // _TIMED_TEXTS)]
    for value in sample[:_WARM_UP_RUNS]:
        answer(value)
    seconds = np.empty((_ROUNDS, len(sample)))
    for which in range(_ROUNDS):
        for at, value in enumerate(sample):
            started = time.perf_counter()
            answer(value)
            seconds[which, at] = time.perf_counter() - started
    # The best round of each text: what else the machine did is no property of the student.
    ms = 1e3 * seconds.min(axis=0)
    return {
        "latency_ms": round(float(ms.mean()), 4),
        "latency_p95_ms": round(float(np.quantile(ms, 0.95)), 4),
        "megabytes": round((len(graph) + len(tokenizer.to_str().encode())) / 1e6, 2),
    }


def _graph(module: nn.Module, *, quantised: bool) -> bytes:
    try:
        import onnx

        from potstill.export import quantise
        from potstill.export.graph import serialise, simplify
        from potstill.export.trace import encoder_paths, trace
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "train") from error

    model = trace(module)
    simplify(model)
    paths = encoder_paths(module)
    names = quantise.products(model, paths) if quantised else []
    if not names:
        return serialise(model)
    quantise.quantise_tables(model, paths)
    tables = onnx.load_from_string(serialise(model))
    return quantise.quantise_products(tables, names, activations="dynamic")
