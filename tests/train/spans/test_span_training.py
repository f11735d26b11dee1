from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from potstill.data.example import Example
from potstill.data.extraction import Extraction, Value
from potstill.errors import SpecError, TrainingError
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec
from potstill.train import load_extractor, train_extractor
from potstill.train.spans import training
from potstill.train.training import Trained

FIELDS = {"product": FieldSpec(many=True), "never": FieldSpec(type="date")}
WINDOWS = WindowSpec(tokens=32, overlap=0.0, widest_value=3)
_PRODUCTS = ("card", "loan", "my house", "branch balance")
_REST = "please help with the bank today again and was"


def document(number: int, *, placed: bool = True, length: int = 6) -> Example:
    """Some words, with one product among them."""
    draw = np.random.default_rng(number)
    words = draw.choice(_REST.split(), size=length).tolist()
    product = _PRODUCTS[number % len(_PRODUCTS)]
    at = int(draw.integers(length))
    text = " ".join([*words[:at], product, *words[at:]])
    start = text.index(product)
    value = (
        Value(product, product, start, start + len(product)) if placed else Value(product.title())
    )
    return Example(id=str(number), input=text, target=Extraction({"product": (value,)}))


TrainIt = Callable[..., Trained]


@pytest.fixture
def train(tiny_base: Path, tmp_path: Path) -> TrainIt:
    def run(
        options: dict[str, Any] | None = None,
        rows: list[Example] | None = None,
        folder: Path | None = None,
        **others: Any,
    ) -> Trained:
        given: dict[str, Any] = {"epochs": 4, "batch_size": 8, "learning_rate": 1e-3}
        settings: dict[str, Any] = {
            "dev": [document(number) for number in range(1000, 1020)],
            "fields": FIELDS,
            "windows": WINDOWS,
            "seed": 7,
            **others,
        }
        return train_extractor(
            [document(number) for number in range(80)] if rows is None else rows,
            options=StudentSpec(base=str(tiny_base), **{**given, **(options or {})}),
            folder=folder or tmp_path / "student",
            **settings,
        )

    return run


def test_it_learns_where_values_stand(train: TrainIt) -> None:
    trained = train({"epochs": 12})
    best = max(row["dev_accuracy"] for row in trained.history)
    assert best > 0.9
    assert trained.rows == 80


def test_it_learns_from_values_without_places_and_in_long_documents(train: TrainIt) -> None:
    rows = [document(number, placed=False, length=60) for number in range(60)]
    dev = [document(number, placed=False, length=60) for number in range(1000, 1010)]
    trained = train({"epochs": 12}, rows=rows, dev=dev)
    assert max(row["dev_accuracy"] for row in trained.history) > 0.8
    located = load_extractor(trained.folder).facts["located"]
    assert located["product"] == {"values": 60, "located": 60, "mentions": 60}
    assert located["never"]["values"] == 0


def test_a_saved_student_answers_as_the_trained_one_did(train: TrainIt) -> None:
    trained = train({"mode": "tuned"})
    student = load_extractor(trained.folder)
    assert student.fields == FIELDS
    assert student.windows == WINDOWS
    assert student.max_tokens == 32
    ids = torch.arange(5, 15)[None]
    with torch.no_grad():
        logits = student.module(ids, torch.ones_like(ids))
        assert torch.equal(load_extractor(trained.folder).module(ids, torch.ones_like(ids)), logits)
    assert logits.shape == (1, 10, 3, 2)


def test_auto_compares_the_frozen_and_the_tuned_candidate(train: TrainIt) -> None:
    trained = train()
    assert [row["mode"] for row in trained.candidates] == ["frozen", "tuned"]
    assert [row["chosen"] for row in trained.candidates].count(True) == 1
    frozen = train({"mode": "frozen"}, folder=trained.folder.parent / "frozen")
    assert [row["mode"] for row in frozen.candidates] == ["frozen"]


def test_without_development_rows_the_frozen_candidate_is_trained(train: TrainIt) -> None:
    assert train(dev=[]).mode == "frozen"
    with pytest.raises(TrainingError, match="development rows"):
        train({"mode": "tuned"}, dev=[])


def test_a_finished_training_is_recognised(train: TrainIt, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train({"mode": "frozen"})
    monkeypatch.setattr(training, "load_encoder", None)  # a second training would need it
    assert train({"mode": "frozen"}) == first


class Killed(Exception):
    pass


def test_an_interrupted_training_goes_on_exactly(train: TrainIt, tmp_path: Path) -> None:
    def kill(phase: str, done: int, _: int) -> None:
        if phase == "tuned" and done > 200:
            raise Killed

    seen: list[int] = []

    def watch(phase: str, done: int, _: int) -> None:
        if phase == "tuned":
            seen.append(done)

    whole = train({"mode": "tuned"}, folder=tmp_path / "whole")
    with pytest.raises(Killed):
        train({"mode": "tuned"}, progress=kill)
    resumed = train({"mode": "tuned"}, progress=watch)
    assert seen[0] > 80
    expected = load_file(whole.folder / "student.safetensors")
    for name, weights in load_file(resumed.folder / "student.safetensors").items():
        assert torch.equal(weights, expected[name]), name
    assert [file.name for file in resumed.folder.glob("*.pt")] == []


def test_values_that_stand_nowhere_are_nothing_to_learn_from(train: TrainIt) -> None:
    target = Extraction({"product": (Value("a wholly other thing"),)})
    rows = [Example(id="1", input="please help", target=target)]
    with pytest.raises(TrainingError, match="no value of any field stands"):
        train(rows=rows)


def test_windows_that_hold_no_value_are_refused(train: TrainIt) -> None:
    with pytest.raises(SpecError, match="too small for values"):
        train(windows=WindowSpec(tokens=16, widest_value=12))
