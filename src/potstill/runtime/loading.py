"""`load_model`: the right class for a model folder, whatever its task."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, overload

from potstill.data.example import Input, Prediction
from potstill.errors import ModelError
from potstill.runtime.folder import CARD_FILE, read_card
from potstill.runtime.model import SelfCheck

_HOMES = {
    "classification": ("model", "Model"),
    "multilabel": ("model", "Model"),
    "extraction": ("extraction.extractor", "Extractor"),
    "abstractive": ("writer", "Writer"),
    "extractive": ("picker", "Picker"),
}
"""Where the class for a type of task, or for a way of making texts, is to be found."""


class Loaded(Protocol):
    """What every model that was loaded from a folder can do; a `Predictor`."""

    workers: int

    @property
    def name(self) -> str:
        """The task's name."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in their one fixed order; field names of an extraction, none of texts."""
        ...

    @property
    def multilabel(self) -> bool:
        """Whether an answer is a tuple of labels."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of an input at once."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """Everything that ``model.json`` says."""
        ...

    @overload
    def predict(self, inputs: str | Mapping[str, str], /) -> Prediction: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]: ...

    def predict(self, inputs: Input | Sequence[Input], /) -> Prediction | list[Prediction]:
        """Answer one input, or each input of a sequence in its order."""
        ...

    def stream(self, inputs: Iterable[Input]) -> Iterator[Prediction]:
        """Answer an iterable of any length, in order and in bounded memory."""
        ...

    def count_tokens(self, value: Input) -> int:
        """Tokens that the model reads of an input."""
        ...

    def self_check(self) -> SelfCheck:
        """Compare this machine's answers to the probes with those of the export."""
        ...


def load_model(folder: str | Path, *, workers: int | None = None) -> Loaded:
    """Load a model folder of any task, after checking every byte of it.

    Args:
        folder: a folder that an export wrote.
        workers: threads for several inputs; None is one for each core that this process may
            use.

    Raises:
        ModelError: not a model folder, another format version, a type that this version does
            not know, a file missing or damaged.
        MissingExtraError: the package that runs such a model is not installed.
        ValueError: ``workers`` is less than one.
    """
    folder = Path(folder)
    card = read_card(folder)
    kind = card.document.get("mode") if card.kind == "generation" else card.kind
    home = _HOMES.get(str(kind))
    if home is None:
        raise ModelError(
            f"this version knows no models of the type {kind!r}.",
            where=str(folder / CARD_FILE),
            hint="Install the version of Potstill that wrote the model.",
        )
    module, name = home
    found = getattr(importlib.import_module(f"potstill.runtime.{module}"), name)
    return found.load(folder, workers=workers)
