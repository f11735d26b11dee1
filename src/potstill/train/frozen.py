"""The frozen candidate: linear heads on what a pretrained encoder already knows.

Minutes become seconds, a few hundred rows are enough, and it is the yardstick that a tuned
encoder has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from potstill.train.encoder import Encoder
from potstill.train.lexical import LexicalBranch, Terms
from potstill.train.linear import HeldOut, LinearHead, fit_head, mix
from potstill.train.student import Network
from potstill.train.tokens import TokenIds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector


@dataclass(frozen=True)
class Heads:
    """Two heads fitted apart, and how their logits are to be weighed against each other.

    Attributes:
        deep: on the embedding.
        words: on the terms.
        terms: what `words` counts.
        factors: of the logits of `deep` and `words`, see `mix`.
    """

    deep: LinearHead
    words: LinearHead
    terms: Terms
    factors: tuple[float, float]


def fit_heads(
    rows: TokenIds,
    embeddings: NDArray[np.float32],
    targets: Matrix,
    *,
    tokenizer: Tokenizer,
    prior: Vector,
    multilabel: bool,
    seed: int,
) -> Heads:
    """Heads on the embeddings and on the words.

    Each is fitted alone: fitted together, the many weights of the words explain away what the
    embedding could have told.

    Args:
        rows: token ids (row, token).
        embeddings: the encoder's (row, dimension), each of unit length.
        targets: (row, label).
        tokenizer: tells which tokens are special.
        prior: (label,), added to the logits while fitting.
        multilabel: one sigmoid a label.
        seed: of the folds.
    """
    deep, deep_said = _fit_centred(embeddings, targets, prior, multilabel, seed)
    terms = Terms.of(rows, _special_tokens(tokenizer))
    words, words_said = fit_head(
        terms.features(rows), targets, prior=prior, multilabel=multilabel, seed=seed
    )
    factors = mix(
        [deep_said.logits, words_said.logits],
        targets[deep_said.rows],
        prior=prior,
        multilabel=multilabel,
    )
    return Heads(deep, words, terms, (factors[0], factors[1]))


def assemble(encoder: Encoder, heads: Heads, tokenizer: Tokenizer) -> Network:
    """The network of an encoder and its heads, the logits of both with factor one."""
    linear = nn.Linear(len(heads.deep.weight), len(heads.deep.bias))
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(heads.deep.weight.T))
        linear.bias.copy_(torch.from_numpy(heads.deep.bias))
    vocabulary = tokenizer.get_vocab_size(with_added_tokens=True)
    return Network(encoder, linear, LexicalBranch.of(heads.terms, heads.words, vocabulary)).eval()


def _fit_centred(
    embeddings: NDArray[np.float32], targets: Matrix, prior: Vector, multilabel: bool, seed: int
) -> tuple[LinearHead, HeldOut]:
    """A head on centred embeddings, its centre moved into the bias.

    Embeddings of one domain share a large mean, which would slow the fit and spend penalty.
    """
    centre = embeddings.mean(axis=0)
    head, said = fit_head(
        embeddings - centre, targets, prior=prior, multilabel=multilabel, seed=seed
    )
    bias = head.bias - centre @ head.weight
    return LinearHead(head.weight, bias.astype(np.float32), head.strength), said


def _special_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids that mark structure (``[CLS]``), as the tokenizer declares them."""
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(token for token, content in added.items() if content.special)
