"""How many calls at once: what the endpoint bears, found by asking for a little less or more.

A limited rate (HTTP 429) cuts the number of calls at once, by the same factor however many
calls of a burst were turned away; every answer then lets it grow by a little (additive
increase, multiplicative decrease: Chiu and Jain, "Analysis of the increase and decrease
algorithms for congestion avoidance in computer networks", 1989). Faults of the server are
another matter: they are waited out one row at a time, with full jitter.
"""

from __future__ import annotations

import random

_SHRINK = 0.7
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


def jittered_wait_s(failures: int) -> float:
    """Seconds to wait after the n-th failure of a row: anything up to a doubling bound.

    The "full jitter" of Brooker, "Exponential backoff and jitter", 2015: rows that failed
    together do not come back together.
    """
    bound = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (failures - 1))
    return random.uniform(0.0, bound)


class Pace:
    """The number of calls that may be in flight, and until when none may start.

    All times are seconds of one monotonic clock.

    Args:
        most: the number of calls to begin with, never passed.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = float(most)
        self._shrunk_at = float("-inf")
        self._bursts = 0
        self.resumes_at = float("-inf")

    @property
    def limit(self) -> int:
        """Calls that may be in flight at once."""
        return int(self._limit)

    def answered(self) -> None:
        """A call was answered: after as many as there are at once, one more is let through."""
        self._bursts = 0
        if self._limit < self._most:
            self._limit = min(self._most, self._limit + 1.0 / self._limit)

    def limited(self, *, began: float, now: float, retry_after_s: float | None) -> None:
        """A call was turned away because there are too many.

        Args:
            began: when it was made. One that was made before the last cut belongs to the
                same burst, and cuts nothing.
            now: the time.
            retry_after_s: seconds that the endpoint asked to wait.
        """
        if began >= self._shrunk_at:
            self._limit = max(1.0, self._limit * _SHRINK)
            self._shrunk_at = now
            self._bursts += 1
            if retry_after_s is None:
                retry_after_s = jittered_wait_s(self._bursts)
        if retry_after_s is not None:
            self.resumes_at = max(self.resumes_at, now + retry_after_s)
