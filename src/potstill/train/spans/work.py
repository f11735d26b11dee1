"""Extraction as the work of the training loop: batches, losses, and the score on documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from potstill.data.example import Example, document_of
from potstill.data.extraction import Extraction
from potstill.data.values import Convention, value_key
from potstill.runtime.extraction.decision import ExtractionDecision
from potstill.runtime.extraction.gather import LEAST_LOGIT, gather
from potstill.runtime.extraction.mentions import Mention, find_mentions
from potstill.runtime.extraction.values import ValueReader
from potstill.runtime.extraction.windows import Window, WindowReader
from potstill.spec.extraction import FieldSpec
from potstill.train.encoder import Progress, lower_precision
from potstill.train.spans.lesson import SpanRow, span_losses, span_targets, target_of
from potstill.train.tokens import pad, sorted_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH_TOKENS = 4096
"""Tokens a batch where nothing is learnt."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows, and what a model reads of them: token ids, or the states of a frozen encoder.

    Attributes:
        held: the windows.
        pad_id: id of the padding token.
        states: the encoder's, of the tokens of all windows one after the other (token,
            dimension) float16; None for token ids.
    """

    held: Sequence[Window]
    pad_id: int
    states: NDArray[np.float16] | None = None

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each window."""
        return [len(window.ids) for window in self.held]

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """Where the tokens of each window begin among those of all windows (window + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def batch(
        self, chosen: NDArray[np.int64], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the model takes: token ids (batch, token) or states (batch, token, dimension), and the mask."""
        ids, mask = pad([self.held[at].ids for at in chosen], self.pad_id)
        if self.states is None:
            return ids.to(device), mask.to(device)
        states = torch.zeros(*ids.shape, self.states.shape[1])
        for index, at in enumerate(chosen):
            seen = self.states[self.begins[at] : self.begins[at + 1]]
            states[index, : len(seen)] = torch.from_numpy(seen.astype(np.float32))
        return states.to(device), mask.to(device)

    def answers(
        self, model: nn.Module, progress: Progress | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Of every window its number and what the model says of its tokens (token, …), in any order."""
        done = 0
        device = next(model.parameters()).device
        was_training = model.training
        model.eval()
        with torch.inference_mode(), lower_precision(device):
            for chosen in sorted_batches(self.lengths, _BATCH_TOKENS):
                logits = model(*self.batch(chosen, device)).float().cpu().numpy()
                for index, at in enumerate(chosen.tolist()):
                    yield at, logits[index, : self.lengths[at]]
                done += len(chosen)
                if progress is not None:
                    progress("embed", done, len(self.held))
        model.train(was_training)


@dataclass(frozen=True, eq=False)
class Documents:
    """Documents that judge a model.

    Attributes:
        examples: with the fields that a person or a teacher found.
        windows: of all of them.
        owners: the document of each window, as an index of `examples`.
        fields: in the order of the logits.
        conventions: how the values of a field are recorded.
    """

    examples: Sequence[Example]
    windows: Windows
    owners: Sequence[int]
    fields: Mapping[str, FieldSpec]
    conventions: Mapping[str, Convention]

    @classmethod
    def of(
        cls,
        examples: Sequence[Example],
        *,
        reader: WindowReader,
        pad_id: int,
        fields: Mapping[str, FieldSpec],
        conventions: Mapping[str, Convention],
    ) -> Documents:
        """Documents, cut into windows."""
        cut = [list(reader.read(example.input)) for example in examples]
        held = [window for windows in cut for window in windows]
        owners = [at for at, windows in enumerate(cut) for _ in windows]
        return cls(examples, Windows(held, pad_id), owners, fields, conventions)

    def mentions(self, model: nn.Module) -> list[list[Mention]]:
        """What a model finds in each document."""
        found: list[list[Mention]] = [[] for _ in self.examples]
        read = ValueReader(self.fields, self.conventions)
        for at, logits in self.windows.answers(model):
            window = self.windows.held[at]
            found[self.owners[at]] += find_mentions(logits, window, read, least=LEAST_LOGIT)
        return found

    def counts(self, model: nn.Module) -> NDArray[np.int64]:
        """Of each document the values answered rightly, answered, and wanted (document, 3)."""
        decision = ExtractionDecision.plain(self.fields)
        counts = np.zeros((len(self.examples), 3), np.int64)
        for at, (example, mentions) in enumerate(
            zip(self.examples, self.mentions(model), strict=True)
        ):
            candidates = gather(mentions, document_of(example.input))
            said = decision.answer(candidates).target
            assert isinstance(said, Extraction)
            counts[at] = compared(said, target_of(example))
        return counts


def compared(said: Extraction, wanted: Extraction) -> tuple[int, int, int]:
    """Values that are right, that are said, and that are wanted.

    A wanted value with a place asks for exactly that place, one without for the value. Fields of
    which the wanted side is unsure do not count.
    """
    right = answered = expected = 0
    for name in {*said.fields, *wanted.fields} - set(wanted.unsure):
        asked, told = wanted.of(name), said.of(name)
        if any(value.start is not None for value in asked):
            keys = {(value.start, value.end) for value in asked}
            found = {(value.start, value.end) for value in told}
        else:
            keys = {value_key(value.value) for value in asked}
            found = {value_key(value.value) for value in told}
        right += len(keys & found)
        answered += len(found)
        expected += len(keys)
    return right, answered, expected


def micro_f1(counts: NDArray[np.int64]) -> float:
    """F1 over all values of all documents; one where there is nothing to say and nothing is said."""
    right, answered, expected = counts.sum(axis=0).tolist()
    return 2 * right / (answered + expected) if answered + expected else 1.0


def row_f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 of each document (document,); one where there is nothing to say and nothing is said."""
    both = counts[:, 1] + counts[:, 2]
    return np.where(both > 0, 2 * counts[:, 0] / np.maximum(both, 1), 1.0)


class SpanWork:
    """Windows to learn from, documents to be judged by.

    Args:
        rows: to learn from.
        windows: the same, as the model reads them.
        documents: to be judged by; with none of them every epoch is as good as the last.
    """

    def __init__(self, rows: Sequence[SpanRow], windows: Windows, documents: Documents) -> None:
        self.rows, self.windows, self.documents = rows, windows, documents
        self.lengths = windows.lengths
        self._fields = len(documents.fields)

    def losses(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """See `potstill.train.loop.Work`."""
        device = next(model.parameters()).device
        inputs, mask = self.windows.batch(rows, device)
        with lower_precision(device):
            logits = model(inputs, mask).float()
        chosen = [self.rows[at] for at in rows]
        wanted, counted = span_targets(chosen, logits.shape[1], logits.shape[2], self._fields)
        return span_losses(logits, wanted.to(device), counted.to(device))

    def score(self, model: nn.Module) -> float:
        """F1 over all values of the development documents."""
        return micro_f1(self.documents.counts(model)) if self.documents.examples else 0.0


def with_states(
    windows: Windows, encoder: nn.Module, file: Path, progress: Progress | None = None
) -> Windows:
    """The windows as a frozen encoder sees them, once for all epochs.

    The states lie in a file, which the system keeps in memory as far as there is room: those of
    a thousand contracts are gigabytes.

    Args:
        windows: of token ids.
        encoder: a model of ``transformers``.
        file: where the states go.
        progress: called as ("embed", windows done, windows).
    """
    states: NDArray[np.float16] | None = None
    for at, seen in windows.answers(_States(encoder), progress):
        if states is None:
            shape = (int(windows.begins[-1]), seen.shape[1])
            states = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
        states[windows.begins[at] : windows.begins[at + 1]] = seen
    return replace(windows, states=states)


class _States(nn.Module):
    """An encoder that gives its last states."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
