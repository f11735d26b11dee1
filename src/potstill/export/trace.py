"""From a torch module to an ONNX graph for one unpadded text a run.

The student takes an attention mask, because it was trained in padded batches; the graph
takes token ids alone. Without padding the mask is all ones, so nothing of it need remain,
and onnxruntime's fused attention, which takes its flash path only without a mask, applies.
"""

from __future__ import annotations

import logging
import types
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import bidirectional_mask_function, eager_mask
from transformers.models.mpnet.modeling_mpnet import MPNetSelfAttention

from potstill.runtime.session import INPUT, OUTPUT

_FUSED = "potstill_fused"


class _Unpadded(nn.Module):
    """A student with the mask that an unpadded text has."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.student(input_ids, torch.ones_like(input_ids))


def trace(module: nn.Module) -> ir.Model:
    """Export a student to ONNX, with onnxruntime's fused attention where it has one.

    The graph takes ``input_ids (batch, token)`` and gives ``logits (batch, label)``. Its
    nodes carry the module path in torch's own metadata.

    Args:
        module: ``forward(input_ids, attention_mask) -> logits``, in evaluation mode.
    """
    ids = torch.arange(2 * 7).reshape(2, 7) % 5
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("token")}
    with torch.no_grad(), _fused_attention(module), _quietly():
        program = torch.onnx.export(
            _Unpadded(module).eval(),
            (ids,),
            dynamo=True,
            dynamic_shapes={INPUT: shape},
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None
    return program.model


def encoder_paths(module: nn.Module) -> frozenset[str]:
    """Module paths, as they stand in the graph of `trace`, of the pretrained encoders."""
    return frozenset(
        path
        for path, part in _Unpadded(module).named_modules()
        if isinstance(part, PreTrainedModel)
    )


@contextmanager
def _fused_attention(module: nn.Module) -> Generator[None]:
    """Let the encoders inside trace their attention as one operator, and put it back after."""
    AttentionInterface.register(_FUSED, _attention)
    AttentionMaskInterface.register(_FUSED, _mask)
    before: list[tuple[PreTrainedModel, Any]] = []
    patched: list[nn.Module] = []
    for part in module.modules():
        if isinstance(part, PreTrainedModel) and part._can_set_attn_implementation():  # pyright: ignore[reportPrivateUsage]
            before.append((part, part.config._attn_implementation))  # pyright: ignore[reportPrivateUsage]
            part.set_attn_implementation(_FUSED)
        elif isinstance(part, MPNetSelfAttention):
            patched.append(part)
            part.forward = types.MethodType(_mpnet_attention, part)
    try:
        yield
    finally:
        for part, name in reversed(before):
            part.set_attn_implementation(name)
        for part in patched:
            del part.forward


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """An attention function of transformers: query, key, value (batch, head, token, dimension)."""
    batch, heads, tokens, dimensions = query.shape
    joined = _multi_head_attention(
        *(_join_heads(_repeat_heads(part, heads)) for part in (query, key, value)),
        bias=attention_mask,
        heads=heads,
        scale=dimensions**-0.5 if scaling is None else scaling,
    )
    return joined.reshape(batch, tokens, heads, dimensions), None


def _mask(*args: Any, mask_function: Any = bidirectional_mask_function, **kwargs: Any) -> Any:
    """A mask function of transformers: none where all tokens see all, else an additive one."""
    if mask_function is bidirectional_mask_function:
        return None
    return eager_mask(*args, mask_function=mask_function, **kwargs)


def _mpnet_attention(
    self: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    position_bias: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor]:
    """MPNet's attention, which does not go through the interface of transformers.

    Its bias of relative positions becomes the operator's; ``attention_mask`` is that of an
    unpadded text and says nothing.
    """
    attended = _multi_head_attention(
        self.q(hidden_states),
        self.k(hidden_states),
        self.v(hidden_states),
        bias=position_bias,
        heads=self.num_attention_heads,
        scale=self.attention_head_size**-0.5,
    )
    return (self.o(attended),)


def _multi_head_attention(
    query: Tensor, key: Tensor, value: Tensor, *, bias: Tensor | None, heads: int, scale: float
) -> Tensor:
    """Onnxruntime's operator: all tensors (batch, token, head * dimension)."""
    inputs: list[Tensor | None] = [query, key, value]
    if bias is not None:
        inputs += [None, None, bias]
    return torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        inputs,
        {"num_heads": heads, "scale": float(scale)},
        dtype=query.dtype,
        shape=list(query.shape),
        version=1,
    )


def _join_heads(part: Tensor) -> Tensor:
    batch, heads, tokens, dimensions = part.shape
    return part.transpose(1, 2).reshape(batch, tokens, heads * dimensions)


def _repeat_heads(part: Tensor, heads: int) -> Tensor:
    groups = heads // part.shape[1]
    return part if groups == 1 else part.repeat_interleave(groups, dim=1)


@contextmanager
def _quietly() -> Generator[None]:
    """Keep the exporter's notes about its own making (absent torchvision, renamed axes) off stderr."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
