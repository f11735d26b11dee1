"""The graphs that could ship: int8 with dynamic and with static activations, and fp32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from potstill.errors import MissingExtraError
from potstill.export.choose import Candidate

if TYPE_CHECKING:
    from torch import nn

_CALIBRATION_TEXTS = 128
"""Texts on which the ranges of activations are observed, spread evenly."""

_STEPS = 4


def make_candidates(
    module: nn.Module,
    ids: Sequence[list[int]],
    *,
    precision: Literal["auto", "fp32", "int8"],
    tick: Callable[[str, int, int], None],
) -> list[Candidate]:
    """Trace the module once and quantise it in each way that the precision allows.

    Args:
        module: ``forward(input_ids, attention_mask) -> logits``; it is left as it was.
        ids: token ids of the development texts, for the ranges of activations.
        precision: ``auto`` makes all candidates.
        tick: called with (phase, done, total).

    Returns:
        Candidates, the preferred first. Where there is no encoder, nothing is quantised and the
        graph is fp32 whatever the precision; with ``int8`` and an encoder without a product
        that could be quantised there is none.

    Raises:
        MissingExtraError: torch, transformers or onnx is not installed.
    """
    try:
        import onnx

        from potstill.export import quantise
        from potstill.export.graph import serialise, simplify
        from potstill.export.smooth import smooth
        from potstill.export.trace import encoder_paths, trace
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "train") from error

    tick("export", 0, _STEPS)
    model = trace(module)
    simplify(model)
    tick("export", 1, _STEPS)
    paths = encoder_paths(module)
    full = [] if precision == "int8" and paths else [Candidate("fp32", serialise(model))]
    names = [] if precision == "fp32" else quantise.products(model, paths)
    if not names:
        return full
    sample = list(ids[:: -(-len(ids) // _CALIBRATION_TEXTS)])
    smooth(model, names, sample)
    quantise.quantise_tables(model, paths)
    tables = serialise(model)
    found: list[Candidate] = []
    for activations in ("dynamic", "static"):
        graph = quantise.quantise_products(
            onnx.load_from_string(tables), names, activations=activations, calibration=sample
        )
        found.append(Candidate(f"int8-{activations}", graph))
        tick("export", 1 + len(found), _STEPS)
    tick("export", _STEPS, _STEPS)
    return found + full
