"""Beam search with onnxruntime alone: a text, one token after the other.

Greedy decoding of a small model that was taught a few hundred texts falls back on the phrase that
fits every source; a few drafts side by side find the text that is more probable as a whole.

The graph is a decoder as `onnxruntime-genai` builds it: it takes the new tokens and the keys
and values of those before them, and gives the logits of the next token and all keys and
values. These belong to one text and to nobody else, so one session writes many texts at once,
each on a thread of its own, and none of them depends on its company.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from potstill.runtime.session import INPUT, OUTPUT

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MASK = "attention_mask"
_PAST, _PRESENT = "past_key_values.", "present."


@dataclass(frozen=True, slots=True)
class Draft:
    """What a decoder wrote.

    Attributes:
        ids: of the tokens, the one that ended the text left out.
        probability: geometric mean of the tokens' probabilities, 0 to 1.
        ended: whether the text came to its end before the bound.
    """

    ids: list[int]
    probability: float
    ended: bool


@dataclass(frozen=True, slots=True)
class _Beam:
    """A draft that still goes on: its tokens, and the logarithm of their joint probability."""

    ids: list[int]
    likelihood: float

    def ended(self, likelihood: float, *, by_token: bool) -> Draft:
        """The draft that it becomes; the token that ends a text counts."""
        tokens = len(self.ids) + by_token
        return Draft(self.ids, math.exp(likelihood / tokens), by_token)


class Decoder:
    """A causal language model that looks for the most probable text.

    Args:
        session: over a graph with ``input_ids``, ``attention_mask``, ``past_key_values.*`` in,
            and ``logits``, ``present.*`` out.
    """

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        shapes: dict[str, Any] = {one.name: one.shape for one in session.get_inputs()}
        kept = [one.name for one in session.get_outputs() if one.name.startswith(_PRESENT)]
        self._outputs = [OUTPUT, *kept]
        self._past = [name.replace(_PRESENT, _PAST) for name in kept]
        self._shapes = [(1, shapes[name][1], 0, shapes[name][3]) for name in self._past]

    def write(
        self, ids: list[int], *, ends: tuple[int, ...], most_tokens: int, beams: int = 1
    ) -> Draft:
        """Go on from token ids until the text ends.

        Beam search (Graves 2012, "Sequence Transduction with Recurrent Neural Networks", 2.5):
        after each token the most probable beginnings go on. It is over when no beginning is more
        probable, a token, than the texts that have ended; of these the one of the highest
        geometric mean probability is taken, so that long texts lose nothing by their length.

        Args:
            ids: the prompt.
            ends: each of these tokens ends the text.
            most_tokens: after so many it ends in any case.
            beams: beginnings that are kept side by side; one is greedy decoding.
        """
        alive = [_Beam([], 0.0)]
        ended: list[Draft] = []
        steps = self._steps(ids)
        logits = next(steps)
        while True:
            kept: list[tuple[int, _Beam]] = []
            most = beams * (1 + len(ends))  # so that as many go on, whatever ends
            for rank, (row, token, likelihood) in enumerate(_likeliest(alive, logits, most)):
                if len(kept) == beams:
                    break
                if token not in ends:
                    kept.append((row, _Beam([*alive[row].ids, token], likelihood)))
                elif rank < beams:
                    ended.append(alive[row].ended(likelihood, by_token=True))
            alive = [beam for _, beam in kept]
            ended = sorted(ended, key=lambda draft: -draft.probability)[:beams]
            running = [beam.ended(beam.likelihood, by_token=False) for beam in alive]
            if len(running[0].ids) >= most_tokens:
                return ended[0] if ended else running[0]
            if len(ended) == beams and ended[-1].probability >= running[0].probability:
                return ended[0]
            logits = steps.send(([beam.ids[-1] for beam in alive], [row for row, _ in kept]))

    def follow(self, ids: list[int], wanted: list[int]) -> list[int]:
        """The token that it would have written at each place of a text that is given.

        Args:
            ids: the prompt.
            wanted: the tokens of the text; each is told once its place has been answered.
        """
        steps = self._steps(ids)
        said = [int(next(steps)[0].argmax())]
        return said + [int(steps.send(([token], [0]))[0].argmax()) for token in wanted[:-1]]

    def _steps(
        self, ids: list[int]
    ) -> Generator[NDArray[np.float32], tuple[list[int], list[int]], None]:
        """The logits (beam, vocabulary) of the next token; send the tokens that come.

        What is sent: a token for each beam, and which of the last beams it goes on from.
        """
        from onnxruntime import OrtValue

        def value(content: Any, kind: type) -> Any:
            return OrtValue.ortvalue_from_numpy(np.asarray(content, dtype=kind))

        past = [value(np.empty(shape), np.float32) for shape in self._shapes]
        new, length = [ids], 0
        while True:
            length += len(new[0])
            mask = np.ones((len(new), length))
            feed = {INPUT: value(new, np.int64), _MASK: value(mask, np.int64)}
            feed |= zip(self._past, past, strict=True)
            logits, *past = self._session.run_with_ort_values(self._outputs, feed)
            beams = len(new)
            tokens, rows = yield logits.numpy()[:, -1]
            if rows != list(range(beams)):
                past = [value(one.numpy()[rows], np.float32) for one in past]
            new = [[token] for token in tokens]


def _likeliest(
    beams: list[_Beam], logits: NDArray[np.float32], most: int
) -> list[tuple[int, int, float]]:
    """The most probable ways to go on: beam, token, logarithm of the joint probability."""
    peaks = logits.max(axis=1, keepdims=True)
    norms = peaks + np.log(np.exp(logits - peaks).sum(axis=1, keepdims=True))
    totals = logits - norms + np.array([[beam.likelihood] for beam in beams])
    flat = totals.ravel()
    first = np.argpartition(-flat, most)[:most] if most < len(flat) else np.arange(len(flat))
    first = first[np.lexsort((first, -flat[first]))]
    width = totals.shape[1]
    return [(place // width, place % width, float(flat[place])) for place in first.tolist()]
