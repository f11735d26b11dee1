"""Greedy decoding with onnxruntime alone: a text, one token after the other.

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


class Decoder:
    """A causal language model that always takes the most probable token.

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

    def write(self, ids: list[int], *, ends: tuple[int, ...], most_tokens: int) -> Draft:
        """Go on from token ids until the text ends.

        Args:
            ids: the prompt.
            ends: each of these tokens ends the text.
            most_tokens: after so many it ends in any case.
        """
        written: list[int] = []
        steps = self._steps(ids)
        logits = next(steps)
        likelihood = 0.0
        while True:
            token = int(logits.argmax())
            likelihood -= math.log(np.exp(logits - logits[token]).sum())
            if token in ends:
                return Draft(written, math.exp(likelihood / (len(written) + 1)), True)
            written.append(token)
            if len(written) >= most_tokens:
                return Draft(written, math.exp(likelihood / len(written)), False)
            logits = steps.send(token)

    def follow(self, ids: list[int], wanted: list[int]) -> list[int]:
        """The token that it would have written at each place of a text that is given.

        Args:
            ids: the prompt.
            wanted: the tokens of the text; each is told once its place has been answered.
        """
        steps = self._steps(ids)
        said = [int(next(steps).argmax())]
        return said + [int(steps.send(token).argmax()) for token in wanted[:-1]]

    def _steps(self, ids: list[int]) -> Generator[NDArray[np.float32], int, None]:
        """The logits (vocabulary,) of the next token; send the one that comes."""
        from onnxruntime import OrtValue

        def value(content: Any, kind: type) -> Any:
            return OrtValue.ortvalue_from_numpy(np.asarray(content, dtype=kind))

        past = [value(np.empty(shape), np.float32) for shape in self._shapes]
        new, length = ids, 0
        while True:
            length += len(new)
            feed = {INPUT: value([new], np.int64), _MASK: value([[1] * length], np.int64)}
            feed |= zip(self._past, past, strict=True)
            logits, *past = self._session.run_with_ort_values(self._outputs, feed)
            new = [(yield logits.numpy()[0, -1])]
