"""`Extractor`: a model folder at work that reads values of fields from documents of any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from potstill.data.example import Input, Prediction, document_of, target_to_json
from potstill.data.values import Convention
from potstill.errors import ModelError
from potstill.runtime.cores import cores
from potstill.runtime.extraction.decision import ExtractionDecision
from potstill.runtime.extraction.gather import LEAST_LOGIT, Gathering
from potstill.runtime.extraction.mentions import Mention, find_mentions
from potstill.runtime.extraction.values import ValueReader
from potstill.runtime.extraction.windows import Window, WindowReader
from potstill.runtime.folder import (
    CARD_FILE,
    GRAPH_FILE,
    TOKENIZER_FILE,
    Card,
    read_folder,
    reading_card,
)
from potstill.runtime.model import SelfCheck
from potstill.runtime.reading import check_input
from potstill.runtime.session import open_session, run_one
from potstill.runtime.stream import map_in_order
from potstill.spec.extraction import FieldSpec, WindowSpec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

_CHUNK = 2
"""Windows a task of a thread. One of 256 tokens takes 30 ms, and a document should use all
threads from its first page on; that a short text shares a task with its neighbour saves some."""

_AT_ONCE = 3
"""Two windows and the end of a document: so little is read in the caller's own thread, since
handing it to another and waiting may take longer than a short text itself."""


class Extractor:
    """A student that ships and extracts, loaded from its folder: a `Predictor`.

    A document is read in windows, whole, whatever its length; each window is run by itself and
    unpadded. So the same document gets the same answer, bit for bit, alone or among others, in
    any order and from any thread. Safe to share between threads.

    Args:
        card: what ``model.json`` says.
        windows: cuts documents into what the graph reads.
        session: runs the graph.
        decision: makes the answer of what was found.
        values: reads the values of fields from evidence.
        workers: windows run at the same time, be they of one document or of several.
    """

    def __init__(
        self,
        card: Card,
        windows: WindowReader,
        session: InferenceSession,
        decision: ExtractionDecision,
        values: ValueReader,
        *,
        workers: int,
    ) -> None:
        self._card = card
        self._windows = windows
        self._session = session
        self._decision = decision
        self._values = values
        self.workers = workers

    @classmethod
    def load(cls, folder: str | Path, *, workers: int | None = None) -> Extractor:
        """Load a model folder, after checking every byte of it.

        Args:
            folder: a folder that an export wrote.
            workers: threads for windows; None is one for each core that this process may use.

        Raises:
            ModelError: not the folder of a model that extracts, another format version, a file
                missing or damaged.
            ValueError: ``workers`` is less than one.
        """
        if workers is not None and workers < 1:
            raise ValueError("workers must be at least 1")
        folder = Path(folder)
        contents = read_folder(folder)
        document = contents.card.document
        with reading_card(folder / CARD_FILE):
            decision = ExtractionDecision.from_json(document)
            conventions = {
                name: Convention.from_json(row) for name, row in document["conventions"].items()
            }
            windows = WindowSpec(**document["windows"])
        tokenizer = _tokenizer(contents.tokenizer, folder / TOKENIZER_FILE)
        return cls(
            contents.card,
            window_reader(tokenizer, windows),
            open_session(contents.graph, where=str(folder / GRAPH_FILE)),
            decision,
            ValueReader(decision.fields, conventions),
            workers=workers or cores(),
        )

    @property
    def name(self) -> str:
        """The task's name."""
        return self._card.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the fields in their one fixed order."""
        return tuple(self._decision.fields)

    @property
    def multilabel(self) -> bool:
        """Never: an answer is values of fields."""
        return False

    @property
    def fields(self) -> Mapping[str, FieldSpec]:
        """What is looked for, by name."""
        return self._decision.fields

    @property
    def max_tokens(self) -> int:
        """Tokens of a window: what the model reads at once."""
        return int(self._card.document["max_tokens"])

    @property
    def card(self) -> Mapping[str, Any]:
        """Everything that ``model.json`` says."""
        return self._card.document

    @overload
    def predict(self, inputs: str | Mapping[str, str], /) -> Prediction: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]: ...

    def predict(self, inputs: Input | Sequence[Input], /) -> Prediction | list[Prediction]:
        """Answer one document, or each document of a sequence in its order.

        Args:
            inputs: a text, named fields of which the first is the document, or a sequence of
                them; an empty sequence gives an empty list.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        if isinstance(inputs, str | Mapping):
            return next(self.stream([inputs]))
        return list(self.stream(inputs))

    def stream(self, inputs: Iterable[Input]) -> Iterator[Prediction]:
        """Answer an iterable of any length, in order, on all workers and in bounded memory.

        Some windows are read ahead of the answers, be they of one document or of several.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        gathering = Gathering()
        for read in self._scanned(inputs):
            if isinstance(read, _End):
                found = gathering.found(read.document)
                yield self._decision.answer(found, truncated=read.context_cut)
                gathering = Gathering()
            else:
                gathering.add(read)

    def count_tokens(self, value: Input) -> int:
        """Tokens that the model reads of an input, those of an overlap each time.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        check_input(value)
        return sum(len(window.ids) for window in self._windows.read(value))

    def self_check(self) -> SelfCheck:
        """Answer the probes of ``model.json`` and compare with the answers recorded there."""
        probes: list[dict[str, Any]] = self._card.document["probes"]
        difference, flips = 0.0, 0
        for probe in probes:
            here = self.predict(probe["text"])
            pairs = zip((here.scores or {}).values(), probe["scores"], strict=True)
            difference = max(difference, *(abs(a - b) for a, b in pairs))
            flips += said(here) != probe["said"]
        return SelfCheck(len(probes), difference, flips)

    def _scanned(self, inputs: Iterable[Input]) -> Iterator[list[Mention] | _End]:
        """The mentions of each window of each document, and after them its end."""
        windows = self._read(inputs)
        if self.workers == 1:
            return map(self._scan, windows)
        first = list(islice(windows, _AT_ONCE + 1))
        if len(first) <= _AT_ONCE:
            return map(self._scan, first)
        return map_in_order(
            self._scan,
            chain(first, windows),
            pool=self._pool,
            workers=self.workers,
            chunk=_CHUNK,
        )

    def _read(self, inputs: Iterable[Input]) -> Iterator[Window | _End]:
        for value in inputs:
            check_input(value)
            context_cut = False
            for window in self._windows.read(value):
                context_cut = window.context_cut
                yield window
            yield _End(document_of(value), context_cut)

    def _scan(self, window: Window | _End) -> list[Mention] | _End:
        if isinstance(window, _End):
            return window
        logits = run_one(self._session, window.ids)
        return find_mentions(logits, window, self._values, least=LEAST_LOGIT)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers, thread_name_prefix="potstill")


def window_reader(tokenizer: Tokenizer, windows: WindowSpec) -> WindowReader:
    """What cuts documents as a task's ``windows`` says."""
    return WindowReader(
        tokenizer,
        tokens=windows.tokens,
        overlap=windows.overlap,
        widest=windows.widest_value,
    )


def said(prediction: Prediction) -> Any:
    """The values of a prediction as JSON, without confidence: what a probe records."""
    shown = target_to_json(prediction.target)
    return {
        name: [{key: part for key, part in one.items() if key != "confidence"} for one in found]
        for name, found in shown["fields"].items()
    }


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a document: all its windows were before."""

    document: str
    context_cut: bool


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
