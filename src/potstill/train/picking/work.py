"""Picking as the work of the training loop: batches of windows, losses, and the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from potstill.runtime.picking import PickDecision, features_of, owners
from potstill.train.encoder import lower_precision
from potstill.train.picking.lesson import PickRow, judged, means_of
from potstill.train.tokens import pad

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.runtime.extraction.windows import Window

_UNIT = 0.1
"""ROUGE that is one of the loss's units: about by how much sentences of a document differ."""


class PickWork:
    """Windows to learn from, documents to be judged by.

    Args:
        rows: to learn from.
        dev: to be judged by.
        decision: of the frozen picker; its weights of place and length stay as they are.
        pad_id: id of the padding token.
    """

    def __init__(
        self, rows: Sequence[PickRow], dev: Sequence[PickRow], decision: PickDecision, pad_id: int
    ) -> None:
        # Of a single sentence there is nothing to choose.
        self._windows = [(row, at) for row in rows if len(row.sentences) > 1 for at in row.windows]
        self._dev, self._decision, self._pad_id = dev, decision, pad_id
        self.lengths = [len(window.ids) for _, window in self._windows]

    def losses(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """See `potstill.train.loop.Work`."""
        device = next(model.parameters()).device
        chosen = [self._windows[at] for at in rows]
        ids, mask = pad([window.ids for _, window in chosen], self._pad_id)
        with lower_precision(device):
            scores = model(ids.to(device), mask.to(device)).float()[:, :, 0]
        return torch.stack(
            [self._loss(scores[at], *one) for at, one in enumerate(chosen)],
        )

    def _loss(self, scores: torch.Tensor, row: PickRow, window: Window) -> torch.Tensor:
        """Squared error of the sentences of a window, against one another.

        As for the frozen picker, what they have in common counts on neither side; sentences of
        different windows meet only in what both parts were fitted to before.
        """
        where = owners(window, row.starts)
        first = window.first + window.owned[0]
        inside = torch.from_numpy(np.flatnonzero(where >= 0)).to(scores.device)
        there, index = np.unique(where[where >= 0], return_inverse=True)
        places = torch.from_numpy(index).to(scores.device)
        total = scores.new_zeros(len(there)).index_add(0, places, scores[first + inside])
        count = torch.bincount(places, minlength=len(there)).clamp(min=1)
        known = features_of(row.sentences)[there] @ np.array(self._decision.weights)
        wanted = torch.from_numpy(row.gains[there] - known).float().to(scores.device)
        apart = total / count - wanted
        return ((apart - apart.mean()) / _UNIT).square().sum() / len(row.sentences)

    def score(self, model: nn.Module) -> float:
        """Mean ROUGE-L of the answers to the development documents."""
        return float(self.each(model).mean()) if self._dev else 0.0

    def each(self, model: nn.Module) -> NDArray[np.float64]:
        """ROUGE-L of the answer to each development document (document,)."""
        means = means_of(self._dev, model, pad_id=self._pad_id)
        return judged(self._dev, means, self._decision)
