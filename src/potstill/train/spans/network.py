"""The network of an extraction: every run of tokens gets a logit for every field.

That a run is named and scored as a whole, and not token by token, is Lee et al. 2017,
"End-to-end Neural Coreference Resolution", and for named entities Yu et al. 2020, "Named Entity
Recognition as Dependency Parsing". Their scorers look at each pair of ends; here the score is a
sum of parts that belong to the start, the end, the inside and their product, so a window of 256
tokens costs little more than a head for each token.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

IMPOSSIBLE = -1e4
"""Logit of a run that goes past the end of the text."""

_DROPOUT = 0.1

_RARE = -5.0
"""Logit of every run before anything is learnt: among a window's thousands hardly one is a value."""


class SpanHead(nn.Module):
    """Logits of all runs of tokens from the states of an encoder.

    With ``h`` the states after one hidden layer, the logit that the tokens i … j are a value of
    field f is ``a_f·h_i + b_f·h_j + mean of c_f·h over i … j + <P_f h_i, Q_f h_j> + d_f[j - i]``.

    Args:
        dimension: of the states.
        fields: number of them.
        widest: tokens of the longest run.
        hidden: units of the hidden layer.
        rank: of the product of start and end.
    """

    def __init__(
        self, dimension: int, fields: int, widest: int, *, hidden: int = 256, rank: int = 32
    ) -> None:
        super().__init__()
        self.fields, self.widest, self.rank = fields, widest, rank
        self.dropout = nn.Dropout(_DROPOUT)
        self.hidden = nn.Linear(dimension, hidden)
        self.parts = nn.Linear(hidden, 3 * fields)
        self.product = nn.Linear(hidden, 2 * fields * rank)
        self.width = nn.Parameter(torch.full((widest, fields), _RARE))

    def forward(self, states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (batch, token, width, field) float32.

        Args:
            states: (batch, token, dimension).
            attention_mask: (batch, token), ones before zeros.
        """
        batch, tokens, _ = states.shape
        hidden = functional.gelu(self.hidden(self.dropout(states)))
        hidden = self.dropout(hidden)
        start, end, inside = self.parts(hidden).float().chunk(3, dim=2)
        left, right = (
            part.reshape(batch, tokens, self.fields, self.rank)
            for part in self.product(hidden).float().chunk(2, dim=2)
        )
        widths = torch.arange(self.widest, device=states.device)
        ends = torch.arange(tokens, device=states.device)[:, None] + widths  # (token, width)
        at = ends.clamp(max=tokens - 1)
        total = functional.pad(inside.cumsum(dim=1), (0, 0, 1, 0))  # (batch, token + 1, field)
        mean = (total[:, at + 1] - total[:, :-1, None]) / (widths + 1.0)[:, None]
        # All pairs of tokens, as attention has them too: a matrix product of them is faster than
        # the sums for the runs alone, and needs less memory.
        pairs = left.permute(0, 2, 1, 3) @ right.permute(0, 2, 3, 1)  # (batch, field, token, token)
        runs = pairs.gather(3, at.expand(batch, self.fields, tokens, self.widest))
        product = runs.permute(0, 2, 3, 1) * self.rank**-0.5
        logits = start[:, :, None] + end[:, at] + mean + product + self.width
        possible = (ends < tokens) & attention_mask.bool()[:, at]  # (batch, token, width)
        return logits.masked_fill(~possible[..., None], IMPOSSIBLE)


class SpanNetwork(nn.Module):
    """An encoder and the head that scores its runs of tokens.

    Args:
        encoder: a model of ``transformers``; no pooling.
        head: see `SpanHead`.
    """

    def __init__(self, encoder: nn.Module, head: SpanHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (batch, token, width, field) float32.

        Args:
            input_ids: (batch, token) int64.
            attention_mask: (batch, token) int64.
        """
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.head(states, attention_mask)
