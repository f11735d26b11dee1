"""Money: what an attempt cost, the most that it can cost, and a cap that is never passed."""

from __future__ import annotations

import threading

import orjson

from potstill.spec.teacher import Price
from potstill.teacher.prices import most_tokens
from potstill.teacher.request import Reply, Request

_MILLION = 1_000_000
_HIDDEN_TOKENS = 128
"""What an endpoint may put before the conversation by itself."""
_TURN_TOKENS = 16
"""Role and separators of a turn."""
_FORM_TOKENS = 256
"""The sentences that ask for a structured answer."""


def cost_of(reply: Reply, price: Price | None) -> float | None:
    """Price of a reply in USD; None where the price or the usage is unknown.

    Args:
        reply: with the tokens that the endpoint counted.
        price: of a million tokens.
    """
    if price is None:
        return None
    sent, received, cached = reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens or 0
    if not price.input_usd_per_million and not price.output_usd_per_million:
        return 0.0
    if sent is None or received is None:
        return None
    for_cached = price.cached_usd_per_million
    if for_cached is None:
        for_cached = price.input_usd_per_million
    total = (sent - cached) * price.input_usd_per_million + cached * for_cached
    return (total + received * price.output_usd_per_million) / _MILLION


def most_of(request: Request, price: Price | None) -> float | None:
    """The most that one attempt can cost, in USD; None where the price is unknown.

    A token of any tokenizer in use covers at least one byte, so that the bytes sent bound the
    tokens sent; a schema may be sent twice, once as a parameter and once in words.
    """
    if price is None:
        return None
    sent = _HIDDEN_TOKENS
    for turn in request.messages:
        sent += _TURN_TOKENS + most_tokens(turn["content"])
    if request.schema is not None:
        sent += _FORM_TOKENS + 2 * len(orjson.dumps(request.schema))
    most = sent * max(price.input_usd_per_million, price.cached_usd_per_million or 0.0)
    return (most + request.max_tokens * price.output_usd_per_million) / _MILLION


class Account:
    """The money of one ledger: what is gone, and what calls in flight may still cost.

    Whoever asks through the ledger shares it, a teacher and a judge in threads of their own.

    Args:
        spent_usd: what earlier attempts cost, unknown prices at their upper bound.
    """

    def __init__(self, spent_usd: float) -> None:
        self.spent_usd = spent_usd
        self.reserved_usd = 0.0
        self._lock = threading.Lock()

    def reserve(self, most_usd: float, cap_usd: float | None) -> bool:
        """Set money aside for an attempt, unless it could pass the cap; whether it was done.

        Args:
            most_usd: the most that it can cost.
            cap_usd: what may be gone in all; None is no limit.
        """
        with self._lock:
            most_gone = self.spent_usd + self.reserved_usd + most_usd
            if cap_usd is not None and most_gone > cap_usd:
                return False
            self.reserved_usd += most_usd
            return True

    def settle(self, most_usd: float, cost_usd: float | None) -> None:
        """An attempt ended: its cost takes the place of what was set aside.

        Args:
            most_usd: what was set aside.
            cost_usd: what it cost; where that is unknown, all that was set aside is gone.
        """
        with self._lock:
            self.reserved_usd -= most_usd
            self.spent_usd += most_usd if cost_usd is None else cost_usd


class Budget:
    """An account under a cap.

    Args:
        cap_usd: what may be gone in all; None is no limit.
        account: the money.
    """

    def __init__(self, cap_usd: float | None, account: Account) -> None:
        self.cap_usd = cap_usd
        self.account = account

    def reserve(self, most_usd: float) -> bool:
        """Set money aside for an attempt, unless it could pass the cap; whether it was done."""
        return self.account.reserve(most_usd, self.cap_usd)

    def settle(self, most_usd: float, cost_usd: float | None) -> None:
        """An attempt that money was set aside for ended; see `Account.settle`."""
        self.account.settle(most_usd, cost_usd)
