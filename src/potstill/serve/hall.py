"""`Hall`: what every route needs, made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from potstill.data.example import Input
from potstill.serve.answering import Answerer
from potstill.serve.metrics import Meters
from potstill.serve.pool import Pool
from potstill.serve.registry import Entry, Registry
from potstill.serve.settings import Settings


@dataclass(frozen=True, slots=True)
class Hall:
    """The parts of one server.

    Attributes:
        settings: what the operator set.
        registry: what is served.
        pool: the threads.
        meters: the counts.
        answerer: from inputs to answers.
    """

    settings: Settings
    registry: Registry
    pool: Pool
    meters: Meters
    answerer: Answerer

    def tokens_of(self, entry: Entry) -> Callable[[Input], int]:
        """Counts the tokens that a model reads of an input; zero where it cannot tell."""
        known: Any = entry.current.lane.servable
        count: Callable[[Input], int] | None = getattr(known, "count_tokens", None)
        return count or (lambda _: 0)
