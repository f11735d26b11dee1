"""A teacher in this process that follows a script, for tests that need no network."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from potstill.spec.teacher import Price
from potstill.teacher.engine import Engine
from potstill.teacher.ledger import Ledger
from potstill.teacher.request import AttemptError, Outcome, Reply, Request, Rung

Move = Reply | Exception
"""What happens at one call: a reply, or an error that is raised."""


def reply(text: str = "ok", **given: object) -> Reply:
    """A reply with usage of 100 tokens sent and 10 received, unless given otherwise."""
    told = {"finish_reason": "stop", "prompt_tokens": 100, "completion_tokens": 10} | given
    return Reply(text=text, **told)  # type: ignore[arg-type]


def question(row: int | str, *, purpose: str = "label", **given: object) -> Request:
    """A request of its own for each row."""
    turns = ({"role": "user", "content": f"question {row}"},)
    return Request(id=str(row), purpose=purpose, messages=turns, **given)  # type: ignore[arg-type]


def error(fault: str, *, billed: bool | None = False, **given: object) -> AttemptError:
    """An attempt without a reply."""
    return AttemptError(fault, f"it was {fault}", billed=billed, **given)  # type: ignore[arg-type]


class StubTeacher:
    """Plays a list of moves for each request id, the last one for ever; then ``ok``.

    Attributes:
        calls: request ids in the order of the calls.
        asked: the requests as they came.
        most: most calls that were in flight at once.
    """

    name = "stub"
    endpoint = "stub.example"

    def __init__(
        self,
        moves: dict[str, Sequence[Move]] | Callable[[Request], Move] | None = None,
        *,
        delay_s: float = 0.0,
        concurrency: int = 8,
        rungs: Iterable[Rung] = ("schema",),
        identity: str = "stub",
    ) -> None:
        self._moves = moves or {}
        self._delay_s = delay_s
        self._played: dict[str, int] = defaultdict(int)
        self.concurrency = concurrency
        self.rungs = tuple(rungs)
        self.identity = identity
        self.calls: list[str] = []
        self.asked: list[Request] = []
        self.in_flight = 0
        self.most = 0
        self.closed = False

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """The next move of the script."""
        self.calls.append(request.id)
        self.asked.append(request)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            move = self._move(request)
            if isinstance(move, Exception):
                raise move
            return move
        finally:
            self.in_flight -= 1

    def _move(self, request: Request) -> Move:
        if callable(self._moves):
            return self._moves(request)
        moves = self._moves.get(request.id, [reply()])
        played = self._played[request.id]
        self._played[request.id] += 1
        return moves[min(played, len(moves) - 1)]

    async def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


PRICE = Price(input_usd_per_million=2000.0, output_usd_per_million=8000.0)
COST_USD = (100 * 2000.0 + 10 * 8000.0) / 1e6
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@contextmanager
def engine(path: Path, teacher: StubTeacher, **given: Any) -> Iterator[Engine]:
    options = {"price": PRICE} | given
    with Ledger.open(path) as ledger, Engine(teacher, ledger, **options) as made:
        yield made


def by_id(outcomes: Iterator[Outcome]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        assert outcome.request.id not in found
        found[outcome.request.id] = outcome
    return found
