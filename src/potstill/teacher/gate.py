"""The one door to the teacher: who may call now, and when it is time to stop altogether.

Three rules stand at the door, each in a module of its own that knows no event loop: the pace
(how many at once), the budget (is there money for it) and the breaker (is anybody there). The
gate asks them in turn and keeps the queue.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from potstill.errors import BudgetReached, TeacherError
from potstill.teacher.breaker import Breaker
from potstill.teacher.budget import Budget
from potstill.teacher.pace import Pace
from potstill.teacher.request import AttemptError


class Stopped(Exception):
    """No further call is made; `Gate.error` says why."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to make one call: hand it back with `Gate.leave`.

    Attributes:
        most_usd: what was set aside for it.
        began: when it was given, on the loop's clock.
    """

    most_usd: float
    began: float


class Gate:
    """Lets calls through, first come, first served, retries before new rows.

    Belongs to one event loop, from which alone it is used.

    Args:
        pace: how many at once.
        budget: whether there is money.
        breaker: whether the endpoint is there.
        patience_s: the longest wait that an endpoint may ask for.
    """

    def __init__(self, pace: Pace, budget: Budget, breaker: Breaker, *, patience_s: float) -> None:
        self.pace = pace
        self.budget = budget
        self.breaker = breaker
        self.in_flight = 0
        self.error: BaseException | None = None
        self.when_stopped: set[Callable[[], None]] = set()
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._queue: deque[tuple[float, asyncio.Future[Pass]]] = deque()
        self._resting: set[asyncio.Future[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    async def enter(self, most_usd: float, *, again: bool) -> Pass:
        """Wait for leave to make a call.

        Args:
            most_usd: the most that it can cost.
            again: whether this is not the row's first call; it goes to the head of the queue.

        Raises:
            Stopped: no further call is made.
        """
        if self.error is not None:
            raise Stopped
        if not self._queue and self._opens_in() == 0.0 and self.budget.reserve(most_usd):
            return self._let_in(most_usd)
        waiting: asyncio.Future[Pass] = self._loop.create_future()
        (self._queue.appendleft if again else self._queue.append)((most_usd, waiting))
        self._admit()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self.leave(waiting.result(), 0.0)
            raise

    def leave(self, given: Pass, cost_usd: float | None) -> None:
        """A call ended.

        Args:
            given: its pass.
            cost_usd: what it cost; None is unknown.
        """
        self.in_flight -= 1
        self.budget.settle(given.most_usd, cost_usd)
        if self._queue:
            self._admit()

    def answered(self) -> None:
        """The endpoint answered a call, be the answer of use or not."""
        self.pace.answered()
        self.breaker.answered()

    def turned_away(self, given: Pass, error: AttemptError) -> None:
        """The endpoint limits the rate."""
        now = self._clock()
        self.breaker.limited(now)
        self.pace.limited(began=given.began, now=now, retry_after_s=error.retry_after_s)
        if (error.retry_after_s or 0.0) > self._patience_s:
            self.stop(
                TeacherError(
                    f"the teacher asks to be left alone for {error.retry_after_s:.0f} s.",
                    hint="Run the same command again later; what was answered is kept.",
                )
            )
        self._give_up_after(error, now)

    def failed(self, given: Pass, error: AttemptError) -> None:
        """The endpoint failed to answer a call."""
        now = self._clock()
        self.breaker.failed(began=given.began, now=now, at_once=self.pace.limit)
        self._give_up_after(error, now)

    async def rest(self, seconds: float) -> None:
        """Wait, unless everything stops.

        Raises:
            Stopped: no further call is made.
        """
        if self.error is not None:
            raise Stopped
        rested: asyncio.Future[None] = self._loop.create_future()
        self._resting.add(rested)
        alarm = self._loop.call_later(seconds, _wake, rested)
        try:
            await rested
        finally:
            alarm.cancel()
            self._resting.discard(rested)

    def stop(self, error: BaseException) -> None:
        """Let nobody in any more; calls in flight go on. The first reason counts."""
        if self.error is not None:
            return
        self.error = error
        for waiting in [*(waiting for _, waiting in self._queue), *self._resting]:
            if not waiting.done():
                waiting.set_exception(Stopped())
        self._queue.clear()
        for listener in self.when_stopped:
            self._loop.call_soon(listener)

    def _admit(self) -> None:
        """Let in from the head of the queue whoever may come in now."""
        while self._queue:
            most_usd, waiting = self._queue[0]
            if waiting.done():  # its row was cancelled
                self._queue.popleft()
                continue
            wait_s = self._opens_in()
            if wait_s is not None and wait_s > 0.0:
                self._wake_in(wait_s)
            if wait_s != 0.0:
                return
            if not self.budget.reserve(most_usd):
                if not self.in_flight:
                    self.stop(
                        budget_reached(self.budget.cap_usd, self.budget.account.spent_usd, most_usd)
                    )
                return
            self._queue.popleft()
            waiting.set_result(self._let_in(most_usd))

    def _let_in(self, most_usd: float) -> Pass:
        self.in_flight += 1
        return Pass(most_usd, self._clock())

    def _opens_in(self) -> float | None:
        """Seconds until a call may start: 0 is now, None when one in flight ends."""
        at_once = 1 if self.breaker.open else self.pace.limit
        if self.in_flight >= at_once:
            return None
        opens_at = self.pace.resumes_at
        if self.breaker.open:
            opens_at = max(opens_at, self.breaker.probes_at)
        return max(0.0, opens_at - self._clock())

    def _wake_in(self, wait_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(wait_s, self._admit)

    def _give_up_after(self, error: AttemptError, now: float) -> None:
        if self.breaker.gave_up(now):
            self.stop(
                TeacherError(
                    f"the teacher does not answer: {error.detail.rstrip('.')}.",
                    hint="Run the same command again later; what was answered is kept.",
                )
            )


def _wake(rested: asyncio.Future[None]) -> None:
    if not rested.done():
        rested.set_result(None)


def budget_reached(cap_usd: float | None, spent_usd: float, most_usd: float) -> BudgetReached:
    """The end of the money, with what the next call needs.

    Args:
        cap_usd: the cap.
        spent_usd: what is gone, unknown prices at their upper bound.
        most_usd: the most that the next call can cost.
    """
    return BudgetReached(
        f"the next call could pass the cap of {_usd(cap_usd or 0.0)}: {_usd(spent_usd)} are gone, "
        "calls that did not tell their price at the most that they can cost, and it may cost "
        f"{_usd(most_usd)}.",
        hint="Raise --budget-usd, or lower 'max_tokens', and run the same command again; what was "
        "answered is kept.",
    )


def _usd(amount: float) -> str:
    """Money as a person reads it; small sums with the digits that matter."""
    return f"${amount:,.2f}" if amount >= 1.0 else f"${amount:.4f}"
