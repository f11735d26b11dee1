"""What stands in the ledger: attempts, the answers that were kept, and sums over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from potstill.teacher.request import Fault, Reply, Rung

State = Literal["in_flight", "answered", "unusable", "failed", "lost"]
"""``in_flight`` until the call ends; ``answered`` with a usable reply; ``unusable`` with a
reply that was paid for in vain; ``failed`` without a reply; ``lost`` where this process went
away before the call ended, so that nobody knows what it cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer to a request, as the ledger keeps it.

    Attributes:
        attempt: id of the attempt that brought it.
        reply: the reply.
        value: the parsed answer.
        rung: how it was asked for.
        cost_usd: money paid for all attempts that led to it; None is unknown.
        seconds: wall time of the last attempt.
    """

    attempt: int
    reply: Reply
    value: Any
    rung: Rung | None
    cost_usd: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over the attempts on disk, whichever process made them.

    Attributes:
        requests: different questions asked.
        answered: those of them that have a usable answer.
        attempts: calls begun.
        prompt_tokens: tokens sent, as far as the endpoint told.
        completion_tokens: tokens received, as far as the endpoint told.
        known_usd: sum of the prices that are known.
        unknown: attempts whose price is unknown.
        by_fault: attempts by what went wrong, the commonest first.
        seconds: wall time of the calls, one after another.
    """

    requests: int
    answered: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    known_usd: float
    unknown: int
    by_fault: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row of the ledger: a call, what it was for and how it ended. Unknown is None.

    Attributes:
        id: number of the row, as `Outcome.ledger` and the lineage name it.
        key: cache key of the request.
        state: how it ended.
        teacher: the model's name.
        endpoint: host that was asked; None in this process.
        request: the caller's name for the request.
        purpose: the stage that asked.
        number: which attempt at this request it was, from 1, since the program started.
        rung: how a structured answer was asked for.
        began: wall clock at the beginning, seconds since 1970; a note only.
        reserved_usd: the most that it could cost.
        cost_usd: what it cost.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        cached_tokens: tokens of the prompt that the endpoint had cached.
        seconds: duration.
        fault: what went wrong.
        status: HTTP status of an error.
        finish_reason: as the endpoint gave it.
        model: the version that answered.
        provider_request: the endpoint's id of the request.
        detail: a sentence for a person.
    """

    id: int
    key: str
    state: State
    teacher: str
    endpoint: str | None
    request: str
    purpose: str
    number: int
    rung: Rung | None
    began: float
    reserved_usd: float | None
    cost_usd: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    seconds: float | None
    fault: Fault | None
    status: int | None
    finish_reason: str | None
    model: str | None
    provider_request: str | None
    detail: str | None
