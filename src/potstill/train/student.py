"""The student: one network from token ids to logits, and how it lies on disk.

student.json          written last: the folder is complete when it exists
student.safetensors   every weight of the network, encoder included
tokenizer.json        cuts at the student's length, pads nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import torch
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import nn

from potstill.data.files import sha256_of, write_json, writing
from potstill.errors import TrainingError
from potstill.train.bases import Base
from potstill.train.encoder import Encoder, empty_encoder
from potstill.train.lexical import LexicalBranch
from potstill.train.static import StaticEncoder

CARD = "student.json"
_WEIGHTS = "student.safetensors"
TOKENIZER = "tokenizer.json"
_VERSION = 1


class Network(nn.Module):
    """Meaning and words side by side: two linear heads whose logits are added.

    Args:
        encoder: token ids to an embedding; None leaves the words alone.
        head: embedding to logits, a ``torch.nn.Linear``; None without an encoder.
        lexical: token ids to logits.
    """

    def __init__(
        self,
        encoder: Encoder | StaticEncoder | None,
        head: nn.Linear | None,
        lexical: LexicalBranch,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.lexical = lexical

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits (batch, label) float32.

        Args:
            input_ids: (batch, token) int64.
            attention_mask: (batch, token) int64.
        """
        words = self.lexical(input_ids, attention_mask)
        if self.encoder is None or self.head is None:
            return words
        return self.head(self.encoder(input_ids, attention_mask)).float() + words

    @torch.no_grad()
    def rescale(self, deep: float, lexical: float) -> None:
        """Multiply the logits of each branch, by way of its weights."""
        for weights in () if self.head is None else (self.head.weight, self.head.bias):
            weights.mul_(deep)
        for weights in (self.lexical.weight, self.lexical.bias):
            weights.mul_(lexical)


@dataclass(frozen=True)
class Student:
    """A trained network with everything that an export needs.

    Attributes:
        module: (input_ids, attention_mask) -> logits (batch, label), in evaluation mode.
        tokenizer_file: a ``tokenizer.json`` that cuts at `max_tokens`.
        labels: in the order of the logits.
        multilabel: one sigmoid a label in place of one softmax a row.
        base: name, sha256, licence and number of parameters of the pretrained encoder.
        max_tokens: tokens read of a text, special ones included.
        facts: how it was trained, as `Trained` reports it.
    """

    module: Network
    tokenizer_file: Path
    labels: tuple[str, ...]
    multilabel: bool
    base: dict[str, Any]
    max_tokens: int
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def base_facts(base: Base, encoder: nn.Module | None) -> dict[str, Any]:
    """What a model card says of the base."""
    weights = () if encoder is None else (*encoder.parameters(), *encoder.buffers())
    return {
        "name": base.name,
        "sha256": base.sha256,
        "licence": base.licence,
        "parameters": sum(weight.numel() for weight in weights if weight.is_floating_point()),
    }


def save_student(
    folder: Path,
    network: Network,
    tokenizer: Tokenizer,
    *,
    labels: tuple[str, ...],
    multilabel: bool,
    base: dict[str, Any],
    max_tokens: int,
    facts: Mapping[str, Any],
) -> None:
    """Write the student's folder; ``student.json`` comes last.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    card = {
        "labels": labels,
        "multilabel": multilabel,
        "max_tokens": max_tokens,
        "base": base,
        "encoder": _shape_of(network.encoder),
        "lexical": {
            "vocabulary": len(network.lexical.position),
            "terms": len(network.lexical.idf) - 1,
        },
        "facts": facts,
    }
    write_student(folder, network, tokenizer, card)


def write_student(
    folder: Path, network: nn.Module, tokenizer: Tokenizer, card: Mapping[str, Any]
) -> None:
    """Write weights, tokenizer and, last, the card of any student.

    Args:
        folder: of the student.
        network: every weight of it is written.
        tokenizer: as the student reads.
        card: what it takes to build the network again, and ``facts`` with its ``identity``.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    with writing(folder / TOKENIZER) as stream:
        stream.write(tokenizer.to_str(pretty=False).encode())
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    with writing(folder / _WEIGHTS) as stream:
        stream.write(save(weights))
    digests = {name: sha256_of(folder / name) for name in (_WEIGHTS, TOKENIZER)}
    write_json(folder / CARD, {"version": _VERSION, **card, "sha256": digests})


