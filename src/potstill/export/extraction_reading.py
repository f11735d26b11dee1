"""Development documents as the trained weights read them, and as a graph reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example, Prediction, document_of
from potstill.data.extraction import Extraction
from potstill.data.values import value_key
from potstill.errors import MissingExtraError
from potstill.runtime.extraction.decision import ExtractionDecision
from potstill.runtime.extraction.gather import LEAST_LOGIT, Found, Gathering
from potstill.runtime.extraction.mentions import find_mentions
from potstill.runtime.extraction.values import ValueReader
from potstill.runtime.extraction.windows import Window, WindowReader

if TYPE_CHECKING:
    from torch import nn

Score = Callable[[list[int]], NDArray[np.float32]]
"""Logits (token, width, field) of the token ids of a window."""

FoundByField = Mapping[str, Sequence[Found]]
"""The values that a document may hold, by field."""


@dataclass(frozen=True, slots=True)
class Document:
    """A development document, cut into windows.

    Attributes:
        example: the row.
        windows: all of it.
    """

    example: Example
    windows: Sequence[Window]


def cut_documents(
    rows: Iterable[Example], reader: WindowReader, *, most_windows: int
) -> list[Document]:
    """The first of some documents, cut into windows: whole ones, at least one.

    Args:
        rows: in the order in which they are wanted.
        reader: cuts them.
        most_windows: no further document is taken once there are so many.
    """
    taken: list[Document] = []
    windows = 0
    for row in rows:
        if windows >= most_windows:
            break
        taken.append(Document(row, list(reader.read(row.input))))
        windows += len(taken[-1].windows)
    return taken


def read_documents(
    documents: Iterable[Document],
    score: Score,
    values: ValueReader,
    *,
    step: Callable[[], None] | None = None,
) -> list[FoundByField]:
    """The values that each document may hold.

    Args:
        documents: cut into windows.
        score: the trained weights, or a graph.
        values: reads values from evidence; its fields stand in the order of the logits.
        step: called after each window.
    """
    found: list[FoundByField] = []
    for document in documents:
        gathering = Gathering()
        for window in document.windows:
            gathering.add(find_mentions(score(window.ids), window, values, least=LEAST_LOGIT))
            if step is not None:
                step()
        found.append(gathering.found(document_of(document.example.input)))
    return found


def trained_score(module: nn.Module) -> Score:
    """What the trained weights say of one unpadded window.

    Args:
        module: ``forward(input_ids, attention_mask) -> logits``; it is left in evaluation mode.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train") from error

    module.eval()

    def score(ids: list[int]) -> NDArray[np.float32]:
        tokens = torch.tensor([ids])
        with torch.inference_mode():
            return module(tokens, torch.ones_like(tokens))[0].float().numpy()

    return score


@dataclass(frozen=True, slots=True)
class Difference:
    """How often two readings of the same documents differ.

    Attributes:
        answers: share of the answers, one a document and field, that are not the same values.
        documents: share of the documents with such an answer.
        confidence: the largest difference of an answer's confidence among those that agree.
    """

    answers: float
    documents: float
    confidence: float


def compare(
    ours: Sequence[FoundByField], trained: Sequence[FoundByField], decision: ExtractionDecision
) -> Difference:
    """Hold what a graph found against what the trained weights found.

    Args:
        ours: of each document.
        trained: of the same documents.
        decision: makes answers of both.
    """
    differs = np.zeros((len(trained), len(decision.fields)), dtype=np.bool_)
    apart = 0.0
    for row, (one, other) in enumerate(zip(ours, trained, strict=True)):
        here, there = decision.answer(one), decision.answer(other)
        for column, name in enumerate(decision.fields):
            differs[row, column] = _keys(here, name) != _keys(there, name)
            if not differs[row, column]:
                apart = max(apart, abs((here.scores or {})[name] - (there.scores or {})[name]))
    return Difference(float(differs.mean()), float(differs.any(axis=1).mean()), apart)


def _keys(prediction: Prediction, name: str) -> set[str]:
    assert isinstance(prediction.target, Extraction)
    return {value_key(value.value) for value in prediction.target.of(name)}
