"""Smoothing leaves the answers as they are and makes outlier channels quantisable."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from potstill.export import quantise
from potstill.export.graph import serialise
from potstill.export.smooth import smooth
from potstill.export.trace import encoder_paths
from potstill.runtime.session import open_session, run_one

TEXTS = [np.random.default_rng(at).integers(4, 5000, size=3 + at).tolist() for at in range(30)]


def _logits(graph: bytes) -> np.ndarray:
    session = open_session(graph, where="here")
    return np.stack([run_one(session, ids) for ids in TEXTS])


@pytest.fixture
def outliers(traced: Any) -> Any:
    """The traced model with three embedding channels that dwarf the rest after each norm."""
    model = traced.model.clone()
    for name, value in model.graph.initializers.items():
        if name.endswith("LayerNorm.weight"):
            gain = value.const_value.numpy().copy()
            gain[[3, 11, 20]] *= 60.0
            value.const_value = ir.tensor(gain, name=name)
    return model


def test_smoothing_is_exact_and_int8_gains_by_it(outliers: Any, traced: Any) -> None:
    names = quantise.products(outliers, encoder_paths(traced.student.module))
    before = serialise(outliers)
    expected = _logits(before)
    smooth(outliers, names, TEXTS)
    after = serialise(outliers)
    assert _logits(after) == pytest.approx(expected, rel=1e-3, abs=1e-3 * float(expected.std()))

    def error(graph: bytes) -> float:
        int8 = quantise.quantise_products(
            onnx.load_from_string(graph), names, activations="dynamic"
        )
        return float(np.sqrt(np.mean((_logits(int8) - expected) ** 2)))

    assert error(after) < 0.7 * error(before)


def test_products_of_one_tensor_share_one_division(outliers: Any, traced: Any) -> None:
    names = quantise.products(outliers, encoder_paths(traced.student.module))
    before = Counter(node.op_type for node in outliers.graph)
    smooth(outliers, names, TEXTS)
    after = Counter(node.op_type for node in outliers.graph)
    # Two layers: query, key and value together; attention output; up; down.
    assert after - before == Counter({"Mul": 8})
