"""The network that picks: a score for each token, from the lower layers of an encoder.

An encoder that was trained to say what a text is about says in its top layers little of what
each of its sentences is for; the lower half tells sentences apart better, at half the time.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn

_KEPT_LAYERS = 0.5


class PickNetwork(nn.Module):
    """An encoder and a linear head on each of its tokens.

    Args:
        encoder: a model of ``transformers``; no pooling.
        head: state to score.
    """

    def __init__(self, encoder: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Scores (batch, token, 1) float32.

        Args:
            input_ids: (batch, token) int64.
            attention_mask: (batch, token) int64.
        """
        return self.head(self.states(input_ids, attention_mask)).float()

    def states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """What the encoder makes of each token (batch, token, dimension)."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def keep_lower_layers(transformer: nn.Module) -> nn.Module:
    """The transformer without its upper half, in place; whole where its layers are not found."""
    config = cast("Any", transformer).config
    layers = getattr(config, "num_hidden_layers", 0)
    kept = max(1, round(_KEPT_LAYERS * layers))
    for owner in transformer.modules():
        for name, part in owner.named_children():
            if isinstance(part, nn.ModuleList) and len(part) == layers:
                setattr(owner, name, part[:kept])
                config.num_hidden_layers = kept
                return transformer
    return transformer


@contextmanager
def evaluating(model: nn.Module) -> Generator[None]:
    """Neither dropout nor gradients, for a while."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
