"""Static embeddings: a vector a token, looked up and averaged, without any attention.

The table is the pretrained encoder's own input embedding. A text costs microseconds, and the
linear head above it profits from words that no training row holds, which counted words cannot.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn
from torch.nn import functional


class StaticEncoder(nn.Module):
    """The mean of the tokens' vectors, in the place of an `Encoder`.

    The table is held as int8 with one scale a row from the start, so that the head is fitted to
    the very embeddings that ship: nothing is left to quantise, and no answer changes by it.

    Args:
        vocabulary: number of token ids that the tokenizer can produce.
        dimension: of a vector.
    """

    table: torch.Tensor
    scale: torch.Tensor

    def __init__(self, vocabulary: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(vocabulary, dimension, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(vocabulary))

    @classmethod
    def of(cls, vectors: torch.Tensor, special: Collection[int]) -> StaticEncoder:
        """The encoder of a table of vectors.

        Args:
            vectors: (vocabulary, dimension) float32.
            special: ids that mark structure and say nothing (``[CLS]``); they count as zero.
        """
        # A mean that all tokens share would tell every text to be alike.
        centred = vectors - vectors.mean(dim=0)
        centred[list(special)] = 0.0
        scale = (centred.abs().amax(dim=1) / 127.0).clamp(min=torch.finfo(torch.float32).tiny)
        encoder = cls(*vectors.shape)
        encoder.table.copy_((centred / scale.unsqueeze(1)).round())
        encoder.scale.copy_(scale)
        return encoder.eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (batch, dimension), float32; zero for a text without tokens.

        Args:
            input_ids: (batch, token) int64.
            attention_mask: (batch, token) int64.
        """
        weight = self.scale[input_ids] * attention_mask
        vectors = self.table[input_ids].float() * weight.unsqueeze(2)
        return functional.normalize(vectors.sum(dim=1), dim=1)
