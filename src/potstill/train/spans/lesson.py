"""What an extraction learns from: windows of documents, and the values that stand in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from potstill.data.example import Example
from potstill.data.extraction import Extraction
from potstill.data.places import Place, learn_conventions, places_of
from potstill.data.values import Convention
from potstill.errors import TrainingError
from potstill.runtime.extraction.windows import Window, WindowReader
from potstill.spec.extraction import FieldSpec
from potstill.train.encoder import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_EMPTY = 0.25
"""Windows of a document without any value that are learnt from, for each one that holds some."""


@dataclass(frozen=True, slots=True, eq=False)
class SpanRow:
    """A window to learn from.

    Attributes:
        window: what the network reads.
        values: of each value that begins in what the window owns: index in its token ids,
            tokens after the first one, field (value, 3).
        told: whether the document's absence of a value says anything, by field (field,).
    """

    window: Window
    values: NDArray[np.int64]
    told: NDArray[np.bool_]


def target_of(example: Example) -> Extraction:
    """The fields that a row wants.

    Raises:
        TrainingError: it wants something else, or nothing.
    """
    if isinstance(example.target, Extraction):
        return example.target
    raise TrainingError(
        f"the row {example.id} has no fields to learn from.",
        hint="Give every training row the values of its fields, or an empty object.",
    )


def span_rows(
    example: Example,
    places: Iterable[Place],
    *,
    reader: WindowReader,
    fields: Sequence[str],
    widest: int,
) -> list[SpanRow]:
    """The windows of a document with the values in them.

    Args:
        example: the document.
        places: of its values; one of more tokens than `widest` is left out.
        reader: cuts the windows.
        fields: names in the order of the logits.
        widest: tokens of the longest value.
    """
    unsure = target_of(example).unsure
    told = np.array([name not in unsure for name in fields])
    places = list(places)
    rows: list[SpanRow] = []
    for window in reader.read(example.input):
        values = sorted(
            {
                (window.first + first, last - first, fields.index(place.field))
                for place in places
                for first, last in [_tokens_of(place, window)]
                if window.owned[0] <= first < window.owned[1] and 0 <= last - first < widest
            }
        )
        rows.append(SpanRow(window, np.array(values, np.int64).reshape(-1, 3), told))
    return rows


def _tokens_of(place: Place, window: Window) -> tuple[int, int]:
    """First and last token of the document, in this window, that share a character with a place."""
    first = int(np.searchsorted(window.ends, place.start, side="right"))
    last = int(np.searchsorted(window.starts, place.end, side="left")) - 1
    return first, last


def _fits(place: Place, rows: Iterable[SpanRow], widest: int) -> bool:
    """Whether a place has few enough tokens to be learnt."""
    for row in rows:
        first, last = _tokens_of(place, row.window)
        if row.window.owned[0] <= first < row.window.owned[1]:
            return last - first < widest
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is learnt from.

    Attributes:
        documents: the windows of each document that are learnt from.
        conventions: how the values of a field are recorded, by field.
        located: of each field how many ``values`` are recorded, how many of them ``located`` in
            their documents, how many of these are too ``wide`` to be learnt, and how many
            ``mentions`` there are to learn from.
    """

    documents: Sequence[Sequence[SpanRow]]
    conventions: Mapping[str, Convention]
    located: Mapping[str, Mapping[str, int]]

    @property
    def rows(self) -> list[SpanRow]:
        """The windows of all documents."""
        return [row for document in self.documents for row in document]

    def of(self, documents: NDArray[np.int64]) -> Lesson:
        """The same of some documents.

        Args:
            documents: numbers of them.
        """
        return replace(self, documents=[self.documents[at] for at in documents])


