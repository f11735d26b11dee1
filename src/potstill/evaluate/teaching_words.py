"""What a live teacher did and cost, in words: shared by the page, Markdown and the model card."""

from __future__ import annotations

from collections.abc import Callable

from potstill.evaluate.figures import (
    MINUS,
    SMALLEST_SHOWN,
    Numbers,
    dollars,
    exact_dollars,
    key_text,
)
from potstill.evaluate.teaching import (
    AuditionFacts,
    RoundFacts,
    Span,
    Spending,
    Spent,
    SynthesisFacts,
    TeachingFacts,
)

_MANY = 1000
_TOGETHER = "\N{NO-BREAK SPACE}"

UNKNOWN = "\N{EN DASH}"
"""A figure that is not known, in a table."""


def count_text(value: float | None) -> str:
    """A whole number with thousands apart, or a dash where it is not known."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def cents(usd: float) -> str:
    """Money in USD to the cent, as bills have it; ``<0.01`` below that."""
    return f"{usd:,.2f}" if usd >= SMALLEST_SHOWN else dollars(usd)


def money_text(spent: Spent) -> str:
    """What was paid, in USD; a price that is not known is never taken for zero."""
    if not spent.unknown:
        return cents(spent.known_usd)
    return f"at least {cents(spent.known_usd)}" if spent.known_usd else "not known"


def count_span(span: Span | None) -> str:
    """Planned questions or tokens, ``1,200 (900 to 2,000)``."""
    return UNKNOWN if span is None else _span(span, count_text)


def money_span(span: Span | None) -> str:
    """Planned money in USD, ``0.45 (0.30 to 0.80)``."""
    return UNKNOWN if span is None else _span(span, cents)


def planned_counts(span: Span) -> str:
    """The range of a plan, ``900 to 2,000``."""
    return f"{count_text(span.low)} to {count_text(span.high)}"


def planned_money(span: Span) -> str:
    """The range of a plan in USD."""
    return f"{cents(span.low)} to {cents(span.high)}"


def row_price(usd: float | None) -> str:
    """The price of a thousand rows, however small: one row costs less than can be read."""
    if usd is None:
        return UNKNOWN
    thousand = 1000 * usd
    return cents(thousand) if thousand >= SMALLEST_SHOWN else exact_dollars(thousand)


def row_seconds(seconds: float | None) -> str:
    """Seconds with two significant digits."""
    if seconds is None:
        return UNKNOWN
    return "<0.01" if seconds < 0.01 else f"{float(f'{seconds:.2g}'):g}"


def faults_text(spent: Spent) -> str:
    """Calls that went wrong, by what was wrong, ``rate limited 12, cut off 3``."""
    return ", ".join(f"{key_text(name)} {n:,}" for name, n in spent.faults.items())


def table_note(spending: Spending) -> str:
    """What a reader of the table of steps must know."""
    total = spending.total.spent
    parts = ["Planned figures are ranges from low to high."]
    if spending.pilot:
        parts.append(f"The plan rests on a pilot of {spending.pilot:,} real rows.")
    else:
        parts.append("The plan counted prompts, and took rules of thumb for the answers.")
    if spending.priced:
        parts.append(f"Price: {spending.priced}.")
    if total.faults:
        parts.append(f"Calls that went wrong: {faults_text(total)}.")
    if total.unknown:
        parts.append(
            f"The price of {_counted(total.unknown, 'call')} is not known, and is not taken for zero."
        )
    parts.append("A dash is a figure that is not known, or that the plan does not hold.")
    return " ".join(parts)


def gain(held: RoundFacts) -> str:
    """Gain of the development score, with its sign; a dash before the first round."""
    return Numbers(_MANY).signed(held.gain) if held.number else UNKNOWN


def round_price(held: RoundFacts) -> str:
    """What a round cost, in USD."""
    return "not known" if held.cost_usd is None else cents(held.cost_usd)


def gain_price(held: RoundFacts) -> str:
    """Gain for a dollar, or a dash where nothing was paid or the price is not known."""
    if held.gain_per_usd is None:
        return UNKNOWN
    return f"{held.gain_per_usd:+.2g}".replace("-", MINUS) if held.gain_per_usd else "0"


def choice_sentence(held: AuditionFacts) -> str:
    """Which way of asking was taken, and why."""
    joined = " Its answers were joined with the nearest gold examples." if held.fused else ""
    if not held.ways:
        return (
            "There was too little gold to compare ways of asking, so that the usual one was "
            f"taken: {held.method}. How good the teacher is on gold was not known beforehand.{joined}"
        )
    numbers = Numbers(held.rows)
    whose = "development" if held.split == "dev" else "training"
    tried = "way was" if len(held.ways) == 1 else "ways were"
    text = f"{len(held.ways)} {tried} tried on {held.rows:,} gold rows of the {whose} split"
    why = ", the only one that the task leaves open"
    if len(held.ways) > 1:
        why = ", the cheapest within one paired standard error of the best"
    text += f". Taken: {held.method}{why}.{joined}"
    yardsticks = [
        f"{name} {numbers.share(value)}"
        for name, value in (
            ("the most frequent answer reaches", held.majority),
            ("the nearest gold without a teacher", held.nearest),
        )
        if value is not None
    ]
    return f"{text} For comparison, {' and '.join(yardsticks)}." if yardsticks else text


def cost_sentence(facts: TeachingFacts) -> str:
    """What the teacher cost in this run, beside the plan; empty without figures."""
    spending = facts.spending
    if spending is None:
        return ""
    spent, plan = spending.total.spent, spending.total.planned
    if not spent.attempts:
        text = f"{facts.model} was asked nothing in this run"
    else:
        text = (
            f"{facts.model} was asked {_counted(spent.requests, 'question')} in "
            f"{_counted(spent.attempts, 'call')} for {_price(spent)}"
        )
    if plan is not None and plan.usd is not None and plan.usd.high:
        text += f"; planned were USD{_TOGETHER}{money_span(plan.usd)}"
    elif plan is not None:
        text += f"; planned were {count_span(plan.calls)} questions"
    before = spending.earlier
    if before.attempts:
        text += (
            f". {_counted(before.attempts, 'earlier call')} for this task, whose answers are not "
            f"paid for twice, had cost {_price(before)}"
        )
    return f"{text}."


def kept_to_plan(spending: Spending) -> bool | None:
    """Whether no more was paid than the plan's upper bound; None where that is not known."""
    plan, paid = spending.total.planned, spending.total.spent.usd
    if plan is None or plan.usd is None or paid is None:
        return None
    return paid <= plan.usd.high


