"""Surgery on an exported ONNX graph: what costs time without changing an answer is removed.

Reads and changes an `onnx_ir.Model` in place. Each rewrite is exact up to the order of
floating-point additions, and the parity check of the export sees its result.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

SCOPES = "pkg.torch.onnx.name_scopes"
"""Key under which torch's exporter notes the module path of each node."""


def simplify(model: ir.Model) -> None:
    """Apply every rewrite, then drop what no output needs any more."""
    for node in list(model.graph):
        if node.op_type == "Reshape":
            _skip_reshape_chain(node)
        elif node.op_type == "LayerNormalization":
            _shield_residual_sum(node)
    RemoveUnusedNodesPass()(model)


def in_module(node: ir.Node, paths: frozenset[str]) -> bool:
    """Whether torch's exporter traced the node inside one of the named modules.

    Args:
        node: a node of a graph that came from torch's exporter.
        paths: dotted module paths, as `torch.nn.Module.named_modules` gives them.
    """
    scopes = node.metadata_props.get(SCOPES, "")
    return any(f"'{path}'" in scopes for path in paths)


def serialise(model: ir.Model) -> bytes:
    """The graph as it ships: without torch's notes, which hold paths of this machine."""
    anonymous = model.clone()
    anonymous.metadata_props.clear()
    anonymous.graph.metadata_props.clear()
    anonymous.doc_string = None
    for value in (*anonymous.graph.inputs, *anonymous.graph.initializers.values()):
        value.metadata_props.clear()
    for node in anonymous.graph:
        node.doc_string = None
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
            value.doc_string = None
    return ir.to_proto(anonymous).SerializeToString()


def _skip_reshape_chain(last: ir.Node) -> None:
    """Reshapes that end in the shape they began with move no data: read their beginning.

    Splitting heads and joining them again leaves such pairs around a fused attention.
    """
    root = last.inputs[0]
    while root is not None and (before := root.producer()) and before.op_type == "Reshape":
        root = before.inputs[0]
    if root is None or root is last.inputs[0] or root.shape is None:
        return
    if root.shape == last.outputs[0].shape:
        ir.convenience.replace_all_uses_with(last.outputs[0], root)


def _shield_residual_sum(normalise: ir.Node) -> None:
    """Write the residual `Add` before a layer normalisation as `Sum`, its equal.

    onnxruntime folds `Add` and `LayerNormalization` into `SkipLayerNormalization`, whose CPU
    kernel took four to five times as long as the two apart (64 tokens of 384 dimensions,
    onnxruntime 1.32): a quarter of an int8 encoder's whole run. It does not fold a `Sum`.
    """
    total = normalise.inputs[0]
    node = total.producer() if total is not None else None
    if node is not None and node.op_type == "Add" and node.domain == "":
        node.op_type = "Sum"
