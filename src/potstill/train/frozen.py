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
from potstill.train.static import StaticEncoder
from potstill.train.student import Network
from potstill.train.tokens import TokenIds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector


@dataclass(frozen=True)
class Words:
    """A head on the terms alone.

    Attributes:
        head: on the terms.
        terms: what it counts.
        said: of rows that it had not seen.
    """

    head: LinearHead
    terms: Terms
    said: HeldOut


@dataclass(frozen=True)
class Heads:
    """Two heads fitted apart, and how their logits are to be weighed against each other.

    Attributes:
        deep: on the embedding; None where there is none.
        words: on the terms.
        terms: what `words` counts.
        factors: of the logits of `deep` and `words`, see `mix`.
        said: of rows that neither had seen, both weighed together.
    """

    deep: LinearHead | None
    words: LinearHead
    terms: Terms
    factors: tuple[float, float]
    said: HeldOut

    def __call__(self, rows: TokenIds, embeddings: NDArray[np.float32] | None, /) -> Matrix:
        """Logits (row, label), both heads weighed together.

        Args:
            rows: token ids (row, token).
            embeddings: (row, dimension); None where there is no head on them.
        """
        words = self.factors[1] * self.words(self.terms.features(rows))
        if self.deep is None or embeddings is None:
            return words
        return np.asarray(self.factors[0] * self.deep(embeddings) + words, dtype=np.float32)


def fit_words(
    rows: TokenIds,
    targets: Matrix,
    *,
    tokenizer: Tokenizer,
    prior: Vector,
    multilabel: bool,
    seed: int,
    flag: int | None = None,
) -> Words:
    """A head on the words alone; the arguments are those of `fit_heads`."""
    terms = Terms.of(rows, special_tokens(tokenizer))
    features = terms.features(rows)
    head, said = fit_head(
        features, targets, prior=prior, multilabel=multilabel, seed=seed, flag=flag
    )
    return Words(head, terms, said)


def fit_heads(
    rows: TokenIds,
    embeddings: NDArray[np.float32] | None,
    targets: Matrix,
    *,
    tokenizer: Tokenizer,
    prior: Vector,
    multilabel: bool,
    seed: int,
    flag: int | None = None,
    words: Words | None = None,
) -> Heads:
    """Heads on the embeddings and on the words.

    Each is fitted alone: fitted together, the many weights of the words explain away what the
    embedding could have told.

    Args:
        rows: token ids (row, token).
        embeddings: the encoder's (row, dimension), each of unit length; None for words alone.
        targets: (row, label).
        tokenizer: tells which tokens are special.
        prior: (label,), added to the logits while fitting.
        multilabel: one sigmoid a label.
        seed: of the folds.
        flag: column of a rare label that is looked for, see `row_scores`.
        words: fitted to the same rows already, with the same seed.
    """
    if words is None:
        words = fit_words(
            rows,
            targets,
            tokenizer=tokenizer,
            prior=prior,
            multilabel=multilabel,
            seed=seed,
            flag=flag,
        )
    if embeddings is None:
        return Heads(None, words.head, words.terms, (0.0, 1.0), words.said)
    deep, said = _fit_centred(embeddings, targets, prior, multilabel, seed, flag)
    parts = [said.logits, words.said.logits]
    factors = mix(parts, targets[said.rows], prior=prior, multilabel=multilabel)
    both = np.asarray(factors[0] * parts[0] + factors[1] * parts[1], dtype=np.float32)
    return Heads(deep, words.head, words.terms, (factors[0], factors[1]), HeldOut(said.rows, both))


def assemble(
    encoder: Encoder | StaticEncoder | None, heads: Heads, tokenizer: Tokenizer
) -> Network:
    """The network of an encoder and its heads, the logits of both with factor one."""
    vocabulary = tokenizer.get_vocab_size(with_added_tokens=True)
    lexical = LexicalBranch.of(heads.terms, heads.words, vocabulary)
    if heads.deep is None:
        return Network(None, None, lexical).eval()
    linear = nn.Linear(len(heads.deep.weight), len(heads.deep.bias))
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(heads.deep.weight.T))
        linear.bias.copy_(torch.from_numpy(heads.deep.bias))
    return Network(encoder, linear, lexical).eval()


def _fit_centred(
    embeddings: NDArray[np.float32],
    targets: Matrix,
    prior: Vector,
    multilabel: bool,
    seed: int,
    flag: int | None,
) -> tuple[LinearHead, HeldOut]:
    """A head on centred embeddings, its centre moved into the bias.

    Embeddings of one domain share a large mean, which would slow the fit and spend penalty.
    """
    centre = embeddings.mean(axis=0)
    head, said = fit_head(
        embeddings - centre, targets, prior=prior, multilabel=multilabel, seed=seed, flag=flag
    )
    bias = head.bias - centre @ head.weight
    return LinearHead(head.weight, bias.astype(np.float32), head.strength), said


def special_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids that mark structure (``[CLS]``), as the tokenizer declares them."""
    added = tokenizer.get_added_tokens_decoder()
    return frozenset(token for token, content in added.items() if content.special)