def read_card(folder: Path) -> dict[str, Any] | None:
    """``student.json`` of a complete student; None where training has not ended, or it is broken."""
    try:
        return cast("dict[str, Any]", orjson.loads((folder / CARD).read_bytes()))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None


def damaged_file(folder: Path, card: Mapping[str, Any]) -> str | None:
    """The first file that is missing or has another SHA-256 than `card` says; None if whole.

    Args:
        folder: of the student.
        card: its ``student.json``.
    """
    for name, digest in card["sha256"].items():
        if not (folder / name).is_file() or sha256_of(folder / name) != digest:
            return name
    return None


def whole_card(folder: Path) -> dict[str, Any]:
    """``student.json`` of a student whose files are all as they were written.

    Raises:
        TrainingError: the folder holds no finished student, or a file of it was damaged.
    """
    card = read_card(folder)
    if card is None:
        raise TrainingError(
            "there is no finished student here.",
            where=str(folder),
            hint="Run the training again; it goes on from where it stopped.",
        )
    broken = damaged_file(folder, card)
    if broken is not None:
        raise TrainingError(
            f"{broken} of the student is missing or damaged.",
            where=str(folder / broken),
            hint="Train again: what is damaged is not taken for finished.",
        )
    return card


def with_weights(network: nn.Module, folder: Path) -> Any:
    """The network with the weights that `write_student` left in a folder, in evaluation mode."""
    network.load_state_dict(load_file(folder / _WEIGHTS))
    return network.eval()


def load_student(folder: Path) -> Student:
    """The student that `save_student` wrote. Needs no base: every weight is in the folder.

    Raises:
        TrainingError: the folder holds no finished student, or a file of it was damaged.
    """
    card = whole_card(folder)
    labels = tuple(card["labels"])
    encoder, dimension = _empty(card["encoder"])
    shape = card["lexical"]
    network = Network(
        encoder,
        nn.Linear(dimension, len(labels)) if encoder is not None else None,
        LexicalBranch(shape["vocabulary"], shape["terms"], len(labels)),
    )
    return Student(
        module=with_weights(network, folder),
        tokenizer_file=folder / TOKENIZER,
        labels=labels,
        multilabel=card["multilabel"],
        base=card["base"],
        max_tokens=card["max_tokens"],
        facts=card["facts"],
    )


def _shape_of(encoder: Encoder | StaticEncoder | None) -> dict[str, Any] | None:
    """What `_empty` needs to build an encoder of the same shape."""
    if encoder is None:
        return None
    if isinstance(encoder, StaticEncoder):
        return {"table": list(encoder.table.shape)}
    return {"pooling": encoder.pooling, "config": plain_config(encoder.transformer)}


def _empty(shape: Mapping[str, Any] | None) -> tuple[Encoder | StaticEncoder | None, int]:
    """An encoder whose weights are still to be filled in, and its dimension."""
    if shape is None:
        return None, 0
    if "table" in shape:
        vocabulary, dimension = shape["table"]
        return StaticEncoder(vocabulary, dimension), dimension
    encoder = empty_encoder(shape["config"], shape["pooling"])
    return encoder, cast("Any", encoder.transformer).config.hidden_size


def plain_config(transformer: nn.Module) -> dict[str, Any]:
    """The configuration of a ``transformers`` model as JSON can hold it, and no path of this machine."""
    dropped = {"_name_or_path", "dtype", "torch_dtype", "transformers_version", "architectures"}
    config = cast("Any", transformer).config.to_dict()
    return {key: value for key, value in config.items() if key not in dropped}
