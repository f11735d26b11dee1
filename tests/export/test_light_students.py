"""Students without a transformer ship in the same folder and answer through the same runtime."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from potstill.data import Example
from potstill.data.files import sha256_of
from potstill.export import export_student, footprint
from potstill.runtime import Model
from potstill.spec.task import StudentSpec
from potstill.train import Student, bases, load_student, train_student
from potstill.train.encoder import run_over
from potstill.train.tokens import load_tokenizer, read_texts

LABELS = ("cards", "loans", "accounts")


@pytest.fixture(scope="module", params=["tfidf", "static", "minilm-l6"])
def student(
    request: pytest.FixtureRequest,
    tiny_base: Path,
    rows: list[Example],
    tmp_path_factory: pytest.TempPathFactory,
) -> Student:
    """A trained student of each kind; the tiny base stands in for the packaged one."""
    folder = tmp_path_factory.mktemp("student")
    with pytest.MonkeyPatch.context() as patch:
        weights = sha256_of(tiny_base / "model.safetensors")
        patch.setattr(bases, "_PACKAGED", {"minilm-l6": (lambda: tiny_base, weights)})
        train_student(
            rows[:90],
            rows[90:],
            labels=LABELS,
            multilabel=False,
            options=StudentSpec(base=request.param, mode="frozen", max_tokens=32),
            seed=3,
            folder=folder,
        )
    return load_student(folder)


@pytest.fixture(scope="module")
def rows(sentence_about: Callable[..., str]) -> list[Example]:
    generator = random.Random(1)
    return [
        Example(id=str(n), input=sentence_about(LABELS[n % 3], generator), target=LABELS[n % 3])
        for n in range(150)
    ]


def test_the_folder_answers_like_the_trained_weights(
    student: Student, rows: list[Example], tmp_path: Path
) -> None:
    exported = export_student(
        student,
        name="topics",
        dev=rows[90:],
        options=StudentSpec(precision="fp32"),
        folder=tmp_path / "model",
    )
    assert exported.precision == "fp32" and exported.parity["disagreement"] == 0.0
    model = Model.load(tmp_path / "model", workers=1)
    texts = [row.text for row in rows[90:]] + ["", "?!"]
    said = np.array([list((given.scores or {}).values()) for given in model.predict(texts)])
    tokenizer = load_tokenizer(student.tokenizer_file, student.max_tokens)
    logits = run_over(student.module, read_texts(texts, tokenizer), pad_id=0, phase="test")
    assert (said.argmax(axis=1) == logits.argmax(axis=1)).all()
    scaled = logits / exported.calibration["temperature"]
    wanted = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    np.testing.assert_allclose(said, wanted / wanted.sum(axis=1, keepdims=True), atol=2e-2)


def test_a_footprint_is_that_of_the_graph(student: Student, rows: list[Example]) -> None:
    found = footprint(student, [row.input for row in rows[:20]], precision="fp32")
    assert set(found) == {"latency_ms", "latency_p95_ms", "megabytes"}
    assert 0.0 < found["latency_ms"] <= found["latency_p95_ms"] * 1.5
    weights = sum(
        value.numel() * value.element_size() for value in student.module.state_dict().values()
    )
    assert found["megabytes"] > weights / 1e6 * 0.9
