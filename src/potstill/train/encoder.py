"""The encoder: a pretrained transformer with its pooling, from token ids to one vector a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import torch
from accelerate import PartialState
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel
from transformers.utils import logging as transformers_logging

from potstill.errors import TrainingError
from potstill.train.bases import AUTO, LENDER, Base, resolve_base
from potstill.train.tokens import TokenIds, load_tokenizer, pad, read_texts, sorted_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[str, int, int], None]
"""progress(phase, done, total): what goes on, how many rows of how many."""

_BATCH_TOKENS = 4096
"""Tokens a batch where nothing is learnt: enough to fill two cores, a few tens of MB."""


class Encoder(nn.Module):
    """A transformer and its pooling.

    Args:
        transformer: a ``transformers`` encoder.
        pooling: ``mean`` over the tokens, or ``cls`` for the first one.
    """

    def __init__(self, transformer: nn.Module, pooling: str) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (batch, dimension), float32.

        Args:
            input_ids: (batch, token) int64.
            attention_mask: (batch, token) int64.
        """
        states = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state.float()
        if self.pooling == "cls":
            return functional.normalize(states[:, 0], dim=1)
        mask = attention_mask.unsqueeze(2).float()
        # The mean differs from the sum by a factor a row, which normalising takes out again.
        return functional.normalize((states * mask).sum(dim=1), dim=1)


def load_encoder(base: Base) -> Encoder:
    """The pretrained encoder in evaluation mode.

    Raises:
        TrainingError: transformers cannot read the base.
    """
    try:
        with Quiet():
            transformer = AutoModel.from_pretrained(base.folder, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"the base {base.name!r} cannot be loaded: {str(error).splitlines()[0]}",
            where=str(base.folder),
            hint="A base is an encoder that transformers' AutoModel can load.",
        ) from error
    return _encoder_of(transformer, pooling_of(base.folder))


def empty_encoder(config: dict[str, Any], pooling: str) -> Encoder:
    """An encoder of a known shape whose weights are still to be filled in.

    Args:
        config: as ``PretrainedConfig.to_dict`` gives it.
        pooling: see `Encoder`.
    """
    shape = AutoConfig.for_model(**config)
    return _encoder_of(AutoModel.from_config(shape), pooling)


def _encoder_of(transformer: nn.Module, pooling: str) -> Encoder:
    # A pooler is a head of its own that nothing here reads: it would be exported, stored, and
    # waited for by a distributed training.
    if getattr(transformer, "pooler", None) is not None:
        setattr(transformer, "pooler", None)  # noqa: B010 - typed as if it could not be None
    return Encoder(transformer, pooling).eval()


def pooling_of(folder: Path) -> str:
    """``cls`` where the base was trained with it (``1_Pooling/config.json``), else ``mean``."""
    file = folder / "1_Pooling" / "config.json"
    if file.is_file() and orjson.loads(file.read_bytes()).get("pooling_mode_cls_token"):
        return "cls"
    return "mean"


def usable_tokens(base: Base, max_tokens: int) -> int:
    """`max_tokens`, or fewer where the base has fewer positions."""
    config = orjson.loads((base.folder / "config.json").read_bytes())
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int):
        return max_tokens
    # RoBERTa's kin number their positions from the padding id upwards.
    shift = 2 if config.get("model_type") in _SHIFTED_POSITIONS else 0
    return min(max_tokens, positions - shift)


_SHIFTED_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"})


def embed(
    texts: Sequence[str], *, base: str, max_tokens: int, progress: Progress | None = None
) -> NDArray[np.float32]:
    """The frozen encoder's embedding of each text.

    Args:
        texts: any strings.
        base: see `resolve_base`; `auto`, which has no encoder of its own, embeds with the usual one.
        max_tokens: tokens read of each text.
        progress: called as ("embed", texts done, texts).

    Returns:
        (row, dimension), each row of unit length.

    Raises:
        SpecError: there is no such base.
        MissingExtraError: its weights are not installed.
        TrainingError: its weights are damaged.
    """
    found = resolve_base(LENDER if base == AUTO else base)
    tokenizer = load_tokenizer(found.folder / "tokenizer.json", usable_tokens(found, max_tokens))
    rows = read_texts(texts, tokenizer)
    encoder = load_encoder(found).to(PartialState().device)
    return run_over(encoder, rows, pad_id=pad_id_of(encoder), phase="embed", progress=progress)


def run_over(
    network: nn.Module,
    rows: TokenIds,
    *,
    pad_id: int,
    phase: str,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """What a network says of every row, without learning from it.

    Args:
        network: takes (input_ids, attention_mask), gives (batch, anything).
        rows: token ids (row, token).
        pad_id: id of the padding token.
        phase: named to `progress`.
        progress: called after each batch.

    Returns:
        (row, anything), in the order of `rows`.
    """
    device = next(chain(network.parameters(), network.buffers())).device
    found: NDArray[np.float32] | None = None
    done = 0
    was_training = network.training
    network.eval()
    with torch.inference_mode(), lower_precision(device):
        for batch in sorted_batches([len(row) for row in rows], _BATCH_TOKENS):
            ids, mask = pad([rows[index] for index in batch], pad_id)
            said = network(ids.to(device), mask.to(device)).float().cpu().numpy()
            if found is None:
                found = np.empty((len(rows), said.shape[1]), dtype=np.float32)
            found[batch] = said
            done += len(batch)
            if progress is not None:
                progress(phase, done, len(rows))
    network.train(was_training)
    return found if found is not None else np.empty((0, 0), dtype=np.float32)


def pad_id_of(encoder: nn.Module | None) -> int:
    """The padding token's id as the transformer's configuration states it; 0 where it is silent.

    What is no transformer reads the mask alone, and any id will do.
    """
    if not isinstance(encoder, Encoder):
        return 0
    return int(getattr(encoder.transformer.config, "pad_token_id", None) or 0)  # pyright: ignore


def lower_precision(device: torch.device) -> Any:
    """bfloat16 arithmetic where this machine multiplies it in hardware, else a null context.

    Weights and sums stay float32 (mixed precision, Micikevicius et al. 2018; bfloat16 has
    float32's range, so no loss scaling is needed).
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = device.type == "cpu" and "avx512_bf16" in _cpu_flags()
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()


def _cpu_flags() -> frozenset[str]:
    """The processor's capabilities as Linux lists them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())


class Quiet:
    """No progress bars and no load report of transformers: the caller shows progress."""

    def __enter__(self) -> None:
        self._level = transformers_logging.get_verbosity()
        self._bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        transformers_logging.set_verbosity(self._level)
        if self._bars:
            transformers_logging.enable_progress_bar()
