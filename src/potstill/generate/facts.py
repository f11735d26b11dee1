"""Who answered a request, and what the answer took: what a row of recorded answers tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from potstill.generate.prompts import THOUGHT
from potstill.teacher.request import Asker, Outcome


def facts_of(outcomes: Sequence[Outcome], asker: Asker) -> dict[str, Any]:
    """The facts of one answer, be it that to one request or to several together.

    Args:
        outcomes: of the requests that the answer took, in their order.
        asker: who had them answered.

    Returns:
        Sums of seconds, money and tokens; None, not a part of the sum, where one is unknown.
    """
    provider = asker.provider
    replies = [outcome.reply for outcome in outcomes if outcome.reply is not None]
    thoughts = [thought for outcome in outcomes if (thought := _thought(outcome))]
    facts: dict[str, Any] = {
        "reasoning": "\n".join(thoughts) or None,
        "model": provider.name,
        "seconds": _sum(outcome.seconds for outcome in outcomes),
        "cost_usd": _sum(outcome.cost_usd for outcome in outcomes),
        "endpoint": provider.endpoint,
        "request": " ".join(outcome.ledger for outcome in outcomes),
    }
    if replies:
        facts["prompt_tokens"] = _sum(reply.prompt_tokens for reply in replies)
        facts["completion_tokens"] = _sum(reply.completion_tokens for reply in replies)
        version = replies[-1].model
        facts["revision"] = version if version != provider.name else None
    return facts


def _sum(figures: Iterable[Any]) -> Any:
    known = list(figures)
    return None if None in known else sum(known)


def _thought(outcome: Outcome) -> str | None:
    """The model's own thought, or the one that it was asked for."""
    if outcome.reply is not None and outcome.reply.thought:
        return outcome.reply.thought
    said = outcome.value.get(THOUGHT) if isinstance(outcome.value, Mapping) else None
    return said or None
