"""A trained extractor becomes a folder that answers like it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from potstill.data.example import Example, Source
from potstill.data.extraction import Extraction, Value
from potstill.data.values import Convention
from potstill.errors import ExportError
from potstill.export import export_extractor
from potstill.export.extraction_reading import compare, cut_documents
from potstill.runtime.extraction.decision import ExtractionDecision
from potstill.runtime.extraction.extractor import Extractor, window_reader
from potstill.runtime.extraction.gather import Found
from potstill.runtime.reference import Reference
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec

FIELDS = {"name": FieldSpec(many=True), "other": FieldSpec()}
WINDOWS = WindowSpec(tokens=40, widest_value=3)
VOCABULARY = 5000


class TinySpans(nn.Module):
    """Runs of tokens scored by where they begin and where they end."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, 2 * len(FIELDS))
        nn.init.normal_(self.head.weight)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        start, end = self.head(hidden).chunk(2, dim=2)
        tokens = input_ids.shape[1]
        ends = torch.arange(tokens)[:, None] + torch.arange(WINDOWS.widest_value)
        logits = start[:, :, None] + end[:, ends.clamp(max=tokens - 1)]
        return logits.masked_fill((ends >= tokens)[:, :, None], -1e4)


@dataclass
class TinyExtractor:
    module: nn.Module
    tokenizer_file: Path
    fields: Mapping[str, FieldSpec] = field(default_factory=lambda: FIELDS)
    conventions: Mapping[str, Convention] = field(default_factory=dict[str, Convention])
    windows: WindowSpec = WINDOWS
    base: Mapping[str, Any] = field(default_factory=lambda: {"name": "tiny"})


@pytest.fixture(scope="module")
def student(tokenizer_file: Path) -> TinyExtractor:
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
    }
    module = TinySpans(BertModel(BertConfig(**shape), add_pooling_layer=False)).eval()
    module.head.bias.data -= 3.0
    return TinyExtractor(module, tokenizer_file)


@pytest.fixture(scope="module")
def documents() -> list[Example]:
    """Documents of one to five windows, every third word of which is a name, says a person."""
    generator = torch.Generator().manual_seed(3)
    person = Source(kind="person", name="gold", contributed=("target",), stage="import")
    rows: list[Example] = []
    for at in range(40):
        drawn = torch.randint(4996, (1 + 4 * at,), generator=generator).tolist()
        words = [f"w{word}" for word in drawn]
        target = Extraction({"name": tuple(map(Value, words[::3]))})
        rows.append(Example(id=str(at), input=" ".join(words), target=target, sources=(person,)))
    return rows


@dataclass(frozen=True)
class Made:
    folder: Path
    parity: Mapping[str, Any]
    graph: str


