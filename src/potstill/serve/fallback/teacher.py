"""The teacher as a fallback: asked about what a model defers, for so much money a day."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from potstill.data.example import Input, Prediction, id_of
from potstill.serve.contract import Answer
from potstill.serve.fallback.operator import Operator, Said
from potstill.serve.fallback.queue import need_consent
from potstill.spec.loading import LoadedTask

_WAIT_S = 20.0
_MOST_THREADS = 16
_MOST_WAITING = 1_000


class TeacherFallback:
    """A `Fallback` that asks the task's live teacher.

    An input that was answered before is answered out of the ledger, for nothing. When the day's
    money is spent, nobody is asked until the next day (UTC); when the teacher does not answer,
    not for a pause that doubles. Meanwhile inputs stay deferred, at once.

    Args:
        loaded: the task, whose teacher is live.
        folder: gets the ledger and a file of recorded answers for each day.
        prices: a price file that goes before the one that ships.
        wait_s: the longest that one answer is waited for.

    Raises:
        SpecError: the owner of the texts did not agree that they are kept.
        TeacherError: the teacher cannot be opened, or it costs money and nobody said how much
            of it a day.
        StorageError: the folder may not be written, or another process has the ledger open.
    """

    def __init__(
        self,
        loaded: LoadedTask,
        folder: Path,
        *,
        prices: Path | None = None,
        wait_s: float = _WAIT_S,
    ) -> None:
        rules = need_consent(loaded, "The teacher as a fallback")
        self._wait_s = wait_s
        self._operator = Operator(loaded, folder, rules, prices=prices, timeout_s=wait_s)
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="fallback")
        self._free = asyncio.Semaphore(_MOST_THREADS)
        self._asking: dict[str, asyncio.Task[Said | None]] = {}

    async def answer(self, model: str, value: Input, prediction: Prediction) -> Answer:
        """What the teacher says; ``unavailable`` where it cannot be asked, or not in time."""
        key = id_of(value)
        asking = self._asking.get(key)
        pays = asking is None
        if asking is None:
            if len(self._asking) >= _MOST_WAITING:
                return Answer(prediction, "nobody", "unavailable")
            asking = asyncio.create_task(self._ask(value))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        try:
            # Shielded: whoever asked may go; what is paid for is kept all the same.
            said = await asyncio.wait_for(asyncio.shield(asking), self._wait_s)
        except TimeoutError:
            said = None
        if said is None:
            return Answer(prediction, "nobody", "unavailable")
        return Answer(said.prediction, "teacher", "teacher", said.cost_usd if pays else 0.0)

    async def close(self) -> None:
        """Stop asking, and write down what came of it."""
        await asyncio.to_thread(self._operator.close)
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        self._threads.shutdown()

    async def _ask(self, value: Input) -> Said | None:
        loop = asyncio.get_running_loop()
        given_up_at = loop.time() + self._wait_s
        async with self._free:
            if loop.time() >= given_up_at:
                return None  # nobody waits for it any more
            return await loop.run_in_executor(self._threads, self._operator.ask, value)
