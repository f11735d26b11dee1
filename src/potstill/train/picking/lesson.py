"""What a picker learns from: how much of the wanted text each sentence of a document says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from potstill.data.example import Example, Text, document_of
from potstill.data.rouge import rouge
from potstill.data.sentences import Sentence, split_sentences
from potstill.errors import TrainingError
from potstill.runtime.extraction.windows import Window, WindowReader
from potstill.runtime.picking import PickDecision, sentence_means
from potstill.train.encoder import Progress, lower_precision
from potstill.train.picking.network import evaluating
from potstill.train.tokens import pad, sorted_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_TOKENS = 4096
"""Tokens a batch where nothing is learnt."""


@dataclass(frozen=True, eq=False)
class PickRow:
    """A document to learn from, or to be judged by.

    Attributes:
        example: with the text that is wanted.
        sentences: of the document.
        windows: of the document, all of it.
        gains: ROUGE of each sentence alone (sentence,): the mean of ROUGE-1, 2 and L.
    """

    example: Example
    sentences: Sequence[Sentence]
    windows: Sequence[Window]
    gains: NDArray[np.float64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """First character of each sentence (sentence,)."""
        return np.array([sentence.start for sentence in self.sentences], dtype=np.int64)

    def rouge_l(self, answer: Text) -> float:
        """How well an answer does."""
        return rouge(answer.text, references_of(self.example)).rouge_l


def references_of(example: Example) -> tuple[str, ...]:
    """The texts that a row wants; each is right by itself.

    Raises:
        TrainingError: it wants something else, or nothing.
    """
    if isinstance(example.target, Text):
        return (example.target.text, *example.target.references)
    raise TrainingError(
        f"the row {example.id} has no text to learn from.",
        hint="Give every training row a text as its target.",
    )


def pick_rows(
    examples: Sequence[Example], reader: WindowReader, progress: Progress | None = None
) -> list[PickRow]:
    """Documents with their windows, and what each sentence is worth."""
    rows: list[PickRow] = []
    for done, example in enumerate(examples, 1):
        sentences = split_sentences(document_of(example.input))
        wanted = references_of(example)
        told = [rouge(sentence.text, wanted) for sentence in sentences]
        gains = np.array([(one.rouge_1 + one.rouge_2 + one.rouge_l) / 3 for one in told])
        rows.append(PickRow(example, sentences, list(reader.read(example.input)), gains))
        if progress is not None:
            progress("compare", done, len(examples))
    return rows


def means_of(
    rows: Sequence[PickRow],
    model: nn.Module,
    *,
    pad_id: int,
    phase: str = "embed",
    progress: Progress | None = None,
) -> list[NDArray[np.float32]]:
    """What a model says of the tokens of each sentence, on average.

    Args:
        rows: documents.
        model: (input_ids, attention_mask) -> (batch, token, dimension).
        pad_id: id of the padding token.
        phase: named to `progress`.
        progress: called as (phase, windows done, windows).

    Returns:
        (sentence, dimension) of each document.
    """
    windows = [(row, window) for row in rows for window in row.windows]
    waiting: dict[int, list[tuple[Window, NDArray[np.float32]]]] = {id(row): [] for row in rows}
    found: dict[int, NDArray[np.float32]] = {}
    answers = _answers([window for _, window in windows], model, pad_id)
    for done, (at, said) in enumerate(answers, 1):
        row, window = windows[at]
        waiting[id(row)].append((window, said))
        if len(waiting[id(row)]) == len(row.windows):  # states are large: none is kept for long
            found[id(row)] = sentence_means(row.sentences, waiting.pop(id(row)))
        if progress is not None:
            progress(phase, done, len(windows))
    width = max((one.shape[1] for one in found.values()), default=1)
    return [
        found[id(row)] if id(row) in found else np.zeros((len(row.sentences), width), np.float32)
        for row in rows
    ]


def judged(
    rows: Sequence[PickRow], means: Sequence[NDArray[np.float32]], decision: PickDecision
) -> NDArray[np.float64]:
    """ROUGE-L of the answer to each document (document,).

    Args:
        rows: documents.
        means: mean score of the tokens of each sentence (sentence, 1), of each document.
        decision: makes the answers.
    """
    answers = (
        decision.answer(row.sentences, one[:, 0]) for row, one in zip(rows, means, strict=True)
    )
    return np.array([row.rouge_l(answer) for row, answer in zip(rows, answers, strict=True)])


def _answers(
    windows: Sequence[Window], model: nn.Module, pad_id: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Of every window its number and what the model says of its tokens, in any order."""
    device = next(model.parameters()).device
    for batch in sorted_batches([len(window.ids) for window in windows], _BATCH_TOKENS):
        ids, mask = pad([windows[at].ids for at in batch], pad_id)
        with evaluating(model), lower_precision(device):
            said = model(ids.to(device), mask.to(device)).float().cpu().numpy()
        for index, at in enumerate(batch.tolist()):
            yield at, said[index, : len(windows[at].ids)]


class States(nn.Module):
    """A picking network that gives the states of its tokens in place of their scores."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """States (batch, token, dimension)."""
        return self.network.states(input_ids, attention_mask)  # pyright: ignore[reportCallIssue]