@pytest.fixture(scope="module")
def made(
    student: TinyExtractor,
    documents: list[Example],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    folder = tmp_path_factory.mktemp("extractor") / "model"
    options = StudentSpec(max_disagreement=1.0)
    exported = export_extractor(
        student, name="tiny", dev=documents, options=options, folder=folder, seed=1
    )
    graph = json.loads((folder / "model.json").read_bytes())["export"]["graph"]
    return Made(folder, exported.parity, graph)


def test_the_folder_answers_whole_documents(made: Made, documents: list[Example]) -> None:
    model = Extractor.load(made.folder, workers=2)
    assert (model.name, model.labels, model.max_tokens) == ("tiny", ("name", "other"), 40)
    last = 0
    for row, answer in zip(documents, model.stream(row.input for row in documents), strict=True):
        assert isinstance(row.input, str)
        assert isinstance(answer.target, Extraction)
        for value in (*answer.target.of("name"), *answer.target.of("other")):
            assert row.input[value.start : value.end] == value.text
            last = max(last, value.end or 0)
    assert last > 600  # far beyond the first window


def test_fp32_answers_like_the_trained_weights_and_int8_nearly_so(made: Made) -> None:
    assert (made.parity["rows"], made.parity["development_rows"]) == (40, 40)
    differs = made.parity["candidates"]
    assert differs["fp32"] == 0.0
    assert 0.0 < differs["int8-dynamic"] <= 0.5
    assert made.parity["disagreement"] == differs[made.graph]
    assert made.parity["documents_that_differ"] >= made.parity["disagreement"]


def test_the_card_says_what_was_measured(made: Made) -> None:
    card = json.loads((made.folder / "model.json").read_bytes())
    assert (card["type"], card["labels"]) == ("extraction", ["name", "other"])
    assert card["fields"] == {"name": {"many": True}, "other": {}}
    assert made.graph.startswith(card["export"]["precision"])
    calibration = card["calibration"]
    assert (calibration["rows"], calibration["targets"]) == (40, "gold")
    assert calibration["fields"]["name"]["values"] >= calibration["fields"]["name"]["found"] > 0
    assert calibration["fields"]["other"] == {"values": 0, "found": 0}
    reference = Reference.from_json(card["reference"])
    assert (reference.rows, set(reference.labels)) == (40, {"name", "other"})
    assert 0 < reference.labels["name"] <= 40
    assert set(card["export"]["timings_ms"]) == {"int8-dynamic", "int8-static", "fp32"}


def test_the_model_agrees_with_its_own_probes(made: Made) -> None:
    check = Extractor.load(made.folder).self_check()
    assert check.probes == 3
    assert check.label_flips == 0
    assert check.max_score_difference < 1e-6


def test_an_export_that_answers_otherwise_is_refused(
    student: TinyExtractor,
    documents: list[Example],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from potstill.export import extraction, extraction_reading

    def never(*_: object) -> extraction_reading.Difference:
        return extraction_reading.Difference(0.5, 1.0, 0.9)

    monkeypatch.setattr(extraction, "compare", never)
    with pytest.raises(ExportError, match="too often"):
        export_extractor(
            student,
            name="tiny",
            dev=documents[:2],
            options=StudentSpec(precision="fp32"),
            folder=tmp_path / "model",
        )
    assert not (tmp_path / "model").exists()


def test_without_documents_nothing_can_be_shown(student: TinyExtractor, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no development documents"):
        export_extractor(
            student, name="tiny", dev=[], options=StudentSpec(), folder=tmp_path / "model"
        )


def test_training_documents_stand_beside_few_development_ones(
    student: TinyExtractor, documents: list[Example], tmp_path: Path
) -> None:
    empty = Example(id="empty", input="", target=Extraction({}))
    exported = export_extractor(
        student,
        name="tiny",
        dev=[empty, *documents[:2]],
        more=documents[2:6],
        options=StudentSpec(precision="fp32"),
        folder=tmp_path / "model",
    )
    assert (exported.parity["rows"], exported.parity["development_rows"]) == (7, 3)
    assert exported.calibration["rows"] == 3


def test_documents_are_taken_whole_until_there_are_windows_enough(
    student: TinyExtractor, documents: list[Example], tokenizer_file: Path
) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    reader = window_reader(tokenizer, student.windows)
    long = documents[::-1]
    (only,) = cut_documents(long, reader, most_windows=2)
    assert only.example is long[0]
    assert len(only.windows) > 2
    assert cut_documents(long, reader, most_windows=0) == []


def test_answers_differ_by_their_values_and_not_by_their_place() -> None:
    decision = ExtractionDecision.plain(FIELDS)

    def found(value: str, logit: float, start: int = 0) -> dict[str, list[Found]]:
        return {"name": [Found(Value(value, value, start, start + 1), (logit, 0.0, 0.0, 0.0))]}

    trained = [found("a", 1.0), found("a", 1.0), found("a", 1.0), {}]
    ours = [found("A", 2.0, 9), found("b", 1.0), found("a", -1.0), {}]
    difference = compare(ours, trained, decision)
    assert difference.answers == 2 / 8
    assert difference.documents == 2 / 4
    assert difference.confidence == pytest.approx(0.8808 - 0.7311, abs=1e-4)
