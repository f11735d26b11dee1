"""What the trained weights say of texts, and what the graph that ships says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example
from potstill.errors import MissingExtraError
from potstill.export.choose import Candidate
from potstill.runtime.reading import Reader
from potstill.runtime.session import run_one

if TYPE_CHECKING:
    from torch import nn

_BATCH = 32


def trained_logits(
    module: nn.Module,
    ids: Sequence[list[int]],
    *,
    labels: int,
    tick: Callable[[str, int, int], None],
) -> NDArray[np.float32]:
    """Logits (row, label) of the torch module, in padded batches of similar length.

    Args:
        module: ``forward(input_ids, attention_mask) -> logits``; it is left in evaluation mode.
        ids: token ids of each text.
        labels: how many the module knows.
        tick: called with (phase, done, total).

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train") from error

    order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
    logits = np.empty((len(ids), labels), dtype=np.float32)
    module.eval()
    with torch.inference_mode():
        for begin in range(0, len(order), _BATCH):
            batch = order[begin : begin + _BATCH]
            width = max(len(ids[at]) for at in batch)
            tokens = torch.zeros((len(batch), width), dtype=torch.int64)
            mask = torch.zeros_like(tokens)
            for row, at in enumerate(batch):
                tokens[row, : len(ids[at])] = torch.tensor(ids[at])
                mask[row, : len(ids[at])] = 1
            logits[batch] = module(tokens, mask).numpy()
            tick("parity", begin + len(batch), len(order))
    return logits


def graph_logits(chosen: Candidate, reader: Reader, rows: Sequence[Example]) -> NDArray[np.float32]:
    """Logits (row, label) of a graph, one text a run as the runtime does it.

    Args:
        chosen: it has answered the development texts already, see `Candidate.run_all`.
        reader: makes token ids of an input.
        rows: examples.
    """
    found = np.empty((len(rows), chosen.logits.shape[1]), dtype=np.float32)
    for at, row in enumerate(rows):
        found[at] = run_one(chosen.session, reader.read(row.input)[0])
    return found
