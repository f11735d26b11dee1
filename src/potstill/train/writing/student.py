"""A trained writer on disk.

student.json   written last: the folder is complete when it exists
network/       model and tokenizer as transformers saves them
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM

from potstill.data.files import sha256_of, storage_error, write_json
from potstill.runtime.prompt import Prompt, PromptReader
from potstill.train.encoder import Quiet
from potstill.train.student import CARD, TOKENIZER, whole_card
from potstill.train.writing.bases import Start

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NETWORK = "network"
_VERSION = 1


@dataclass(frozen=True)
class WritingStudent:
    """A writer with everything that an export needs.

    Attributes:
        network: folder of the model and its tokenizer as transformers saves them.
        prompt: what stands around a source.
        max_tokens: tokens read of a source.
        base: name, sha256, licence and number of parameters of the model it started from.
        facts: how it was trained, as `Trained` reports it.
    """

    network: Path
    prompt: Prompt
    max_tokens: int
    base: dict[str, Any]
    facts: Mapping[str, Any]

    @property
    def tokenizer_file(self) -> Path:
        """The base's ``tokenizer.json``."""
        return self.network / TOKENIZER

    @property
    def reader(self) -> PromptReader:
        """Makes prompts of sources, as in training."""
        content = self.tokenizer_file.read_text(encoding="utf-8")
        return PromptReader(content, self.prompt, max_tokens=self.max_tokens)

    @property
    def module(self) -> PreTrainedModel:
        """The trained weights, float32, in evaluation mode; loaded anew each time."""
        with Quiet():
            model = AutoModelForCausalLM.from_pretrained(self.network, dtype=torch.float32)
        return model.eval()


def save_writer(
    folder: Path,
    learnt: Start,
    *,
    prompt: Prompt,
    max_tokens: int,
    facts: Mapping[str, Any],
) -> None:
    """Write the writer's folder; ``student.json`` comes last.

    Args:
        folder: of the student.
        learnt: the model that a training started from, which has learnt in the meantime.
        prompt: what stands around a source.
        max_tokens: tokens read of a source.
        facts: how it was trained, ``identity`` among them.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    network = folder / _NETWORK
    try:
        with Quiet():
            learnt.model.save_pretrained(network)
            learnt.tokenizer.save_pretrained(network)
    except OSError as error:
        raise storage_error(error, network) from error
    files = sorted(file for file in network.iterdir() if file.is_file())
    card = {
        "version": _VERSION,
        "prompt": prompt.to_json(),
        "max_tokens": max_tokens,
        "base": learnt.facts,
        "facts": facts,
        "sha256": {str(file.relative_to(folder)): sha256_of(file) for file in files},
    }
    write_json(folder / CARD, card)


def load_writer(folder: Path) -> WritingStudent:
    """The writer that `save_writer` wrote. Needs no base: every weight is in the folder.

    Raises:
        TrainingError: the folder holds no finished writer, or a file of it was damaged.
    """
    card = whole_card(folder)
    return WritingStudent(
        network=folder / _NETWORK,
        prompt=Prompt.from_json(card["prompt"]),
        max_tokens=card["max_tokens"],
        base=card["base"],
        facts=card["facts"],
    )
