"""From a causal language model to ONNX graphs that write: `onnxruntime-genai`'s builder, refined.

The builder knows the architectures one by one and writes their layers as onnxruntime's own
operators: attention with keys and values that are handed on, products with weights of 8 or 4
bits. Nothing of that library is needed to run the graph.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
import orjson

from potstill.errors import ExportError, MissingExtraError
from potstill.runtime.writer import WRITER_GRAPH, WRITER_WEIGHTS

Precision = Literal["int8", "fp32"]

_BUILT = "model.onnx"

_CACHE_DIMENSION = 3
_BLOCK = 32
"""Weights that share a scale."""

_MIDDLE = 128
"""The byte that stands for zero."""


def build_decoder(network: Path, folder: Path, *, precision: Precision) -> Path:
    """Write the graph of a causal language model.

    It takes ``input_ids``, ``attention_mask`` and ``past_key_values.*``, and gives the
    ``logits (batch, 1, vocabulary)`` of the next token and ``present.*``.

    Args:
        network: folder of the model as transformers saves it.
        folder: for the graph and the file of its weights.
        precision: ``int8`` stores weights in 8 bits, with a scale for each 32 of them, and
            multiplies them by activations that are rounded in the same way.

    Returns:
        The path of the graph; its weights lie beside it.

    Raises:
        MissingExtraError: onnxruntime-genai is not installed.
        ExportError: the builder does not know the architecture.
    """
    if importlib.util.find_spec("onnxruntime_genai") is None:
        raise MissingExtraError("onnxruntime-genai", "train")
    raw = folder / f"{precision}-raw"
    with _quietly():
        from onnxruntime_genai.models import builder

        given = ["prune_lm_head=true"]
        try:
            where = (None, str(network), str(raw), precision, "cpu", str(folder / "cache"))
            options = builder.parse_extra_options(*where, given)
            builder.create_model(*where, **options)
        except Exception as error:  # the builder raises whatever it meets
            raise ExportError(
                f"onnxruntime-genai cannot build a graph of this model: {error}",
                where=str(network),
                hint="Start from a causal language model of another architecture.",
            ) from error
    return _refine(raw / _BUILT, folder / precision)


def _refine(built: Path, folder: Path) -> Path:
    """Write the graph again with one table of words in place of two, and known shapes."""
    model = ir.load(built)
    settings = orjson.loads(built.with_name("genai_config.json").read_bytes())
    _share_table(model.graph)
    _fix_dimension(model.graph, settings["model"]["decoder"]["head_size"])
    folder.mkdir()
    ir.save(model, folder / WRITER_GRAPH, external_data=WRITER_WEIGHTS)
    return folder / WRITER_GRAPH


def _share_table(graph: ir.Graph) -> None:
    """Look words up in the rounded table that also makes the logits, where they are one.

    The builder rounds the output table and keeps the input table in fp32, although it is the
    same: a quarter gigabyte where a third of that is enough.
    """
    head = next((node for node in graph if _is_head(node)), None)
    lookup = next((node for node in graph if _looks_up(node)), None)
    if head is None or lookup is None:
        return
    table, weight, scale = lookup.inputs[0], head.inputs[1], head.inputs[2]
    assert table is not None and weight is not None and scale is not None
    if not _same_table(table, weight, scale):
        return
    blocks = np.full_like(_content(scale, dimensions=2), _MIDDLE, dtype=np.uint8)
    shape = _constant(graph, "lookup.shape", np.array([len(blocks), -1], dtype=np.int64))
    zero = _constant(graph, "lookup.zero", blocks)
    flat = ir.node("Reshape", [weight, shape])
    found = ir.node(
        "GatherBlockQuantized",
        [flat.outputs[0], lookup.inputs[1], scale, zero],
        {"bits": 8, "block_size": _BLOCK, "gather_axis": 0, "quantize_axis": 1},
        domain="com.microsoft",
    )
    graph.insert_before(lookup, [flat, found])
    ir.convenience.replace_all_uses_with(lookup.outputs[0], found.outputs[0])
    graph.remove(lookup, safe=True)
    del graph.initializers[str(table.name)]


def _is_head(node: ir.Node) -> bool:
    """Whether a node makes the logits out of 8-bit weights."""
    makes = any(output.is_graph_output() for output in node.outputs)
    return makes and node.op_type == "MatMulNBits" and node.attributes["bits"].as_int() == 8


def _looks_up(node: ir.Node) -> bool:
    return node.op_type == "Gather" and _content(node.inputs[0], dimensions=2) is not None


def _same_table(table: ir.Value, weight: ir.Value, scale: ir.Value) -> bool:
    """Whether the first rows of both say the same, but for rounding."""
    whole, rounded = _content(table, dimensions=2), _content(weight, dimensions=3)
    scales = _content(scale, dimensions=2)
    if whole is None or rounded is None or scales is None or len(whole) != len(rounded):
        return False
    few = slice(0, _BLOCK)
    again = (rounded[few].astype(np.float32) - _MIDDLE) * scales[few, :, None]
    again = again.reshape(len(again), -1)[:, : whole.shape[1]]
    return bool(np.abs(again - whole[few]).max() <= scales[few].max())


def _content(value: ir.Value | None, *, dimensions: int) -> Any:
    """A constant as an array; None where it is none or has another number of dimensions."""
    if value is None or value.const_value is None:
        return None
    content = value.const_value.numpy()
    return content if content.ndim == dimensions else None


def _constant(graph: ir.Graph, name: str, content: Any) -> ir.Value:
    value = ir.Value(name=name, const_value=ir.tensor(content, name=name))
    graph.register_initializer(value)
    return value


def _fix_dimension(graph: ir.Graph, size: int) -> None:
    """Tell how long a key and a value are, which the builder leaves open."""
    for value in graph.inputs:
        if value.name is not None and value.name.startswith("past_key_values."):
            assert value.shape is not None
            value.shape = ir.Shape([*value.shape.dims[:_CACHE_DIMENSION], size])


@contextmanager
def _quietly() -> Generator[None]:
    """Keep what the builder prints, draws and logs to itself."""
    before, silence = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            yield
    finally:
        logging.disable(before)
