"""A circuit breaker: when nothing but failures comes back, stop asking and look now and then."""

from __future__ import annotations

_FEWEST_FAILURES = 5
_FIRST_CONTACT_S = 15.0
"""Patience with an endpoint that was never heard of: most likely its address is wrong."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class Breaker:
    """Whether the endpoint is there at all, judged by failures in a row.

    It opens after as many failures in a row as there are calls at once, and at least five.
    While it is open one call at a time is made, a probe, after pauses that double; the first
    answer closes it. All times are seconds of one monotonic clock.

    Args:
        patience_s: after this long without an answer `gave_up` is true; earlier where nothing
            was ever heard of the endpoint.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._failures = 0
        self._pause_s = _FIRST_PAUSE_S
        self._failing_since: float | None = None
        self._opened_at = float("-inf")
        self._met = False
        self.open = False
        self.probes_at = float("-inf")

    def answered(self) -> None:
        """The endpoint is there."""
        self._met = True
        self._failures = 0
        self._failing_since = None
        self._pause_s = _FIRST_PAUSE_S
        self.open = False

    def limited(self, now: float) -> None:
        """The endpoint is there but lets nobody in: no failure, but patience has its end."""
        self._met = True
        self._not_answered(now)

    def failed(self, *, began: float, now: float, at_once: int) -> None:
        """A call failed through no fault of its own.

        Args:
            began: when it was made; one from before the breaker opened is no probe.
            now: the time.
            at_once: calls that may be in flight, which one hiccup fails together.
        """
        self._not_answered(now)
        self._failures += 1
        if not self.open and self._failures >= max(_FEWEST_FAILURES, at_once):
            self.open = True
            self._opened_at = now
            self.probes_at = now + self._pause_s
        elif self.open and began >= self._opened_at:
            self._pause_s = min(_LONGEST_PAUSE_S, 2.0 * self._pause_s)
            self.probes_at = now + self._pause_s

    def gave_up(self, now: float) -> bool:
        """Whether there was no answer for longer than patience lasts."""
        if self._failing_since is None:
            return False
        patience_s = self._patience_s if self._met else min(self._patience_s, _FIRST_CONTACT_S)
        return now - self._failing_since > patience_s

    def _not_answered(self, now: float) -> None:
        if self._failing_since is None:
            self._failing_since = now
