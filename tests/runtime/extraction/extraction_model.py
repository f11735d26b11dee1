"""An extractor made by hand, without torch: what each word begins stands in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from potstill.export.pack import write_folder
from potstill.runtime.extraction.decision import ExtractionDecision
from potstill.spec.extraction import FieldSpec, WindowSpec

FIELDS = {
    "party": FieldSpec(many=True),
    "signed": FieldSpec(type="date"),
    "term": FieldSpec(type="duration"),
}
WIDEST = 6
WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    *("nike", "kite", "pharma", "inc", "maybe"),
    *("2001", "2004", "-", "04", "18", "seven", "years", "the", ","),
]
BEGINS: dict[str, tuple[str, int, float]] = {
    "nike": ("party", 0, 3.0),
    "kite": ("party", 1, 2.0),
    "maybe": ("party", 0, -1.0),
    "2001": ("signed", 4, 3.0),
    "2004": ("signed", 4, 1.0),
    "seven": ("term", 1, 1.5),
    "the": ("term", 0, 4.0),
}
"""Of a word: the field of a value that begins with it, tokens after it, and the logit. A date
like ``2001-04-18`` is five tokens; ``the`` is no duration, whatever the student holds."""


def table(begins: Mapping[str, tuple[str, int, float]] = BEGINS) -> np.ndarray[Any, Any]:
    """Logits (word, width * field)."""
    logits = np.full((len(WORDS), WIDEST, len(FIELDS)), -20.0, dtype=np.float32)
    for word, (field, after, logit) in begins.items():
        logits[WORDS.index(word), after, list(FIELDS).index(field)] = logit
    return logits.reshape(len(WORDS), -1)


def graph() -> bytes:
    """An ONNX graph that looks the logits of each token up."""
    made = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("Reshape", ["rows", "shape"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])],
        [
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, ["batch", "token", "width", "field"]
            )
        ],
        [
            numpy_helper.from_array(table(), "table"),
            numpy_helper.from_array(np.array([0, 0, WIDEST, len(FIELDS)], np.int64), "shape"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])
    onnx.checker.check_model(model)
    return model.SerializeToString()


def tokenizer() -> Tokenizer:
    """Words and punctuation, lower-cased; it neither cuts nor pads."""
    made = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return made


def write_extractor(
    folder: Path,
    *,
    decision: ExtractionDecision | None = None,
    probes: Sequence[Mapping[str, Any]] = (),
    windows: WindowSpec | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write the model folder; `changes` overwrite keys of ``model.json``."""
    windows = windows or WindowSpec(tokens=32, widest_value=WIDEST)
    document: dict[str, Any] = {
        "name": "tiny",
        **(decision or ExtractionDecision.plain(FIELDS)).to_json(),
        "windows": windows.model_dump(),
        "conventions": {},
        "max_tokens": windows.tokens,
        "probes": list(probes),
        **(changes or {}),
    }
    write_folder(
        folder, document=document, graph=graph(), tokenizer=tokenizer().to_str(), lineage={}
    )
    return folder
