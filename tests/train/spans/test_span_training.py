from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file

from potstill.data.example import Example
from potstill.data.extraction import Extraction, Value
from potstill.errors import SpecError, TrainingError
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import Gate, StudentSpec
from potstill.train import load_extractor, train_extractor
from potstill.train.spans import candidates
from potstill.train.spans.student import SpanStudent
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
            options=StudentSpec(**{"base": str(tiny_base), **given, **(options or {})}),
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
    assert located["product"] == {"values": 60, "located": 60, "wide": 0, "mentions": 60}
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
    monkeypatch.setattr(candidates, "load_encoder", None)  # a second training would need it
    assert train({"mode": "frozen"}) == first


@pytest.fixture
def bases(tiny_base: Path, tmp_path: Path) -> list[str]:
    """The tiny base, and one of half its layers: smaller, and named first in no list."""
    smaller = tmp_path / "smaller"
    shutil.copytree(tiny_base, smaller)
    config = orjson.loads((smaller / "config.json").read_bytes())
    config["num_hidden_layers"] = 1
    (smaller / "config.json").write_bytes(orjson.dumps(config))
    return [str(tiny_base), str(smaller)]


def test_auto_compares_bases_and_tells_why(train: TrainIt, bases: list[str]) -> None:
    timed: list[str] = []

    def measure(student: SpanStudent) -> dict[str, float]:
        timed.append(student.base["name"])
        assert student.fields == FIELDS and student.windows == WINDOWS
        return {"latency_p95_ms": 1.0 + len(timed)}

    trained = train({"base": "auto", "candidates": bases}, measure=measure)
    names = [row["name"] for row in trained.candidates]
    assert names == [f"{base} {mode}" for base in reversed(bases) for mode in ("frozen", "tuned")]
    assert timed == bases[::-1]  # the smaller one first
    assert all(row["score"] is not None or row["dropped"] for row in trained.candidates)
    (chosen,) = (row for row in trained.candidates if row["chosen"])
    assert trained.base == chosen["base"] and chosen["name"] in trained.reason
    student = load_extractor(trained.folder)
    assert student.base["name"] == trained.base
    assert train({"base": "auto", "candidates": bases}, measure=measure) == trained
    assert len(timed) == 2
    assert not list(trained.folder.glob("*.pt"))


def test_a_gate_on_latency_excludes_a_base(train: TrainIt, bases: list[str]) -> None:
    slow = bases[1]

    def measure(student: SpanStudent) -> dict[str, float]:
        return {"latency_p95_ms": 9.0 if student.base["name"] == slow else 1.0}

    options = {"base": "auto", "candidates": bases}
    trained = train(options, measure=measure, accept={"latency_p95_ms": Gate(max=5.0)})
    assert trained.base == bases[0]
    assert "the gates leave out" in trained.reason


def test_bases_without_a_transformer_cannot_extract(train: TrainIt) -> None:
    for options in ({"base": "tfidf"}, {"base": "auto", "candidates": ["static"]}):
        with pytest.raises(SpecError, match="can only answer with labels"):
            train(options)
    with pytest.raises(TrainingError, match="judge the candidates"):
        train({"base": "auto"}, dev=[])


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
        train(windows=WindowSpec(tokens=50, widest_value=12))
