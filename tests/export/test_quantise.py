"""int8 touches the encoder alone, and stays close to fp32."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from potstill.export import quantise
from potstill.export.graph import serialise
from potstill.export.trace import encoder_paths
from potstill.runtime.session import open_session, run_one


@pytest.fixture(scope="module")
def graphs(traced: Any) -> tuple[bytes, list[str], bytes]:
    """The fp32 graph, the names of its matrix products, the graph with int8 tables."""
    model = traced.model.clone()
    paths = encoder_paths(traced.student.module)
    names = quantise.products(model, paths)
    quantise.quantise_tables(model, paths)
    return traced.graph, names, serialise(model)


def _initializers(graph: bytes) -> dict[str, np.ndarray]:
    return {
        t.name: numpy_helper.to_array(t) for t in onnx.load_from_string(graph).graph.initializer
    }


def test_products_are_those_of_the_encoder(graphs: tuple) -> None:
    _, names, _ = graphs
    assert len(names) == 2 * 6


def test_table_has_a_scale_a_row(graphs: tuple) -> None:
    full, _, tables = graphs
    before, after = _initializers(full), _initializers(tables)
    name = "student.encoder.embeddings.word_embeddings.weight"
    assert name not in after
    rebuilt = after[f"{name}.int8"].astype(np.float32) * after[f"{name}.scale"]
    bound = np.abs(before[name]).max(axis=1, keepdims=True) / 254 + 1e-6
    assert (np.abs(rebuilt - before[name]) <= bound).all()
    # Row 0 is the padding token, whose vector is all zeros.
    assert not rebuilt[0].any()


def test_lexical_weights_and_head_stay_as_they_are(graphs: tuple) -> None:
    full, names, tables = graphs
    graph = quantise.quantise_products(onnx.load_from_string(tables), names, activations="dynamic")

    def lexical(weights: dict[str, np.ndarray]) -> np.ndarray:
        (found,) = (w for w in weights.values() if w.dtype == np.float32 and w.size == 5000 * 4)
        return found.reshape(4, 5000) if found.shape[0] == 4 else found.T

    assert np.array_equal(lexical(_initializers(graph)), lexical(_initializers(full)))
    assert _initializers(graph)["student.head.bias"].dtype == np.float32


@pytest.mark.parametrize("activations", ["dynamic", "static"])
def test_int8_is_smaller_and_close(graphs: tuple, activations: str) -> None:
    full, names, tables = graphs
    generator = np.random.default_rng(0)
    texts = [generator.integers(4, 5000, size=n).tolist() for n in range(3, 40)]
    graph = quantise.quantise_products(
        onnx.load_from_string(tables), names, activations=activations, calibration=texts
    )
    int8, fp32 = open_session(graph, where="int8"), open_session(full, where="fp32")
    ours = np.stack([run_one(int8, ids) for ids in texts])
    theirs = np.stack([run_one(fp32, ids) for ids in texts])
    assert not np.array_equal(ours, theirs)
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.1 * theirs.std()
    # The table of the lexical branch, fp32, is 80 kB of what is left.
    assert len(graph) < 0.55 * len(full)


def test_nothing_outside_an_encoder_is_quantised(traced: Any) -> None:
    model = traced.model.clone()
    assert quantise.products(model, frozenset()) == []
    quantise.quantise_tables(model, frozenset())
    assert serialise(model) == traced.graph
