"""A training's state on disk: whole or not at all, and only for the training that wrote it."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import torch

from potstill.data import Example
from potstill.data.files import writing
from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec


@dataclass(frozen=True)
class Checkpoint:
    """One file that holds the state of a training between two steps.

    Attributes:
        file: where.
        identity: of the training; a state with another identity is not gone on with.
    """

    file: Path
    identity: str

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file; a kill leaves either the old state or the new one.

        Args:
            state: tensors, numbers, strings, and lists and dictionaries of them.

        Raises:
            StorageError: the disk is full, or the folder may not be written.
        """
        with writing(self.file) as stream:
            torch.save({"identity": self.identity, "state": state}, stream)

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; None where there is none for this training.

        Raises:
            TrainingError: the file is damaged, or holds more than tensors and plain values.
        """
        if not self.file.is_file():
            return None
        try:
            # weights_only: whatever the file holds, nothing in it can run.
            found = torch.load(self.file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise TrainingError(
                "the checkpoint cannot be read.",
                where=str(self.file),
                hint="Remove it; the training then starts from the beginning.",
            ) from error
        if found["identity"] != self.identity:
            return None
        return cast("dict[str, Any]", found["state"])

    def clear(self) -> None:
        """Remove the file: the training has ended."""
        self.file.unlink(missing_ok=True)


def identity_of(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    labels: Sequence[str],
    multilabel: bool,
    options: StudentSpec,
    seed: int,
    base_sha256: str,
) -> str:
    """What makes two trainings the same one, as hexadecimal digits.

    The options of the export are left out: changing them must not cost a training.
    """
    digest = hashlib.sha256()
    for part in (train, dev):
        for example in part:
            soft = sorted((example.soft_target or {}).items())
            # repr spells out what UTF-8 cannot encode, a lone surrogate in a text.
            digest.update(repr((example.text, example.target, soft)).encode())
        digest.update(b"\0")
    ours = options.model_dump(exclude={"precision", "max_disagreement"})
    rest = [list(labels), multilabel, ours, seed, base_sha256]
    digest.update(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()
