"""How the asking goes: figures for a progress bar."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

_RATE_WINDOW_S = 10.0
_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What came of the questions so far.

    Attributes:
        answered: requests with an answer, those out of the ledger included.
        failed: requests that failed for good.
        in_flight: calls that are being made.
        spent_usd: money gone by this ledger, unknown prices at their upper bound; None
            where the teacher's price is unknown.
        rate: requests that ended a second, over the last ten seconds.
        concurrency: calls that may be made at once.
    """

    answered: int
    failed: int
    in_flight: int
    spent_usd: float | None
    rate: float
    concurrency: int


class Meter:
    """Counts requests that ended, and how fast they do."""

    def __init__(self) -> None:
        self.answered = 0
        self.failed = 0
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def count(self, *, failed: bool) -> None:
        """Another request ended."""
        if failed:
            self.failed += 1
        else:
            self.answered += 1

    def is_due(self) -> bool:
        """Whether it is long enough since `rate` was looked at for people to see a change."""
        return time.monotonic() - self._marks[-1][0] >= _EVERY_S

    def rate(self) -> float:
        """Requests that ended a second, lately."""
        now, done = time.monotonic(), self.answered + self.failed
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > _RATE_WINDOW_S:
            self._marks.popleft()
        then, before = self._marks[0]
        return (done - before) / (now - then) if now > then else 0.0
