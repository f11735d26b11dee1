"""One call of `Engine.ask`: the rows under way, and the bridge between two threads.

The caller's thread hands requests in and takes outcomes out; the engine's thread asks. Both
ways go in groups: an outcome crosses when the group that holds it is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from potstill.teacher.desk import Desk
from potstill.teacher.gate import Stopped
from potstill.teacher.inquiry import Inquiry, remembered
from potstill.teacher.probing import settled_rung
from potstill.teacher.request import Outcome, Request

_MOST_TAKEN = 32
_GLANCE_S = 0.25


class Flight:
    """Requests on their way to outcomes.

    Args:
        desk: where they are dealt with.
        loop: the engine's event loop.
    """

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self._desk = desk
        self._loop = loop
        self._mailbox: SimpleQueue[Outcome | None] = SimpleQueue()
        self._rows: dict[asyncio.Task[None], Inquiry | None] = {}
        self.open = 0
        """Requests handed in whose outcomes were not taken yet."""
        desk.gate.when_stopped.add(self._stopped)

    # In the caller's thread.

    def hand_in(self, requests: Sequence[Request]) -> None:
        """Have these asked."""
        self.open += len(requests)
        if requests:
            self._loop.call_soon_threadsafe(self._accept, requests)

    def take(self, *, wait: bool) -> list[Outcome]:
        """Some outcomes: those that there are, up to a few dozen.

        Args:
            wait: whether to wait a moment for the first one.

        Raises:
            PotstillError: everything stopped, and there are no more.
        """
        taken: list[Outcome] = []
        with suppress(Empty):
            while len(taken) < _MOST_TAKEN:
                outcome = self._mailbox.get(wait and not taken, _GLANCE_S)
                if outcome is None and not taken:
                    assert self._desk.gate.error is not None
                    raise self._desk.gate.error
                if outcome is None:
                    self._mailbox.put(None)
                    break
                taken.append(outcome)
        self.open -= len(taken)
        return taken

    def close(self, grace_s: float) -> None:
        """Let rows go that are not being asked, and wait briefly for the calls in flight."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._close(grace_s), self._loop).result()

    # In the engine's thread.

    def _accept(self, requests: Sequence[Request]) -> None:
        for request in requests:
            task = self._loop.create_task(self._row(request))
            self._rows[task] = None
            task.add_done_callback(self._row_done)

    async def _row(self, request: Request) -> None:
        """Answer a request: with what an equal one was answered, or by asking."""
        desk = self._desk
        try:
            request.id.encode()
            key = request.key(desk.provider.identity)
        except (TypeError, UnicodeEncodeError):  # TypeError: orjson's word for a lone surrogate
            self._mailbox.put(_unwritable(request))
            return
        while (asking := desk.asked.get(key)) is not None:
            await asyncio.wait((asking,))
            if (same := asking.result()) is not None:
                self._mailbox.put(replace(same, request=request, attempts=0))
                return
        kept = desk.ledger.reply(key)
        if kept is not None:
            self._mailbox.put(remembered(request, kept))
            return
        desk.asked[key] = self._loop.create_future()
        try:
            inquiry = Inquiry(request, key, await settled_rung(request, desk), desk)
            self._rows[_this_task()] = inquiry
            outcome = await inquiry.outcome()
        except BaseException:
            desk.asked.pop(key).set_result(None)
            raise
        desk.when_written(partial(self._hand_over, key, outcome))

    def _hand_over(self, key: str, outcome: Outcome) -> None:
        self._desk.asked.pop(key).set_result(outcome)
        self._mailbox.put(outcome)

    def _row_done(self, task: asyncio.Task[None]) -> None:
        del self._rows[task]
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, Stopped):
            self._desk.gate.stop(error)
        if self._desk.gate.error is not None:
            self._stopped()

    def _stopped(self) -> None:
        """When everything stopped and the last row has ended, tell the caller's thread."""
        if not self._rows:
            self._desk.commit_at_last()
            self._mailbox.put(None)

    async def _close(self, grace_s: float) -> None:
        for task, inquiry in self._rows.items():
            if inquiry is None or not inquiry.calling:
                task.cancel()
            else:
                inquiry.abandoned = True
        if self._rows:
            await asyncio.wait(self._rows, timeout=grace_s)
        for task in self._rows:
            task.cancel()
        if self._rows:
            await asyncio.wait(self._rows)
        self._desk.gate.when_stopped.discard(self._stopped)
        self._desk.commit_at_last()


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _unwritable(request: Request) -> Outcome:
    return Outcome(
        request=request,
        reply=None,
        value=None,
        fault="refused",
        detail="the question holds characters that are not valid Unicode",
        attempts=0,
        cost_usd=0.0,
        seconds=None,
        ledger="",
        rung=None,
    )
