"""From fp32 to int8: matrix products and embedding tables of the encoder, nothing else.

What lies outside the encoder (the head, lexical counts) is a small share of the time and
bytes, decides the answer directly, and stays as it is.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from potstill.export.graph import in_module
from potstill.runtime.session import INPUT

Activations = Literal["dynamic", "static"]

_LONGEST_SMALL_TABLE = 4096
"""Rows of a table that is left alone: positions and token types take 2 % of the bytes."""

_SMALLEST_SIDE = 16
"""A weight with a shorter side gains nothing from int8."""


def quantise_tables(model: ir.Model, paths: frozenset[str]) -> None:
    """Store the encoder's word embeddings as int8 with one scale a row, in place.

    A scale a row keeps rare words, whose vectors are short, as exact as frequent ones; one
    scale for the whole table, as onnxruntime's own quantiser makes it, would not.

    Args:
        model: a graph of `trace`.
        paths: module paths of the encoders.
    """
    for node in list(model.graph):
        table = _constant(node, 0) if node.op_type == "Gather" else None
        if table is None or not in_module(node, paths):
            continue
        if table.dtype == np.float32 and table.ndim == 2 and len(table) > _LONGEST_SMALL_TABLE:
            _quantise_table(model.graph, node, table)


def products(model: ir.Model, paths: frozenset[str]) -> list[str]:
    """Names of the matrix products with a constant weight inside the encoders."""
    names: list[str] = []
    for node in model.graph:
        weight = _constant(node, 1) if node.op_type == "MatMul" else None
        if weight is None or node.name is None or not in_module(node, paths):
            continue
        if weight.ndim == 2 and min(weight.shape) >= _SMALLEST_SIDE:
            names.append(node.name)
    return names


def quantise_products(
    model: onnx.ModelProto,
    names: list[str],
    *,
    activations: Activations,
    calibration: Sequence[list[int]] = (),
) -> bytes:
    """Quantise matrix products: weights to int8, one scale a column; activations to uint8.

    Args:
        model: the graph, its tables quantised or not.
        names: nodes to quantise.
        activations: ``dynamic`` takes the scale from each text's own values, ``static`` from
            the range over the calibration texts.
        calibration: token ids of the calibration texts.

    Returns:
        The serialised graph.
    """
    options: dict[str, Any] = {
        "op_types_to_quantize": ["MatMul"],
        "nodes_to_quantize": names,
        "per_channel": True,
        "weight_type": QuantType.QInt8,
    }
    extra: dict[str, Any] = {"MatMulConstBOnly": True}
    with tempfile.TemporaryDirectory(prefix="potstill-") as folder, _quietly():
        path = Path(folder) / "int8.onnx"
        if activations == "dynamic":
            quantize_dynamic(model, path, extra_options=extra, **options)
        else:
            # Unquantised outputs: the next operators (bias, Gelu, attention) compute in fp32.
            extra["OpTypesToExcludeOutputQuantization"] = ["MatMul"]
            quantize_static(
                model,
                path,
                _Texts(calibration),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                extra_options=extra,
                **options,
            )
        return path.read_bytes()


class _Texts(CalibrationDataReader):
    """The calibration texts, one a run."""

    def __init__(self, calibration: Sequence[list[int]]) -> None:
        self._rest = iter(calibration)

    def get_next(self) -> Any:
        """The next text's inputs; None after the last."""
        ids = next(self._rest, None)
        return None if ids is None else {INPUT: np.array([ids], dtype=np.int64)}


def _quantise_table(graph: ir.Graph, node: ir.Node, table: NDArray[np.float32]) -> None:
    scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / 127
    rounded = np.rint(table / scale).astype(np.int8)
    old, ids = node.inputs[0], node.inputs[1]
    assert old is not None and old.name is not None
    int8 = _initializer(graph, f"{old.name}.int8", rounded)
    scales = _initializer(graph, f"{old.name}.scale", scale.astype(np.float32))
    row = ir.node("Gather", [int8, ids])
    row_scale = ir.node("Gather", [scales, ids])
    as_float = ir.node("Cast", [row.outputs[0]], {"to": ir.DataType.FLOAT.value})
    scaled = ir.node("Mul", [as_float.outputs[0], row_scale.outputs[0]])
    graph.insert_before(node, [row, row_scale, as_float, scaled])
    ir.convenience.replace_all_uses_with(node.outputs[0], scaled.outputs[0])
    graph.remove(node, safe=True)
    if not old.uses():
        del graph.initializers[old.name]


def _initializer(graph: ir.Graph, name: str, content: NDArray[Any]) -> ir.Value:
    value = ir.Value(name=name, const_value=ir.tensor(content, name=name))
    graph.register_initializer(value)
    return value


def _constant(node: ir.Node, at: int) -> NDArray[Any] | None:
    value = node.inputs[at] if len(node.inputs) > at else None
    return None if value is None or value.const_value is None else value.const_value.numpy()


@contextmanager
def _quietly() -> Generator[None]:
    """Keep onnxruntime's advice to pre-process, which fails on these graphs, off stderr."""
    root = logging.getLogger()
    root.addFilter(_no_advice)
    try:
        yield
    finally:
        root.removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
