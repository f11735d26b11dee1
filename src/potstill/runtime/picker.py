"""`Picker`: a model folder at work that answers with sentences of the document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.data.example import Input, Prediction
from potstill.errors import ModelError
from potstill.runtime.answering import Answering
from potstill.runtime.cores import cores
from potstill.runtime.folder import (
    CARD_FILE,
    GRAPH_FILE,
    TOKENIZER_FILE,
    Card,
    read_folder,
    reading_card,
)
from potstill.runtime.model import SelfCheck
from potstill.runtime.picking import PickDecision, Picks, pick_reader
from potstill.runtime.reading import check_input
from potstill.runtime.session import open_session, run_one

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Picker(Answering):
    """A student that ships and picks sentences, loaded from its folder: a `Predictor`.

    It invents nothing: what it answers stands in the document, and a document without a sentence
    gets an empty text, which is deferred. A document is read in windows,
    whole, whatever its length, each window by itself; the same document gets the same answer
    alone or among others, in any order and from any thread. Safe to share between threads.

    Args:
        card: what ``model.json`` says.
        picks: scores and chooses.
        workers: documents answered at the same time by `stream` and by `predict` on a sequence.
    """

    def __init__(self, card: Card, picks: Picks, *, workers: int) -> None:
        self._card = card
        self._picks = picks
        self.workers = workers

    @classmethod
    def load(cls, folder: str | Path, *, workers: int | None = None) -> Picker:
        """Load a model folder, after checking every byte of it.

        Args:
            folder: a folder that an export wrote.
            workers: threads for several documents; None is one for each core that this process
                may use.

        Raises:
            ModelError: not the folder of a model that picks sentences, another format version,
                a file missing or damaged.
            ValueError: ``workers`` is less than one.
        """
        if workers is not None and workers < 1:
            raise ValueError("workers must be at least 1")
        folder = Path(folder)
        contents = read_folder(folder)
        picks = open_picks(
            contents.card.document,
            graph=contents.graph,
            tokenizer=contents.tokenizer,
            folder=folder,
        )
        return cls(contents.card, picks, workers=workers or cores())

    @property
    def name(self) -> str:
        """The task's name."""
        return self._card.name

    @property
    def labels(self) -> tuple[str, ...]:
        """None: an answer is a text."""
        return ()

    @property
    def multilabel(self) -> bool:
        """Never: an answer is a text."""
        return False

    @property
    def max_tokens(self) -> int:
        """Tokens of a window: what the model reads at once."""
        return int(self._card.document["max_tokens"])

    @property
    def card(self) -> Mapping[str, Any]:
        """Everything that ``model.json`` says."""
        return self._card.document

    def count_tokens(self, value: Input) -> int:
        """Tokens that the model reads of an input, those of an overlap each time.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        check_input(value)
        return sum(len(window.ids) for window in self._picks.reader.read(value))

    def self_check(self) -> SelfCheck:
        """Answer the probes of ``model.json`` and compare with the answers recorded there."""
        probes: list[dict[str, Any]] = self._card.document["probes"]
        flips = sum(self._picks.pick(probe["text"]).text != probe["said"] for probe in probes)
        return SelfCheck(len(probes), 0.0, flips)

    def _answer(self, value: Input) -> Prediction:
        check_input(value)
        text = self._picks.pick(value)
        return Prediction(text, deferred=None if text.text else "unsure")


def open_picks(
    document: Mapping[str, Any], *, graph: bytes, tokenizer: bytes, folder: Path
) -> Picks:
    """What picks sentences, out of the parts of a model folder.

    A model that writes holds the same parts, for the texts that its guards stop.

    Args:
        document: ``model.json``: its ``picks`` and ``max_tokens`` are read.
        graph: the bytes of ``model.onnx``.
        tokenizer: those of ``tokenizer.json``.
        folder: that an error names.

    Raises:
        ModelError: one of them cannot be used.
    """
    with reading_card(folder / CARD_FILE):
        decision = PickDecision.from_json(document["picks"])
        tokens = int(document["max_tokens"])
    session = open_session(graph, where=str(folder / GRAPH_FILE))
    reader = pick_reader(_tokenizer(tokenizer, folder / TOKENIZER_FILE), tokens)
    return Picks(reader, partial(run_one, session), decision)


def _tokenizer(content: bytes, path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_buffer(content)
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ModelError(
            f"{path.name} cannot be used: {error}",
            where=str(path),
            hint="Export the model again, or install a newer tokenizers.",
        ) from error
