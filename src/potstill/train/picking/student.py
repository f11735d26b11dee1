"""The student that picks sentences: its network, how it reads, and how it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from potstill.runtime.picking import PickDecision
from potstill.train.encoder import empty_encoder
from potstill.train.picking.network import PickNetwork
from potstill.train.student import TOKENIZER, plain_config, whole_card, with_weights, write_student


@dataclass(frozen=True)
class PickStudent:
    """A trained network with everything that an export needs.

    Attributes:
        module: (input_ids, attention_mask) -> scores (batch, token, 1), in evaluation mode.
        tokenizer_file: a ``tokenizer.json`` that neither cuts nor pads.
        decision: how scores become an answer.
        base: name, sha256, licence and number of parameters of the pretrained encoder.
        max_tokens: of a window, special ones included.
        facts: how it was trained, as `Trained` reports it.
    """

    module: PickNetwork
    tokenizer_file: Path
    decision: PickDecision
    base: dict[str, Any]
    max_tokens: int
    facts: Mapping[str, Any]


def save_picker(
    folder: Path,
    network: PickNetwork,
    tokenizer: Tokenizer,
    *,
    decision: PickDecision,
    base: dict[str, Any],
    max_tokens: int,
    facts: Mapping[str, Any],
) -> None:
    """Write the student's folder; ``student.json`` comes last.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    card = {
        "picks": decision.to_json(),
        "max_tokens": max_tokens,
        "base": base,
        "encoder": plain_config(network.encoder),
        "facts": facts,
    }
    write_student(folder, network, tokenizer, card)


def load_picker(folder: Path) -> PickStudent:
    """The student that `save_picker` wrote. Needs no base: every weight is in the folder.

    Raises:
        TrainingError: the folder holds no finished student, or a file of it was damaged.
    """
    card = whole_card(folder)
    encoder = empty_encoder(card["encoder"], "mean").transformer
    network = PickNetwork(encoder, nn.Linear(card["encoder"]["hidden_size"], 1))
    return PickStudent(
        module=with_weights(network, folder),
        tokenizer_file=folder / TOKENIZER,
        decision=PickDecision.from_json(card["picks"]),
        base=card["base"],
        max_tokens=card["max_tokens"],
        facts=card["facts"],
    )
