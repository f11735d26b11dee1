"""`Writer`: a model folder that writes short texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.data.example import Input, Prediction, Text, document_of, text_of
from potstill.errors import ModelError
from potstill.runtime.answering import Answering
from potstill.runtime.cores import cores
from potstill.runtime.decoding import Decoder, Draft
from potstill.runtime.folder import CARD_FILE, Card, read_folder, reading_card
from potstill.runtime.guards import repair
from potstill.runtime.model import SelfCheck
from potstill.runtime.picker import open_picks
from potstill.runtime.picking import Picks
from potstill.runtime.prompt import Prompt, PromptReader
from potstill.runtime.reading import check_input
from potstill.runtime.session import open_session
from potstill.spec.generation import TextSpec

WRITER_GRAPH = "writer.onnx"
WRITER_WEIGHTS = "writer.onnx.data"
WRITER_TOKENIZER = "writer_tokenizer.json"

_TOKENS_PER_WORD = 2
"""Room for a text: English takes some 1.3 tokens a word, other languages more."""

_ENDING_TOKENS = 8


class Writer(Answering):
    """A student that writes, loaded from its folder: a `Predictor`.

    The same input gets the same text, alone or among others, in any order and from any thread.
    Safe to share between threads. Before a text is answered the guards of the task read it;
    what they hold back gives way to sentences of the source, which the folder's picker chooses.

    Args:
        card: what ``model.json`` says.
        reader: makes prompts.
        decoder: writes.
        picks: stands in where no sentence of a text passes the guards.
        beams: drafts that are written side by side, see `Decoder.write`.
        workers: texts written at the same time by `stream` and by `predict` on a sequence.
    """

    labels: tuple[str, ...] = ()
    multilabel = False
    turn = 1  # a text takes many times longer than its hand-over to a thread

    def __init__(
        self,
        card: Card,
        reader: PromptReader,
        decoder: Decoder,
        picks: Picks,
        *,
        beams: int,
        workers: int,
    ) -> None:
        self.name = card.name
        self.card: Mapping[str, Any] = card.document
        self.max_tokens = reader.max_tokens
        self.workers = workers
        self._spec = TextSpec.model_validate(self.card["text"])
        self._reader = reader
        self._decoder = decoder
        self._picks = picks
        self._beams = beams

    @classmethod
    def load(cls, folder: str | Path, *, workers: int | None = None) -> Writer:
        """Load a writer's folder, after checking every byte of it.

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
        document = contents.card.document
        with reading_card(folder / CARD_FILE):
            said = document["writer"]
            prompt = Prompt.from_json(said["prompt"])
            graph, tokenizer = (contents.paths[key] for key in (WRITER_GRAPH, WRITER_TOKENIZER))
            max_tokens, beams = int(said["max_tokens"]), int(said["beams"])
        picks = open_picks(
            document, graph=contents.graph, tokenizer=contents.tokenizer, folder=folder
        )
        reader = _reader(tokenizer, prompt, max_tokens)
        decoder = Decoder(open_session(graph, where=str(graph)))
        return cls(contents.card, reader, decoder, picks, beams=beams, workers=workers or cores())

    def count_tokens(self, value: Input) -> int:
        """Tokens that the model reads of an input, its instruction included.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        return len(self._reader.read(value)[0])

    def self_check(self) -> SelfCheck:
        """Write about the probes of ``model.json`` again and compare with what is recorded there.

        A probe flips where its text differs; scores are the mean probability of its tokens.
        """
        probes: list[dict[str, Any]] = self.card["probes"]
        difference, flips = 0.0, 0
        for probe in probes:
            draft, _ = self._draft(probe["text"])
            difference = max(difference, abs(draft.probability - probe["probability"]))
            flips += self._reader.text(draft.ids) != probe["wrote"]
        return SelfCheck(len(probes), difference, flips)

    def _answer(self, value: Input) -> Prediction:
        check_input(value)
        if not document_of(value).strip():
            # A language model has something to say about nothing as well.
            return Prediction(Text(""), deferred="unsure")
        draft, cut = self._draft(value)
        text = repair(
            self._reader.text(draft.ids),
            text_of(value),
            self._spec,
            lambda: self._picks.pick(value).text,
        )
        return Prediction(text, truncated=cut, deferred=None if text.text else "unsure")

    def _draft(self, value: Input) -> tuple[Draft, bool]:
        ids, cut = self._reader.read(value)
        return write(self._decoder, ids, self._reader.prompt, self._spec, self._beams), cut


def write(decoder: Decoder, ids: list[int], prompt: Prompt, spec: TextSpec, beams: int) -> Draft:
    """What a decoder writes after a prompt.

    Args:
        decoder: over the writer's graph.
        ids: the whole prompt.
        prompt: names the tokens that end a text.
        spec: how many words are allowed.
        beams: see `Decoder.write`.
    """
    return decoder.write(ids, ends=prompt.ends, most_tokens=room_tokens(spec), beams=beams)


def room_tokens(spec: TextSpec) -> int:
    """Tokens after which a text ends in any case: room for the longest one that is allowed."""
    return _TOKENS_PER_WORD * spec.max_words + _ENDING_TOKENS


def _reader(path: Path, prompt: Prompt, max_tokens: int) -> PromptReader:
    try:
        return PromptReader(path.read_text(encoding="utf-8"), prompt, max_tokens=max_tokens)
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ModelError(
            f"{path.name} cannot be used: {error}",
            where=str(path),
            hint="Export the model again, or install a newer tokenizers.",
        ) from error
