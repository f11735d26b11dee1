from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from potstill.errors import TrainingError
from potstill.train import embed
from potstill.train.bases import resolve_base
from potstill.train.encoder import Encoder, load_encoder, pooling_of, run_over, usable_tokens
from potstill.train.tokens import load_tokenizer, pad, read_texts

TEXTS = ["my card was", "loan", "the house loan rate again today please", ""]


@pytest.fixture(autouse=True)
def _full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    from potstill.train import encoder

    monkeypatch.setattr(encoder, "lower_precision", lambda _: nullcontext())


def test_embeds_as_mean_pooling_by_hand(tiny_base: Path) -> None:
    rows = read_texts(TEXTS, load_tokenizer(tiny_base / "tokenizer.json", 32))
    transformer = AutoModel.from_pretrained(tiny_base).eval()
    said = embed(TEXTS, base=str(tiny_base), max_tokens=32)
    for row, vector in zip(rows, said, strict=True):
        with torch.no_grad():
            states = transformer(torch.tensor([row])).last_hidden_state[0]
        mean = states.mean(dim=0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-6)


def test_cls_pooling_where_the_base_says_so(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    assert pooling_of(folder) == "mean"
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert pooling_of(folder) == "cls"
    encoder = load_encoder(resolve_base(str(folder)))
    ids, mask = pad([[2, 5, 3]], 0)
    with torch.no_grad():
        first = encoder.transformer(ids, mask).last_hidden_state[:, 0]
        torch.testing.assert_close(encoder(ids, mask), first / first.norm(dim=1, keepdim=True))


def test_progress_counts_every_row(tiny_base: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    embed(TEXTS, base=str(tiny_base), max_tokens=32, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("embed", 4, 4)


def test_no_rows_are_no_error(tiny_base: Path) -> None:
    assert embed([], base=str(tiny_base), max_tokens=32).shape[0] == 0


def test_order_survives_sorting_by_length(tiny_base: Path) -> None:
    encoder = load_encoder(resolve_base(str(tiny_base)))
    rows = [[2, *range(4, 4 + length), 3] for length in (9, 1, 5, 3)]
    together = run_over(encoder, rows, pad_id=0, phase="embed")
    for row, vector in zip(rows, together, strict=True):
        alone = run_over(encoder, [row], pad_id=0, phase="embed")[0]
        np.testing.assert_allclose(vector, alone, atol=1e-5)


def test_length_is_bounded_by_the_positions(tiny_base: Path, tmp_path: Path) -> None:
    assert usable_tokens(resolve_base(str(tiny_base)), 32) == 32
    assert usable_tokens(resolve_base(str(tiny_base)), 256) == 128
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mpnet"}))
    assert usable_tokens(resolve_base(str(folder)), 256) == 126


def test_a_base_that_is_no_encoder_is_named(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    (folder / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(TrainingError, match="cannot be loaded"):
        load_encoder(resolve_base(str(folder)))


def test_no_pooler_is_kept(tiny_base: Path) -> None:
    encoder = load_encoder(resolve_base(str(tiny_base)))
    assert isinstance(encoder, Encoder)
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]
