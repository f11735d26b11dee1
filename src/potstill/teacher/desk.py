"""What all questions to one teacher share: the gate, the ledger, and the group commit.

Everything here lives in the engine's event loop and is touched from nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from potstill.spec.teacher import Price
from potstill.teacher.gate import Gate, Stopped
from potstill.teacher.ledger import Ledger
from potstill.teacher.request import Outcome, Provider, Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How persistently a question is asked.

    Attributes:
        timeout_s: seconds after which an attempt is given up.
        max_attempts: calls that the server's faults may use up before a row has failed.
        max_repairs: times that an unusable answer is asked for again.
    """

    timeout_s: float = 120.0
    max_attempts: int = 5
    max_repairs: int = 2


class Desk:
    """Where the questions to one teacher are dealt with.

    Args:
        provider: who answers.
        ledger: where every attempt is written down.
        gate: who may call when.
        price: of the teacher; None is unknown.
        rung: how structured answers are asked for; None is not known yet.
        manner: how persistently.
    """

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        gate: Gate,
        *,
        price: Price | None,
        rung: Rung | None,
        manner: Manner,
    ) -> None:
        self.provider = provider
        self.ledger = ledger
        self.gate = gate
        self.price = price
        self.rung: Rung | None = rung
        self.probing = asyncio.Lock()
        self.manner = manner
        self.teacher = ledger.teacher(provider)
        self.asked: dict[str, asyncio.Future[Outcome | None]] = {}
        """By key, the requests under way; None is the result of one that was dropped."""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []
        self._after: list[Callable[[], None]] = []
        self._due = False

    async def written(self) -> None:
        """Wait until everything that the ledger was told so far is on disk.

        Raises:
            Stopped: it could not be written.
        """
        written = self._loop.create_future()
        self._waiting.append(written)
        self._commit_soon()
        await written

    def when_written(self, act: Callable[[], None]) -> None:
        """Do something as soon as everything that the ledger was told so far is on disk."""
        self._after.append(act)
        self._commit_soon()

    def commit(self) -> bool:
        """Write the group to disk now, and do what waited for it; False where it failed."""
        self._due = False
        waiting, self._waiting = self._waiting, []
        try:
            self.ledger.flush()
        except Exception as error:
            # A full disk; whatever it is, nobody may be left waiting.
            self.gate.stop(error)
            for written in waiting:
                if not written.done():
                    written.set_exception(Stopped())
            return False
        for written in waiting:
            if not written.done():
                written.set_result(None)
        self._act()
        return True

    def commit_at_last(self) -> None:
        """Write what is left; where even that fails, hand on what was paid for all the same."""
        if not self.commit():
            self._act()

    def _act(self) -> None:
        after, self._after = self._after, []
        for act in after:
            act()

    def _commit_soon(self) -> None:
        """One commit for all that is written before the loop comes round again."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self.commit)
