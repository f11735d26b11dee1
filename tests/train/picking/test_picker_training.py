from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from potstill.data.example import Example, Text
from potstill.data.sentences import split_sentences
from potstill.errors import TrainingError
from potstill.runtime.picking import FEATURES, PickDecision, features_of, pick_reader
from potstill.spec.generation import TextSpec
from potstill.spec.task import StudentSpec
from potstill.train import load_picker, train_picker
from potstill.train.picking import candidates
from potstill.train.picking.frozen import _largest_within_noise, fit_picker
from potstill.train.picking.lesson import States, judged, means_of, pick_rows
from potstill.train.picking.network import PickNetwork, keep_lower_layers
from potstill.train.picking.student import PickStudent
from potstill.train.picking.work import PickWork
from potstill.train.tokens import load_whole_tokenizer
from potstill.train.training import Trained

_REST = "please help with the bank today again and was"
_TELLING = "my card loan house"


def document(number: int, *, sentences: int = 4) -> Example:
    """Sentences of dull words, and one of others, which is the text that is wanted."""
    draw = np.random.default_rng(number)
    said = [" ".join(draw.choice(_REST.split(), size=4)) + "." for _ in range(sentences)]
    at = int(draw.integers(sentences))
    said[at] = " ".join(draw.permutation(_TELLING.split())) + "."
    return Example(id=str(number), input=" ".join(said), target=Text(said[at]))


TrainIt = Callable[..., Trained]


@pytest.fixture
def train(tiny_base: Path, tmp_path: Path) -> TrainIt:
    def run(rows: list[Example] | None = None, **others: Any) -> Trained:
        settings: dict[str, Any] = {
            "dev": [document(number) for number in range(1000, 1020)],
            "text": TextSpec(max_words=20),
            "options": StudentSpec(
                base=str(tiny_base), epochs=2, batch_size=8, learning_rate=1e-3, max_tokens=64
            ),
            "seed": 7,
            "folder": tmp_path / "student",
            **others,
        }
        rows = [document(number) for number in range(40)] if rows is None else rows
        return train_picker(rows, **settings)

    return run


def test_it_learns_which_sentence_is_wanted(train: TrainIt) -> None:
    trained = train()
    student = load_picker(trained.folder)
    reader = pick_reader(load_whole_tokenizer(student.tokenizer_file), student.max_tokens)
    rows = pick_rows([document(number) for number in range(2000, 2040)], reader)
    means = means_of(rows, student.module, pad_id=0)

    assert judged(rows, means, student.decision).mean() > 0.9
    assert judged(rows, means, PickDecision(20, 1, _first())).mean() < 0.6
    assert student.decision.most_sentences == 1
    assert trained.mode == "extractive"
    assert [one["mode"] for one in trained.candidates] == [
        "extractive, frozen",
        "extractive, tuned",
    ]
    assert sum(one["chosen"] for one in trained.candidates) == 1


def _first() -> tuple[float, ...]:
    return tuple(1e6 if name == "first" else 0.0 for name in FEATURES)


