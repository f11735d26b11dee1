from __future__ import annotations

import numpy as np
import pytest
import torch

from potstill.train.spans.network import IMPOSSIBLE, SpanHead


@pytest.fixture
def head() -> SpanHead:
    torch.manual_seed(0)
    return SpanHead(8, fields=2, widest=3, hidden=6, rank=4).eval()


def by_hand(head: SpanHead, states: np.ndarray, first: int, width: int, field: int) -> float:
    """The formula of `SpanHead`, one run of tokens at a time."""

    def linear(layer: torch.nn.Linear, given: np.ndarray) -> np.ndarray:
        return given @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    hidden = torch.nn.functional.gelu(torch.from_numpy(linear(head.hidden, states))).numpy()
    parts = linear(head.parts, hidden).reshape(-1, 3, head.fields)
    product = linear(head.product, hidden).reshape(-1, 2, head.fields, head.rank)
    last = first + width
    return float(
        parts[first, 0, field]
        + parts[last, 1, field]
        + parts[first : last + 1, 2, field].mean()
        + product[first, 0, field] @ product[last, 1, field] / np.sqrt(head.rank)
        + head.width.detach().numpy()[width, field]
    )


def test_each_logit_is_the_sum_of_its_parts(head: SpanHead) -> None:
    states = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    with torch.no_grad():
        logits = head(torch.from_numpy(states)[None], torch.ones(1, 5, dtype=torch.int64))[0]
    for first in range(5):
        for width in range(3):
            for field in range(2):
                expected = (
                    by_hand(head, states, first, width, field) if first + width < 5 else IMPOSSIBLE
                )
                assert float(logits[first, width, field]) == pytest.approx(expected, abs=1e-5)


def test_padding_changes_no_logit_and_is_never_a_value(head: SpanHead) -> None:
    states = torch.randn(1, 4, 8)
    padded = torch.cat([states, torch.randn(1, 3, 8)], dim=1)
    with torch.no_grad():
        alone = head(states, torch.ones(1, 4, dtype=torch.int64))
        among = head(padded, torch.tensor([[1, 1, 1, 1, 0, 0, 0]]))
    torch.testing.assert_close(among[:, :4], alone)
    assert (among[:, 4:] == IMPOSSIBLE).all()


def test_before_learning_a_run_is_hardly_ever_a_value(head: SpanHead) -> None:
    with torch.no_grad():
        logits = head(torch.randn(1, 9, 8), torch.ones(1, 9, dtype=torch.int64))
    assert float(logits[logits > IMPOSSIBLE].sigmoid().mean()) < 0.05
