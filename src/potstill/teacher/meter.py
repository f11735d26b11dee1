"""What a few questions cost now, rather than when they were first asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from potstill.teacher.request import Asker, Outcome, Provider, Request


class Meter:
    """An `Asker` that passes questions on, and notes what was asked and paid for them now.

    Args:
        asker: who is asked.

    Attributes:
        asked: whether any of them was asked now, rather than found in the ledger.
        paid_usd: what that cost; None is unknown.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.asked = False
        self.paid_usd: float | None = 0.0

    @property
    def provider(self) -> Provider:
        """Who answers."""
        return self._asker.provider

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """See `Asker.ask`."""
        for outcome in self._asker.ask(requests):
            if outcome.attempts:
                self.asked = True
                if self.paid_usd is not None and outcome.cost_usd is not None:
                    self.paid_usd += outcome.cost_usd
                else:
                    self.paid_usd = None
            yield outcome
