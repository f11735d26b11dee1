"""The words themselves, beside their meaning: TF-IDF over the encoder's own token ids.

A frozen encoder blurs the rare word that decides (a product's name, a form's number); a bag
of tokens keeps it. Both in one network is "wide and deep" (Cheng et al. 2016). The branch is
written without a vector of the vocabulary's size: the logits are a weighted sum of one table
row a token, so that it costs next to nothing and exports as plain tensor operations.

For a text with distinct tokens t of count c(t), as in scikit-learn's ``sublinear_tf``:

    value(t) = (1 + ln c(t)) · idf(t),      logits = Σ value(t) · weight(t) / ‖value‖₂

Written over occurrences, each of the c(t) occurrences of t carries value(t) / c(t).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
import torch
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.linear import LinearHead

_LEAST_ROWS = 2
"""A token that fewer training rows hold is no term: it could only be learnt by heart."""


@dataclass(frozen=True)
class Terms:
    """The tokens that count as terms, and how rare each one is.

    Attributes:
        tokens: token ids, ascending (term,).
        idf: ln((1 + rows) / (1 + rows with the term)) + 1 (term,), as in scikit-learn.
    """

    tokens: NDArray[np.int64]
    idf: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], special: Collection[int]) -> Terms:
        """The terms of training rows.

        Args:
            rows: token ids (row, token).
            special: ids that mark structure and say nothing (``[CLS]``).
        """
        ignored = set(special)
        counts = Counter(token for row in rows for token in set(row) - ignored)
        tokens = sorted(token for token, count in counts.items() if count >= _LEAST_ROWS)
        seen_in = np.array([counts[token] for token in tokens], dtype=np.float32)
        idf = np.log((1.0 + len(rows)) / (1.0 + seen_in)) + 1.0
        return cls(np.array(tokens, dtype=np.int64), idf.astype(np.float32))

    def features(self, rows: Sequence[Sequence[int]]) -> scipy.sparse.csr_matrix:
        """TF-IDF vectors of unit length (row, term)."""
        column = {int(token): index for index, token in enumerate(self.tokens)}
        starts, columns, values = [0], list[int](), list[float]()
        for row in rows:
            counts = Counter(column[token] for token in row if token in column)
            vector = np.array([1.0 + np.log(count) for count in counts.values()])
            vector = vector * self.idf[list(counts)]
            columns += counts
            values += (vector / max(float(np.linalg.norm(vector)), 1e-12)).tolist()
            starts.append(len(columns))
        shape = (len(rows), len(self.tokens))
        data = np.array(values, dtype=np.float32)
        return scipy.sparse.csr_matrix((data, columns, starts), shape=shape)


class LexicalBranch(nn.Module):
    """`Terms` and a linear head over them, as one differentiable, exportable module.

    Args:
        vocabulary: number of token ids that the tokenizer can produce.
        terms: number of terms.
        labels: number of labels.
    """

    position: torch.Tensor
    idf: torch.Tensor

    def __init__(self, vocabulary: int, terms: int, labels: int) -> None:
        super().__init__()
        # Position 0 stands for every token that is no term: its idf and weights are zero.
        self.register_buffer("position", torch.zeros(vocabulary, dtype=torch.int64))
        self.register_buffer("idf", torch.zeros(terms + 1))
        self.register_buffer("weight", torch.zeros(terms + 1, labels))
        self.register_buffer("bias", torch.zeros(labels))

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, terms: Terms, head: LinearHead, vocabulary: int) -> LexicalBranch:
        """The branch that answers as `head` does on ``terms.features``."""
        branch = cls(vocabulary, len(terms.tokens), len(head.bias))
        branch.position[torch.from_numpy(terms.tokens)] = torch.arange(1, len(terms.tokens) + 1)
        branch.idf[1:] = torch.from_numpy(terms.idf)
        branch.weight[1:] = torch.from_numpy(head.weight)
        branch.bias.copy_(torch.from_numpy(head.bias))
        return branch

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (batch, label).

        Args:
            input_ids: (batch, token) int64.
            attention_mask: (batch, token) int64, 0 where there is padding.
        """
        same = input_ids.unsqueeze(2) == input_ids.unsqueeze(1)
        count = (same * attention_mask.unsqueeze(1)).sum(dim=2).clamp(min=1).float()
        position = self.position[input_ids] * attention_mask
        value = (1.0 + torch.log(count)) * self.idf[position]
        share = value / count
        length = (value * share).sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
        mixed = (share.unsqueeze(2) * self.weight[position]).sum(dim=1)
        return mixed / length + self.bias
