"""How fast each weight of the encoder learns, and when."""

from __future__ import annotations

import re
from typing import Any, Protocol

from torch import nn

_LAYER = re.compile(r"\blayers?\.(\d+)\.")
_DECAY_BY_LAYER = 0.9
_HEAD_RATE_FACTOR = 10.0
_WEIGHT_DECAY = 0.01
_WARM_UP_SHARE = 0.1


class Tunable(Protocol):
    """A network of a pretrained part and a new one."""

    @property
    def encoder(self) -> nn.Module:
        """Pretrained; its layers are numbered in the names of its parameters."""
        ...

    @property
    def head(self) -> nn.Module:
        """New on top of it."""
        ...


def parameter_groups(network: Tunable, learning_rate: float) -> list[dict[str, Any]]:
    """Groups for AdamW: lower layers learn more slowly, biases and norms do not decay.

    Discriminative rates (Howard and Ruder 2018, "Universal Language Model Fine-tuning", 3.2):
    what a lower layer knows is of more general use and worth keeping. The head learns faster
    than the top layer. Each group carries its peak rate as ``peak``.

    Args:
        network: only its encoder and its head learn; a lexical branch stays as it was fitted.
        learning_rate: peak rate of the top layer.
    """
    named = list(network.encoder.named_parameters())
    depth = 1 + max((_layer_of(name) for name, _ in named), default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in named:
        peak = learning_rate * _DECAY_BY_LAYER ** (depth - 1 - _layer_of(name))
        groups.setdefault((peak, _decay_of(weight)), []).append(weight)
    for weight in network.head.parameters():
        peak = learning_rate * _HEAD_RATE_FACTOR
        groups.setdefault((peak, _decay_of(weight)), []).append(weight)
    return [
        {"params": weights, "lr": 0.0, "peak": peak, "weight_decay": decay}
        for (peak, decay), weights in groups.items()
    ]


def rate_factor(step: int, steps: int) -> float:
    """Share of the peak rate at a step: linear warm-up over a tenth, then linear to zero.

    Args:
        step: from 0.
        steps: in the whole training.
    """
    warm_up = max(1, round(_WARM_UP_SHARE * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return (steps - step) / max(1, steps - warm_up)


def _layer_of(name: str) -> int:
    """Layer of a parameter, from 0; the embeddings lie one below the lowest layer."""
    found = _LAYER.search(name)
    return int(found.group(1)) if found else -1


def _decay_of(weight: nn.Parameter) -> float:
    return _WEIGHT_DECAY if weight.ndim > 1 else 0.0
