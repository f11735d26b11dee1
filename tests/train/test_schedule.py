from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from potstill.train.bases import resolve_base
from potstill.train.encoder import load_encoder
from potstill.train.lexical import LexicalBranch
from potstill.train.schedule import parameter_groups, rate_factor
from potstill.train.student import Network


@pytest.fixture
def network(tiny_base: Path) -> Network:
    encoder = load_encoder(resolve_base(str(tiny_base)))
    return Network(encoder, nn.Linear(32, 3), LexicalBranch(300, 4, 3))


def test_each_weight_learns_once(network: Network) -> None:
    grouped = [
        id(weight) for group in parameter_groups(network, 1e-4) for weight in group["params"]
    ]
    assert sorted(grouped) == sorted(id(weight) for weight in network.parameters())


def test_lower_layers_learn_more_slowly(network: Network) -> None:
    peaks: dict[str, set[float]] = defaultdict(set)
    rates = {
        id(weight): group["peak"]
        for group in parameter_groups(network, 1e-4)
        for weight in group["params"]
    }
    for name, weight in network.named_parameters():
        for part in ("embeddings", "layer.0", "layer.1", "head"):
            if part in name:
                peaks[part].add(rates[id(weight)])
    assert all(len(found) == 1 for found in peaks.values())
    ordered = [peaks[part].pop() for part in ("embeddings", "layer.0", "layer.1", "head")]
    np.testing.assert_allclose(ordered, [0.81e-4, 0.9e-4, 1e-4, 1e-3])


def test_only_matrices_decay(network: Network) -> None:
    for group in parameter_groups(network, 1e-4):
        assert all((weight.ndim > 1) == (group["weight_decay"] > 0) for weight in group["params"])


def test_rate_warms_up_and_falls_to_nothing() -> None:
    factors = [rate_factor(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == 1.0
    assert factors.index(1.0) in (9, 10)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0.0 < factors[-1] < 0.02


def test_a_training_of_one_step_is_possible() -> None:
    assert rate_factor(0, 1) == 1.0
