"""`Model`: a model folder at work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.data.example import Input, Prediction
from potstill.errors import ModelError
from potstill.runtime.answering import Answering
from potstill.runtime.cores import cores
from potstill.runtime.folder import CARD_FILE, GRAPH_FILE, TOKENIZER_FILE, LabelCard, read_folder
from potstill.runtime.reading import Reader
from potstill.runtime.session import open_session, run_one

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """How this machine's arithmetic agrees with that of the machine of the export.

    Processors without int8 dot products may saturate the sum of two products of unsigned and
    signed bytes, and answer differently without an error. Sums of floats in another order move
    a score a little on any machine; an answer that flips is a reason to export as fp32.

    Attributes:
        probes: inputs compared.
        max_score_difference: the largest difference of a label's probability.
        label_flips: probes whose answer is another one here.
    """

    probes: int
    max_score_difference: float
    label_flips: int


class Model(Answering):
    """A student that ships, loaded from its folder: a `Predictor`.

    The same input gets the same answer, bit for bit, alone or among others, in any order and
    from any thread: every text is run by itself, unpadded. Safe to share between threads.

    Args:
        card: what ``model.json`` says.
        reader: makes token ids of an input.
        session: runs the graph.
        workers: texts run at the same time by `stream` and by `predict` on a sequence.
    """

    def __init__(
        self, card: LabelCard, reader: Reader, session: InferenceSession, *, workers: int
    ) -> None:
        self._card = card
        self._reader = reader
        self._session = session
        self._decision = card.decision
        self.workers = workers

    @classmethod
    def load(cls, folder: str | Path, *, workers: int | None = None) -> Model:
        """Load a model folder, after checking every byte of it.

        Args:
            folder: a folder that an export wrote.
            workers: threads for several inputs; None is one for each core that this process
                may use.

        Raises:
            ModelError: not a model folder, another format version, a file missing or damaged.
            ValueError: ``workers`` is less than one.
        """
        if workers is not None and workers < 1:
            raise ValueError("workers must be at least 1")
        folder = Path(folder)
        contents = read_folder(folder)
        return cls(
            LabelCard.of(contents.card, folder / CARD_FILE),
            load_reader(contents.tokenizer, folder / TOKENIZER_FILE),
            open_session(contents.graph, where=str(folder / GRAPH_FILE)),
            workers=workers or cores(),
        )

    @property
    def name(self) -> str:
        """The task's name."""
        return self._card.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in their one fixed order."""
        return self._decision.labels

    @property
    def multilabel(self) -> bool:
        """Whether an answer is a tuple of labels."""
        return self._decision.multilabel

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of an input."""
        return self._reader.max_tokens

    @property
    def card(self) -> Mapping[str, Any]:
        """Everything that ``model.json`` says."""
        return self._card.document

    def count_tokens(self, value: Input) -> int:
        """Tokens that the model reads of an input, at most `max_tokens`.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        return len(self._reader.read(value)[0])

    def self_check(self) -> SelfCheck:
        """Answer the probes of ``model.json`` and compare with the answers recorded there."""
        difference, flips = 0.0, 0
        for probe in self._card.probes:
            here = list((self._answer(probe.text).scores or {}).values())
            difference = max(
                difference, *(abs(a - b) for a, b in zip(here, probe.scores, strict=True))
            )
            flips += self._decision.decide(here)[0] != self._decision.decide([*probe.scores])[0]
        return SelfCheck(len(self._card.probes), difference, flips)

    def _answer(self, value: Input) -> Prediction:
        ids, truncated = self._reader.read(value)
        return self._decision.answer(run_one(self._session, ids), truncated=truncated)


def load_reader(content: bytes, path: Path) -> Reader:
    """A reader over the content of ``tokenizer.json``.

    Args:
        content: its bytes.
        path: where they lie, for the error.

    Raises:
        ModelError: this tokenizers cannot use it.
    """
    from tokenizers import Tokenizer

    try:
        return Reader(Tokenizer.from_buffer(content))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ModelError(
            f"{path.name} cannot be used: {error}",
            where=str(path),
            hint="Export the model again, or install a newer tokenizers.",
        ) from error