def read_lesson(
    examples: Sequence[Example],
    *,
    fields: Mapping[str, FieldSpec],
    reader: WindowReader,
    widest: int,
    seed: int,
    progress: Progress | None = None,
) -> Lesson:
    """Find the values in their documents, and cut these into windows to learn from.

    Args:
        examples: documents with their fields.
        fields: in the order of the logits.
        reader: cuts the windows.
        widest: tokens of the longest value.
        seed: of the windows without a value.
        progress: called as ("locate", documents done, documents).

    Raises:
        TrainingError: there is nothing to learn from.
    """
    conventions = learn_conventions(examples, fields)
    names = tuple(fields)
    located = {name: {"values": 0, "located": 0, "wide": 0, "mentions": 0} for name in fields}
    documents: list[list[SpanRow]] = []
    for done, example in enumerate(examples, 1):
        found = places_of(example, fields, conventions)
        where = [place for place, _ in found]
        rows = span_rows(example, where, reader=reader, fields=names, widest=widest)
        documents.append(rows)
        mentions = np.concatenate([row.values[:, 2] for row in rows]) if rows else np.empty(0)
        narrow = {id(value) for place, value in found if _fits(place, rows, widest)}
        for column, name in enumerate(names):
            values = {id(value) for place, value in found if place.field == name}
            located[name]["values"] += len(target_of(example).of(name))
            located[name]["located"] += len(values)
            located[name]["wide"] += len(values - narrow)
            located[name]["mentions"] += int((mentions == column).sum())
        if progress is not None:
            progress("locate", done, len(examples))
    if not any(count["mentions"] for count in located.values()):
        raise TrainingError(
            "no value of any field stands in a training document.",
            hint="Check that the values of 'data.gold' are words of their documents, and that "
            "'windows.widest_value' is not too small for them.",
        )
    kept = worth_learning(documents, np.random.default_rng(seed))
    return Lesson(kept, conventions, located)


def worth_learning(
    documents: Iterable[Sequence[SpanRow]], order: np.random.Generator
) -> list[list[SpanRow]]:
    """Of each document all windows that hold a value, and a few of those that hold none.

    A contract says what is looked for on a few of its pages: the others teach less than they
    cost. A document of one window is always learnt from.

    Args:
        documents: the windows of each.
        order: draws the windows without a value.
    """
    kept: list[list[SpanRow]] = []
    for rows in documents:
        full = [row for row in rows if len(row.values)]
        empty = [row for row in rows if not len(row.values)]
        most = max(1, round(_MOST_EMPTY * len(full)))
        chosen = order.permutation(len(empty))[:most]
        kept.append([*full, *(empty[at] for at in sorted(chosen.tolist()))])
    return kept


def span_targets(
    rows: Sequence[SpanRow], tokens: int, widest: int, fields: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch of windows should say, and which of its runs of tokens count.

    Counted are the runs that begin in what the window owns and end in the document, for the
    fields of which the row tells something.

    Args:
        rows: of the batch.
        tokens: to which the batch is padded.
        widest: tokens of the longest run.
        fields: number of them.

    Returns:
        two tensors (batch, token, width, field): targets float32, counted bool.
    """
    wanted = torch.zeros(len(rows), tokens, widest, fields)
    counted = torch.zeros(len(rows), tokens, widest, fields, dtype=torch.bool)
    for index, row in enumerate(rows):
        first, (begins, ends) = row.window.first, row.window.owned
        starts = torch.arange(begins, ends)
        inside = starts[:, None] + torch.arange(widest) < len(row.window.ends)
        told = torch.from_numpy(row.told)
        counted[index, first + begins : first + ends] = inside[:, :, None] & told
        token, width, field = torch.from_numpy(row.values).unbind(dim=1)
        wanted[index, token, width, field] = 1.0
    return wanted, counted


def span_losses(logits: torch.Tensor, wanted: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Loss of each window (batch,): the sum of the sigmoid losses of all runs that count.

    Every run is a question of its own, so the logits are log-odds, and values of two fields may
    share words.

    Args:
        logits: (batch, token, width, field).
        wanted: the same shape, ones and zeros.
        counted: the same shape.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return losses.where(counted, 0.0).sum(dim=(1, 2, 3))