def test_a_finished_training_is_not_done_again(
    train: TrainIt, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train()
    monkeypatch.setattr(candidates, "load_encoder", None)

    assert train() == first
    assert not (first.folder / "checkpoint.pt").exists()
    with pytest.raises(TypeError):  # another length is another training
        train(text=TextSpec(max_words=5))


def test_auto_compares_bases_also_by_the_folds(train: TrainIt, tiny_base: Path) -> None:
    def measure(student: PickStudent) -> dict[str, float]:
        assert student.max_tokens == 64
        return {"latency_p95_ms": 2.0}

    options = StudentSpec(
        base="auto",
        candidates=[str(tiny_base)],
        epochs=1,
        batch_size=8,
        learning_rate=1e-3,
        max_tokens=64,
    )
    odd = Example(id="odd", input="please help. my card loan house.", target=Text("please help"))
    dev = [document(number) for number in range(1000, 1004)]
    trained = train(options=options, measure=measure, dev=[*dev, odd])
    frozen, tuned = trained.candidates
    assert frozen["rows"] == 40 and frozen["latency_p95_ms"] == 2.0
    assert frozen["dev_accuracy"] < frozen["score"] < 1.0  # rows of the folds count as well
    assert tuned["name"].endswith("tuned") and trained.reason
    assert load_picker(trained.folder).base["name"] == str(tiny_base)


def test_without_development_rows_the_frozen_one_is_taken(train: TrainIt) -> None:
    trained = train(dev=[])

    assert [one["dev_accuracy"] for one in trained.candidates] == [None]


def test_rows_that_teach_nothing_are_refused(train: TrainIt) -> None:
    with pytest.raises(TrainingError, match="no training document has one sentence"):
        train([document(number, sentences=1) for number in range(9)])
    with pytest.raises(TrainingError, match="row 1 has no text"):
        train([Example(id="1", input="a b. c d.", target="label")])


def test_documents_without_a_sentence_do_no_harm(train: TrainIt) -> None:
    empty = Example(id="e", input=" ", target=Text("something"))
    rows = [*(document(number) for number in range(30)), empty]

    assert train(rows, dev=[document(1000), empty]).rows == 31


def test_the_fit_is_ridge_regression_within_documents(tiny_base: Path) -> None:
    reader = pick_reader(load_whole_tokenizer(tiny_base / "tokenizer.json"), 64)
    rows = pick_rows([document(number) for number in range(40)], reader)
    draw = np.random.default_rng(0)
    states = [draw.normal(size=(len(row.sentences), 3)).astype(np.float32) for row in rows]
    fit = fit_picker(rows, states, max_words=20, seed=1)

    scale = 30.0 / np.maximum(np.concatenate([features_of(r.sentences) for r in rows]).std(0), 1e-3)
    known = [
        np.hstack([s, features_of(r.sentences) * scale]) for r, s in zip(rows, states, strict=True)
    ]
    left = np.concatenate([one - one.mean(axis=0) for one in known])
    right = np.concatenate([row.gains - row.gains.mean() for row in rows])
    # The gradient of the penalised squares is zero at the fit.
    weight = np.concatenate([fit.weight, np.array(fit.decision.weights) / scale])
    gradient = left.T @ (left @ weight - right) + fit.penalty * weight
    assert np.abs(gradient).max() < 1e-6


def test_of_penalties_within_noise_the_largest_is_taken() -> None:
    draw = np.random.default_rng(0).normal(size=400)
    clear, near, far = draw + 1.0, draw + 1.0 - 0.01 * np.sign(draw), draw + 0.5

    assert _largest_within_noise([clear, near, far]) == 1
    assert _largest_within_noise([far, clear, far]) == 1
    assert _largest_within_noise([clear, far, near]) == 2


def test_the_loss_by_hand(tiny_base: Path) -> None:
    reader = pick_reader(load_whole_tokenizer(tiny_base / "tokenizer.json"), 64)
    (row,) = pick_rows([document(3, sentences=3)], reader)
    work = PickWork([row], [], PickDecision(20, 1, (0.0,) * len(FEATURES)), 0)

    class Zero(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, input_ids: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return self.weight * input_ids[:, :, None].float()

    expected = (((row.gains - row.gains.mean()) / 0.1) ** 2).mean()
    (loss,) = work.losses(Zero(), np.array([0])).detach().tolist()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_batches_and_windows_change_no_mean(tiny_base: Path) -> None:
    tokenizer = load_whole_tokenizer(tiny_base / "tokenizer.json")
    encoder = BertModel(
        BertConfig(
            vocab_size=200,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=8,
        ),
        add_pooling_layer=False,
    )
    network = PickNetwork(encoder, nn.Linear(8, 1)).eval()
    rows = pick_rows([document(n, sentences=n + 2) for n in range(5)], pick_reader(tokenizer, 64))
    together = means_of(rows, States(network), pad_id=0)

    for row, mean in zip(rows, together, strict=True):
        assert mean.shape == (len(split_sentences(row.example.text)), 8)
        (alone,) = means_of([row], States(network), pad_id=0)
        assert np.abs(alone - mean).max() < 0.02  # bfloat16 where the machine has it


def test_the_lower_half_is_kept() -> None:
    model = BertModel(
        BertConfig(
            vocab_size=9,
            hidden_size=8,
            num_hidden_layers=6,
            num_attention_heads=2,
            intermediate_size=8,
        )
    )
    layers = list(model.encoder.layer)
    keep_lower_layers(model)

    assert list(model.encoder.layer) == layers[:3]
    assert model.config.num_hidden_layers == 3
