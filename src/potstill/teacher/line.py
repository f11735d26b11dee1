"""A live teacher for questions that come one by one, from many threads, and cannot wait long.

The engine has a run's rows answered and takes its time; behind a server somebody waits for
each answer, the next question is not known yet, and the whole may be closed at any moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError

from potstill.errors import TeacherError
from potstill.spec.teacher import Price
from potstill.teacher.engine import Engine
from potstill.teacher.gate import Stopped
from potstill.teacher.inquiry import Inquiry, remembered
from potstill.teacher.ledger import Ledger
from potstill.teacher.probing import settled_rung
from potstill.teacher.request import Outcome, Provider, Request

_MAX_ATTEMPTS = 2
_PATIENCE_S = 15.0


class Line(Engine):
    """An `Engine` that any number of threads ask at once, and that may be closed meanwhile.

    Equal questions that are asked at the same time are both asked; one that was answered before
    is answered from the ledger.

    Args:
        provider: who answers.
        ledger: where every attempt is written down.
        price: of the teacher; None is unknown.
        cap_usd: most money that this ledger may ever spend; None is no cap.
        timeout_s: seconds after which an attempt is given up.

    Raises:
        TeacherError: there is a cap, but the price is unknown.
    """

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        *,
        price: Price | None,
        cap_usd: float | None,
        timeout_s: float,
    ) -> None:
        super().__init__(
            provider,
            ledger,
            price=price,
            cap_usd=cap_usd,
            timeout_s=timeout_s,
            max_attempts=_MAX_ATTEMPTS,
            patience_s=_PATIENCE_S,
        )
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Outcomes one after the other, in the order of the requests; see `Engine.ask`.

        Raises:
            BudgetReached: the next attempt could pass the cap.
            TeacherError: the teacher cannot be asked, did not answer for too long, or the line
                was closed.
            StorageError: the disk is full.
        """
        for request in requests:
            with self._lock:
                if self._closed:
                    raise _closed()
                asking = asyncio.run_coroutine_threadsafe(self._outcome(request), self._loop)
            try:
                yield asking.result()
            except Stopped:
                assert self._desk.gate.error is not None, "whoever stops the gate says why"
                raise self._desk.gate.error from None
            except CancelledError:
                raise _closed() from None

    def close(self) -> None:
        """End what is being asked, and let the provider and the thread go."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._run(self._hang_up())
        super().close()

    async def _outcome(self, request: Request) -> Outcome:
        desk = self._desk
        key = request.key(desk.provider.identity)
        kept = desk.ledger.reply(key)
        if kept is not None:
            return remembered(request, kept)
        outcome = await Inquiry(request, key, await settled_rung(request, desk), desk).outcome()
        await desk.written()
        return outcome

    async def _hang_up(self) -> None:
        asking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        self._desk.commit_at_last()


def _closed() -> TeacherError:
    return TeacherError("the teacher was let go while it was being asked.", hint="Ask again.")
