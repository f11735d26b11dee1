"""Students with tiny random encoders, and development rows that they were never trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel, PreTrainedModel

from potstill.data import Example, Source

LABELS = ("cards", "loans", "accounts", "other")
VOCABULARY = 5000
HIDDEN = 32


class Pooled(nn.Module):
    """Mean pooling and a linear head, with lexical counts beside it if asked for."""

    def __init__(self, encoder: PreTrainedModel, *, lexical: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(HIDDEN, len(LABELS))
        nn.init.normal_(self.head.weight)
        self.lexical = nn.Linear(VOCABULARY, len(LABELS), bias=False) if lexical else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        logits = self.head((hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0))
        if self.lexical is None:
            return logits
        zeros = torch.zeros(input_ids.shape[0], VOCABULARY)
        counts = zeros.scatter_add(1, input_ids, attention_mask.to(zeros.dtype))
        return logits + self.lexical(nn.functional.normalize(torch.log1p(counts), dim=1))


@dataclass
class TinyStudent:
    module: nn.Module
    tokenizer_file: Path
    labels: tuple[str, ...] = LABELS
    multilabel: bool = False
    base: Mapping[str, Any] = field(default_factory=lambda: {"name": "tiny"})
    max_tokens: int = 48


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: at for at, word in enumerate([*special, *(f"w{i}" for i in range(4996))])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=48)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def make_student(tokenizer_file: Path) -> Callable[..., TinyStudent]:
    """A student of a tiny random encoder: ``bert`` or ``mpnet``."""

    def make(kind: str = "bert", *, lexical: bool = False, **changes: Any) -> TinyStudent:
        torch.manual_seed(0)
        shape: dict[str, Any] = {
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 64,
            "initializer_range": 0.3,
        }
        encoder = (
            BertModel(BertConfig(**shape), add_pooling_layer=False)
            if kind == "bert"
            else MPNetModel(MPNetConfig(**shape, pad_token_id=0), add_pooling_layer=False)
        )
        module = Pooled(encoder, lexical=lexical).eval()
        ids = torch.randint(4, VOCABULARY, (64, 12))
        with torch.inference_mode():
            # Centred logits, or a random student would give every text the same answer.
            mean = module(ids, torch.ones_like(ids)).mean(dim=0)
        module.head.bias.data -= mean
        return TinyStudent(module, tokenizer_file, **changes)

    return make


@dataclass(frozen=True)
class Traced:
    student: TinyStudent
    model: ir.Model
    graph: bytes


@pytest.fixture(scope="session")
def traced(make_student: Callable[..., TinyStudent]) -> Traced:
    """A student with lexical counts, its simplified graph, and that graph's bytes."""
    from potstill.export.graph import serialise, simplify
    from potstill.export.trace import trace

    student = make_student(lexical=True)
    model = trace(student.module)
    simplify(model)
    return Traced(student, model, serialise(model))


@pytest.fixture(scope="session")
def dev() -> list[Example]:
    """Eighty rows of two to forty words, with a person's labels that say nothing."""
    generator = torch.Generator().manual_seed(3)
    person = Source(kind="person", name="gold", contributed=("target",), stage="import")
    rows: list[Example] = []
    for at in range(80):
        words = torch.randint(4996, (2 + at // 2,), generator=generator).tolist()
        text = " ".join(f"w{word}" for word in words)
        rows.append(Example(id=str(at), input=text, target=LABELS[at % 4], sources=(person,)))
    return rows
