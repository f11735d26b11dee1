"""The engine: has any number of questions answered by a teacher that costs money and fails.

It asks from an event loop in a thread of its own, whatever the caller's thread is doing; the
caller sees a plain iterator. The way of a request, and where each part is written down:

`flight`    the caller's thread hands it in; equal questions are asked once
`inquiry`   it is asked, and asked again where that helps, until it is answered or has failed
`gate`      no call starts before the `pace`, the `budget` and the `breaker` allow it
`desk`      nothing is sent, and nothing is handed on, before it stands in the `ledger`
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from potstill.errors import TeacherError
from potstill.spec.teacher import Price
from potstill.teacher.breaker import Breaker
from potstill.teacher.budget import Budget
from potstill.teacher.desk import Desk, Manner
from potstill.teacher.flight import Flight
from potstill.teacher.gate import Gate
from potstill.teacher.ledger import Ledger
from potstill.teacher.pace import Pace
from potstill.teacher.progress import Meter, Spending
from potstill.teacher.request import Outcome, Provider, Request, Rung

_AHEAD = 4
"""Requests drawn ahead of the outcomes that were read, for each call at once."""
_FEWEST_AHEAD = 16
_MOST_DRAWN = 32
_GRACE_S = 5.0
_T = TypeVar("_T")


class Engine:
    """An `Asker` for one teacher; a context manager, which closes the provider at its end.

    Args:
        provider: who answers.
        ledger: where every attempt is written down; open for as long as the engine is.
        price: of the teacher; None is unknown.
        cap_usd: most money that this ledger may ever spend; None is no cap.
        timeout_s: seconds after which an attempt is given up.
        max_attempts: calls that faults of the server may use up before a row has failed.
        concurrency: most calls at once; None is the provider's own figure.
        rung: how structured answers are asked for; None is found by a probe, where an answer
            with a schema is first asked for.
        progress: told every fraction of a second, in the caller's thread.
        patience_s: seconds without any answer after which the teacher is given up.

    Raises:
        TeacherError: there is a cap, but the price is unknown.
    """

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        *,
        price: Price | None,
        cap_usd: float | None = None,
        timeout_s: float = 120.0,
        max_attempts: int = 5,
        concurrency: int | None = None,
        rung: Rung | None = None,
        progress: Callable[[Spending], None] | None = None,
        patience_s: float = 300.0,
    ) -> None:
        if cap_usd is not None and price is None:
            raise TeacherError(
                f"a budget is set, but the price of {provider.name} is unknown.",
                hint="Give it under 'price', or set no budget.",
            )
        self._provider = provider
        self._progress = progress
        self._meter = Meter()
        self._flights: set[Flight] = set()
        most = concurrency or provider.concurrency
        self._ahead = max(_FEWEST_AHEAD, _AHEAD * most)

        async def set_up() -> Desk:
            budget = Budget(cap_usd, ledger.account)
            gate = Gate(Pace(most), budget, Breaker(patience_s), patience_s=patience_s)
            manner = Manner(timeout_s=timeout_s, max_attempts=max_attempts)
            return Desk(provider, ledger, gate, price=price, rung=rung, manner=manner)

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()
        try:
            self._desk = self._run(set_up())
        except BaseException:
            self._end_thread()
            raise

    @property
    def provider(self) -> Provider:
        """Who answers."""
        return self._provider

    @property
    def spending(self) -> Spending:
        """What came of the questions so far."""
        gate = self._desk.gate
        return Spending(
            answered=self._meter.answered,
            failed=self._meter.failed,
            in_flight=gate.in_flight,
            spent_usd=None if self._desk.price is None else gate.budget.account.spent_usd,
            rate=self._meter.rate(),
            concurrency=gate.pace.limit,
        )

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Outcomes as they complete, in any order; exactly one for each request.

        Requests are drawn lazily in the caller's thread, and a bounded number ahead. Closing
        the iterator early, or an exception between two outcomes, ends the asking: calls in
        flight are waited for briefly, so that what they bring is kept.

        Raises:
            BudgetReached: the next attempt could pass the cap; everything in flight was
                waited for and yielded first.
            TeacherError: the teacher cannot be asked at all, or did not answer for too long.
            StorageError: the disk is full.
        """
        flight = Flight(self._desk, self._loop)
        self._flights.add(flight)
        source = iter(requests)
        try:
            while True:
                room = min(_MOST_DRAWN, self._ahead - flight.open)
                drawn = list(islice(source, room))
                flight.hand_in(drawn)
                if not drawn and not flight.open:
                    break
                for outcome in flight.take(wait=not drawn):
                    self._meter.count(failed=outcome.fault is not None)
                    yield outcome
                self._report()
        finally:
            flight.close(_GRACE_S)
            self._flights.discard(flight)
        self._report(at_last=True)

    def _report(self, *, at_last: bool = False) -> None:
        if self._progress is not None and (at_last or self._meter.is_due()):
            self._progress(self.spending)

    def close(self) -> None:
        """End what is still being asked, and let the provider and the thread go."""
        if self._loop.is_closed():
            return
        try:
            for flight in self._flights:
                flight.close(_GRACE_S)
            self._run(self._provider.close())
        finally:
            self._end_thread()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Have something done in the engine's thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
