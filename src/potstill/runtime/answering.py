"""`Answering`: one input at a time, each by itself, on as many threads as there are workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import overload

from potstill.data.example import Input, Prediction
from potstill.runtime.stream import CHUNK, map_in_order


class Answering(ABC):
    """A model that answers an input from that input alone.

    Attributes:
        workers: inputs answered at the same time by `stream` and by `predict` on a sequence.
        turn: inputs that a thread takes at once.
    """

    workers: int
    turn: int = CHUNK

    @abstractmethod
    def _answer(self, value: Input) -> Prediction: ...

    @overload
    def predict(self, inputs: str | Mapping[str, str], /) -> Prediction: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]: ...

    def predict(self, inputs: Input | Sequence[Input], /) -> Prediction | list[Prediction]:
        """Answer one input, or each input of a sequence in its order.

        Args:
            inputs: a text, named fields, or a sequence of them; an empty sequence gives an
                empty list.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        if isinstance(inputs, str | Mapping):
            return self._answer(inputs)
        if len(inputs) < 2:
            return [self._answer(value) for value in inputs]
        # Two turns for each thread at least, or a short list would keep one thread busy.
        return list(self._map(inputs, chunk=min(self.turn, -(-len(inputs) // (2 * self.workers)))))

    def stream(self, inputs: Iterable[Input]) -> Iterator[Prediction]:
        """Answer an iterable of any length, in order, on all workers and in bounded memory.

        Some hundred inputs are read ahead of the answers.

        Raises:
            DataError: an input that is neither text nor named fields.
        """
        return self._map(inputs, chunk=self.turn)

    def _map(self, inputs: Iterable[Input], *, chunk: int) -> Iterator[Prediction]:
        if self.workers == 1:
            return map(self._answer, inputs)
        return map_in_order(
            self._answer, inputs, pool=self._pool, workers=self.workers, chunk=chunk
        )

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers, thread_name_prefix="potstill")
