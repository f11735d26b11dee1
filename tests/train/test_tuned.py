from __future__ import annotations

import math

import pytest
import torch

from potstill.train.tuned import cross_entropy


def test_softmax_loss_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    losses = cross_entropy(logits, targets, multilabel=False).tolist()
    assert losses == pytest.approx([-math.log(0.75), math.log(2.0)])


def test_sigmoid_losses_are_summed_over_labels() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]])
    targets = torch.tensor([[1.0, 0.0]])
    losses = cross_entropy(logits, targets, multilabel=True).tolist()
    assert losses == pytest.approx([-math.log(0.75) + math.log(2.0)])


def test_a_soft_target_pulls_towards_itself() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    target = torch.tensor([[0.2, 0.3, 0.5]])
    cross_entropy(logits, target, multilabel=False).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.full((1, 3), 1 / 3) - target)
