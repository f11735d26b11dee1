"""What a writer learns: each token of the teacher's text, after the source and the tokens before.

Sequence-level distillation (Kim and Rush 2016, "Sequence-Level Knowledge Distillation", 3.2):
the teacher's own text is taken for the target, and the student is trained by ordinary cross
entropy. The loss counts the tokens of the text alone, not those of the prompt.

Rows of like length share a batch, padded on the right, where a causal model cannot see it: so
attention needs no mask and takes its fast path. Joining short rows to long ones instead
("packing") needs a mask that is a block for each row; on a CPU that was measured to take half
as long again as the padding it saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from potstill.data.example import Example, Text
from potstill.errors import TrainingError
from potstill.runtime.prompt import PromptReader
from potstill.train.encoder import lower_precision
from potstill.train.tokens import sorted_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

_BATCH_TOKENS = 2048
"""Tokens a batch where nothing is learnt."""


@dataclass(frozen=True)
class Pair:
    """A prompt, and the text that is to follow it.

    Attributes:
        prompt: token ids.
        text: token ids, the one that ends it included.
    """

    prompt: list[int]
    text: list[int]

    @property
    def length(self) -> int:
        """Tokens of both."""
        return len(self.prompt) + len(self.text)


class NextTokens(nn.Module):
    """A causal language model, asked only for the tokens that are to be learnt.

    The vocabulary is a fifth of a small model's work, and most tokens belong to the prompt:
    they pass through the layers and not through the table of words.

    Args:
        model: of transformers.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, places: torch.Tensor, wanted: torch.Tensor
    ) -> torch.Tensor:
        """The negative log-likelihood of each wanted token (token,) float32.

        Args:
            input_ids: (batch, token) int64, padded on the right.
            places: (token, 2) int64: the row of each wanted token, and the place before it.
            wanted: (token,) int64.
        """
        parts = cast("Any", self.model)
        states = parts.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        logits = parts.get_output_embeddings()(states[places[:, 0], places[:, 1]])
        return functional.cross_entropy(logits.float(), wanted, reduction="none")


class WritingWork:
    """The rows of a writer, as `train.loop.tune` wants them.

    Args:
        train: to learn from.
        dev: these decide which epoch stays.
    """

    def __init__(self, train: Sequence[Pair], dev: Sequence[Pair]) -> None:
        self._train = train
        self._dev = dev
        self.lengths = [pair.length for pair in train]

    @cached_property
    def _mean_tokens(self) -> float:
        return float(np.mean([len(pair.text) for pair in self._train]))

    def losses(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """The loss of some training rows (batch,) float32.

        Every token counts alike, in a short text and in a long one: a row's loss is the sum
        over its tokens, divided by the mean number of tokens of all training rows.
        """
        pairs = [self._train[row] for row in rows]
        row_of = torch.tensor([at for at, pair in enumerate(pairs) for _ in pair.text])
        found = _likelihoods(model, pairs)
        sums = found.new_zeros(len(pairs)).index_add(0, row_of.to(found.device), found)
        return sums / self._mean_tokens

    def score(self, model: nn.Module) -> float:
        """The mean log-likelihood of a token of the development rows; 0 would be certainty."""
        return -mean_loss(model, self._dev)


def mean_loss(model: nn.Module, pairs: Sequence[Pair]) -> float:
    """The mean negative log-likelihood of a text's tokens, in nats.

    Args:
        model: a `NextTokens`.
        pairs: at least one.
    """
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for batch in sorted_batches([pair.length for pair in pairs], _BATCH_TOKENS):
            total += float(_likelihoods(model, [pairs[row] for row in batch]).sum())
    return total / sum(len(pair.text) for pair in pairs)


def pairs_of(examples: Sequence[Example], reader: PromptReader) -> list[Pair]:
    """A pair for every example, and one more for each further text that is equally right.

    Args:
        examples: their targets are texts.
        reader: reads a source as the finished writer will.

    Raises:
        TrainingError: an example has no text for its target.
    """
    end = reader.prompt.ends[0]
    pairs: list[Pair] = []
    for example in examples:
        target = example.target
        if not isinstance(target, Text):
            raise TrainingError(
                f"the row {example.id} has no text to learn from.", hint="Check 'data.columns'."
            )
        prompt, _ = reader.read(example.input)
        pairs += [
            Pair(prompt, [*reader.tokens(text), end]) for text in (target.text, *target.references)
        ]
    return pairs


def _likelihoods(model: nn.Module, pairs: Sequence[Pair]) -> torch.Tensor:
    """The negative log-likelihood of every token of the texts, row after row (token,)."""
    device = next(model.parameters()).device
    width = max(pair.length for pair in pairs)
    ids = torch.zeros((len(pairs), width), dtype=torch.int64)
    for at, pair in enumerate(pairs):
        ids[at, : pair.length] = torch.tensor(pair.prompt + pair.text)
    places = torch.tensor(
        [
            (at, place)
            for at, pair in enumerate(pairs)
            for place in range(len(pair.prompt) - 1, pair.length - 1)
        ]
    )
    wanted = torch.tensor([token for pair in pairs for token in pair.text])
    with lower_precision(device):
        return model(ids.to(device), places.to(device), wanted.to(device))