def whole_cost_usd(spending: Spending) -> float | None:
    """All that the ledger holds for this task, earlier runs and pilots included."""
    parts = (spending.total.spent.usd, spending.earlier.usd)
    return None if None in parts else sum(part for part in parts if part is not None)


def yield_sentence(made: SynthesisFacts) -> str:
    """What came of the writing."""
    wanted = sum(row.wanted for row in made.by_label)
    written = sum(row.written for row in made.by_label)
    text = (
        f"{made.rows:,} of {wanted:,} wanted rows were kept, of {written:,} texts written in "
        f"{_counted(made.requests, 'request')}: those whose meaning an independent second answer "
        "confirmed"
    )
    causes = ", ".join(f"{key_text(cause)} {n:,}" for cause, n in made.rejected.items())
    return f"{text}. Rejected: {causes}." if causes else f"{text}."


def rounds_sentence(rounds: tuple[RoundFacts, ...]) -> str:
    """What the rounds came to."""
    first, ships = rounds[0], next(one for one in rounds if one.chosen)
    if not ships.number:
        return (
            f"{_counted(len(rounds) - 1, 'round')} held; no student was better on the "
            f"development rows than the one before ({first.score:.3f}), which ships."
        )
    return (
        f"{_counted(len(rounds) - 1, 'round')} held; the student of round {ships.number} ships: "
        f"development score {first.score:.3f} before, {ships.score:.3f} after."
    )


def _price(spent: Spent) -> str:
    paid = f"USD{_TOGETHER}{cents(spent.known_usd)}"
    if not spent.unknown:
        return paid
    unpriced = f"{_counted(spent.unknown, 'call')}, which is not known"
    if spent.unknown == spent.attempts:
        return "a price that is not known"
    return f"{paid}, without the price of {unpriced}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _span(span: Span, written: Callable[[float], str]) -> str:
    return f"{written(span.expected)} ({written(span.low)} to {written(span.high)})"
