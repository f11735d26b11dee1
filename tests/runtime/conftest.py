"""A model folder made by hand, without torch: embed, average, multiply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from potstill.export.pack import write_folder
from potstill.runtime.decision import Decision

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "loan", "house", "charge", "the", "a"]
MAX_TOKENS = 12


def _graph(labels: int) -> bytes:
    generator = np.random.default_rng(0)
    table = generator.normal(size=(len(WORDS), 6)).astype(np.float32)
    weight = generator.normal(size=(6, labels)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("ReduceMean", ["rows", "axis"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "weight"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "label"])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _tokenizer() -> str:
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    return tokenizer.to_str()


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write a model folder: classification of three labels, or multilabel."""

    def make(*, multilabel: bool = False, name: str = "model") -> Path:
        labels = ("card", "loan", "house")
        decision = Decision(labels, multilabel, 0.8, (0.5, 0.4, 0.6) if multilabel else ())
        folder = tmp_path / name
        write_folder(
            folder,
            document={
                "name": "tiny",
                **decision.to_json(),
                "probes": [{"text": "card", "scores": [0.2, 0.5, 0.3]}],
            },
            graph=_graph(len(labels)),
            tokenizer=_tokenizer(),
            lineage={"sources": [{"kind": "person", "name": "gold.jsonl"}]},
        )
        return folder

    return make


@pytest.fixture
def folder(make_folder: Callable[..., Path]) -> Path:
    return make_folder()
