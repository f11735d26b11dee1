from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from potstill.data.example import Example, Predictor, Text
from potstill.errors import DataError, ExportError, ModelError
from potstill.export import export_picker
from potstill.export.student import Exported
from potstill.runtime import load_model
from potstill.runtime.folder import CARD_FILE, GRAPH_FILE
from potstill.runtime.picker import Picker
from potstill.runtime.picking import FEATURES, PickDecision
from potstill.spec.task import StudentSpec

DECISION = PickDecision(12, 2, (0.0,) * len(FEATURES))


class Scored(nn.Module):
    """A tiny random encoder and a head on each token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.encoder = BertModel(
            BertConfig(
                vocab_size=5000,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
            ),
            add_pooling_layer=False,
        )
        self.head = nn.Linear(32, 1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return self.head(states)


@dataclass
class TinyPicker:
    module: nn.Module
    tokenizer_file: Path
    decision: PickDecision = DECISION
    base: Mapping[str, Any] = field(default_factory=lambda: {"name": "tiny"})
    max_tokens: int = 24


def document(number: int) -> str:
    draw = np.random.default_rng(number)
    sentences = (
        " ".join(f"w{at}" for at in draw.integers(4000, size=5)) + "."
        for _ in range(2 + number % 7)
    )
    return " ".join(sentences)


DEV = [Example(id=str(n), input=document(n), target=Text("w1")) for n in range(24)]


@pytest.fixture(scope="module")
def exported(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_picker(
        TinyPicker(Scored().eval(), tokenizer_file),
        name="minutes",
        dev=DEV,
        options=StudentSpec(max_disagreement=0.2),
        folder=tmp_path_factory.mktemp("picker") / "model",
        lineage={"rows": 1},
    )


@pytest.fixture(scope="module")
def picker(exported: Exported) -> Picker:
    return Picker.load(exported.folder, workers=2)


def test_the_folder_is_measured_and_loads(exported: Exported, picker: Picker) -> None:
    assert exported.parity["rows"] == len(DEV)
    assert exported.parity["disagreement"] <= 0.2
    assert set(exported.timings) == {"int8-dynamic", "int8-static", "fp32"}
    assert (picker.name, picker.labels, picker.multilabel) == ("minutes", (), False)
    assert picker.max_tokens == 24
    assert picker.card["mode"] == "extractive"
    assert isinstance(picker, Predictor)
    assert isinstance(load_model(exported.folder), Picker)
    check = picker.self_check()
    assert (check.probes, check.label_flips) == (3, 0)


def test_further_rows_stand_beside_a_small_development_set(
    tokenizer_file: Path, tmp_path: Path
) -> None:
    found = export_picker(
        TinyPicker(Scored().eval(), tokenizer_file),
        name="minutes",
        dev=DEV[:3],
        more=DEV[3:],
        options=StudentSpec(precision="fp32"),
        folder=tmp_path / "model",
    )

    assert (found.parity["rows"], found.parity["development_rows"]) == (len(DEV), 3)


def test_fp32_answers_as_the_trained_weights(tokenizer_file: Path, tmp_path: Path) -> None:
    found = export_picker(
        TinyPicker(Scored().eval(), tokenizer_file),
        name="minutes",
        dev=DEV,
        options=StudentSpec(precision="fp32"),
        folder=tmp_path / "model",
    )

    assert found.precision == "fp32"
    assert found.parity["disagreement"] == 0.0


def test_an_answer_is_sentences_of_the_document(picker: Picker) -> None:
    for row in DEV:
        answer = picker.predict(row.input).target
        assert isinstance(answer, Text)
        assert 0 < len(answer.text.split()) <= 12
        for sentence in answer.text.split(". "):
            assert sentence in row.text


def test_the_same_answer_alone_and_among_others(picker: Picker) -> None:
    inputs = [row.input for row in DEV]
    alone = [picker.predict(value) for value in inputs]

    assert picker.predict(inputs) == alone
    assert list(picker.stream(iter(inputs[::-1]))) == alone[::-1]


def test_a_long_document_is_read_whole(picker: Picker) -> None:
    text = " ".join(document(number) for number in range(300))

    assert picker.count_tokens(text) > 300 * 10
    assert picker.predict(text).truncated is False


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing_is_deferred(picker: Picker, text: str) -> None:
    answer = picker.predict(text)

    assert (answer.answer, answer.deferred) == (None, "unsure")
    assert answer.to_json()["text"] is None


def test_what_is_no_input_is_told(picker: Picker) -> None:
    with pytest.raises(DataError, match="not int"):
        picker.predict([1, 2])  # type: ignore[list-item]
    with pytest.raises(DataError, match="not bytes"):
        picker.count_tokens(b"a")  # type: ignore[arg-type]
    assert picker.predict([]) == []


def test_without_development_rows_nothing_is_exported(tokenizer_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no development documents"):
        export_picker(
            TinyPicker(Scored().eval(), tokenizer_file),
            name="x",
            dev=[],
            options=StudentSpec(),
            folder=tmp_path / "model",
        )


@pytest.mark.parametrize("name", [CARD_FILE, GRAPH_FILE])
def test_a_damaged_folder_is_refused(exported: Exported, tmp_path: Path, name: str) -> None:
    for file in exported.folder.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[:-9] if file.name == name else content)

    with pytest.raises(ModelError, match=name):
        Picker.load(tmp_path)
