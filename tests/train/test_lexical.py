from __future__ import annotations

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from potstill.train.lexical import LexicalBranch, Terms
from potstill.train.linear import LinearHead
from potstill.train.tokens import pad

ROWS = [[2, 5, 6, 5, 3], [2, 6, 7, 3], [2, 8, 8, 8, 5, 3], [2, 9, 3], [2, 3]]
SPECIAL = {2, 3}


def theirs() -> np.ndarray:
    texts = [" ".join(f"t{token}" for token in row if token not in SPECIAL) for row in ROWS]
    vectoriser = TfidfVectorizer(sublinear_tf=True, vocabulary=["t5", "t6"])
    return vectoriser.fit_transform(texts).toarray()


def test_agrees_with_scikit_learn() -> None:
    terms = Terms.of(ROWS, SPECIAL)
    assert terms.tokens.tolist() == [5, 6]  # in two rows at least, and no special token
    np.testing.assert_allclose(terms.features(ROWS).toarray(), theirs(), rtol=1e-6)


def branch() -> tuple[Terms, LinearHead, LexicalBranch]:
    terms = Terms.of(ROWS, SPECIAL)
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(2, 4)).astype(np.float32)
    head = LinearHead(weight, draw.normal(size=4).astype(np.float32), 1.0)
    return terms, head, LexicalBranch.of(terms, head, vocabulary=12)


def test_the_module_answers_as_the_head_does() -> None:
    terms, head, module = branch()
    ids, mask = pad(ROWS, pad_id=5)  # padding with a term's own id: the mask must hide it
    expected = head(terms.features(ROWS))
    np.testing.assert_allclose(module(ids, mask).numpy(), expected, atol=1e-6)


def test_a_text_without_terms_gets_the_bias() -> None:
    _, head, module = branch()
    said = module(torch.tensor([[2, 9, 3]]), torch.ones(1, 3, dtype=torch.int64))
    np.testing.assert_allclose(said.numpy()[0], head.bias, atol=1e-6)


def test_neither_padding_nor_batch_mates_matter() -> None:
    _, _, module = branch()
    ids, mask = pad(ROWS, pad_id=0)
    together = module(ids, mask)
    for index, row in enumerate(ROWS):
        alone = module(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.int64))
        torch.testing.assert_close(alone[0], together[index], atol=1e-6, rtol=1e-6)


def test_a_vocabulary_without_terms_is_no_error() -> None:
    terms = Terms.of([[2, 5, 3], [2, 6, 3]], SPECIAL)
    assert terms.features(ROWS).shape == (5, 0)
    bias = np.array([0.5, -0.5], dtype=np.float32)
    module = LexicalBranch.of(terms, LinearHead(np.zeros((0, 2), np.float32), bias, 1.0), 12)
    np.testing.assert_allclose(module(*pad(ROWS, 0)).numpy(), np.tile(bias, (5, 1)))
