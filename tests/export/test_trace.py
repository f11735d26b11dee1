"""The traced graph answers like the torch module, at every length and for every encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from potstill.export.graph import serialise, simplify
from potstill.export.trace import encoder_paths, trace
from potstill.runtime.session import open_session, run_one


def _largest_difference(module: torch.nn.Module, graph: bytes) -> float:
    session = open_session(graph, where="here")
    generator = torch.Generator().manual_seed(1)
    found = 0.0
    for length in (1, 2, 9, 33, 60):
        ids = torch.randint(4, 5000, (1, length), generator=generator)
        with torch.inference_mode():
            expected = module(ids, torch.ones_like(ids)).numpy()[0]
        found = max(found, float(np.abs(run_one(session, ids[0].tolist()) - expected).max()))
    return found


def _check_fused(module: torch.nn.Module, graph: bytes) -> None:
    assert _largest_difference(module, graph) < 1e-5
    operators = Counter(node.op_type for node in onnx.load_from_string(graph).graph.node)
    assert operators["MultiHeadAttention"] == 2
    assert operators["Softmax"] == 0
    assert operators["Reshape"] == 0
    # A residual `Add` would be folded into a slow kernel; `Sum` is its equal.
    assert operators["Sum"] == operators["LayerNormalization"] == 5


def test_bert_with_lexical_counts_answers_like_the_module(traced: Any) -> None:
    _check_fused(traced.student.module, traced.graph)


def test_mpnet_answers_like_the_module_and_is_left_as_it_was(make_student: Callable) -> None:
    module = make_student("mpnet").module
    ids = torch.arange(4, 24).reshape(2, 10)
    with torch.inference_mode():
        before = module(ids, torch.ones_like(ids))
    model = trace(module)
    simplify(model)
    _check_fused(module, serialise(model))
    with torch.inference_mode():
        assert torch.equal(module(ids, torch.ones_like(ids)), before)


def test_graph_takes_batches_and_names_its_ends(traced: Any) -> None:
    session = open_session(traced.graph, where="here")
    ids = np.arange(4, 34).reshape(3, 10)
    (logits,) = session.run(["logits"], {"input_ids": ids})
    assert logits == pytest.approx(
        np.stack([run_one(session, row.tolist()) for row in ids]), abs=1e-5
    )


@pytest.mark.slow
def test_a_sliding_window_mask_stays(traced: Any) -> None:
    from transformers import ModernBertConfig, ModernBertModel

    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=5000,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=32,
        local_attention=8,
        global_attn_every_n_layers=3,
        pad_token_id=0,
        initializer_range=0.3,
    )
    module = type(traced.student.module)(ModernBertModel(config)).eval()
    model = trace(module)
    simplify(model)
    assert _largest_difference(module, serialise(model)) < 1e-4


def test_graph_keeps_no_note_of_the_machine_that_made_it(traced: Any) -> None:
    for note in (b"site-packages", b"pkg.torch", b"stack_trace"):
        assert note not in traced.graph
    assert any(node.metadata_props for node in traced.model.graph), "the model itself was stripped"


def test_encoders_are_found_by_path(traced: Any) -> None:
    assert "student.encoder" in encoder_paths(traced.student.module)
    assert encoder_paths(torch.nn.Linear(2, 2)) == frozenset()
