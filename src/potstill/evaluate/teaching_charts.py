"""The charts of what a live teacher did, as inline SVG."""

from __future__ import annotations

import math

from markupsafe import Markup

from potstill.evaluate.dots import TOP, DotPlot
from potstill.evaluate.figures import Numbers
from potstill.evaluate.svg import nice_ticks
from potstill.evaluate.teaching import AuditionFacts, Spending
from potstill.evaluate.teaching_words import money_span, money_text

_STEP_NAMES = 184.0
_WIDE_FIGURES = 92.0


def audition_chart(held: AuditionFacts) -> Markup:
    """Each way of asking with its interval; a ring is the answers joined with the nearest gold."""
    numbers = Numbers(held.rows)
    shown = [share for way in held.ways for share in (way.accuracy, way.joined) if share]
    yardsticks = {"majority": held.majority, "nearest gold": held.nearest}
    low = math.floor(min(share.low for share in shown) * 10) / 10
    high = max(math.ceil(max(share.high for share in shown) * 10) / 10, low + 0.1)
    plot = DotPlot(
        "audition",
        title="Ways of asking",
        description="; ".join(f"{way.name} {numbers.interval(way.accuracy)}" for way in held.ways),
        count=len(held.ways),
    )

    def x(value: float) -> float:
        return plot.left + (value - low) / (high - low) * plot.span

    for index, way in enumerate(held.ways):
        if way.chosen:
            plot.band(index)
    for tick in nice_ticks(low, high):
        plot.tick(x(tick), f"{tick:g}")
    for name, value in yardsticks.items():
        if value is not None and low <= value <= high:
            plot.board.line(x(value), TOP, x(value), TOP + plot.depth, "yardstick")
            plot.board.text(x(value), TOP - 2, name, "hint", anchor="middle")
    plot.caption("share of the gold rows right, with 95% interval")
    for index, way in enumerate(held.ways):
        if way.joined is not None:
            plot.mark(index, "baseline", x(way.joined.value), f"joined: {way.joined}")
        share, tip = way.accuracy, f"{way.name}: {way.accuracy}"
        plot.whisker(index, "teacher", x(share.low), x(share.value), x(share.high), tip)
        plot.name(index, "chosen" if way.chosen else "way", way.name, numbers.share(share.value))
    return plot.markup()


def spending_chart(spending: Spending) -> Markup | None:
    """Money by step: the line is the plan from low to high, the diamond what was paid.

    None where no money is planned or paid, or no price is known.
    """
    steps = [(step, step.planned.usd if step.planned else None) for step in spending.steps]
    tops = [max(usd.high if usd else 0.0, step.spent.known_usd) for step, usd in steps]
    most = max(tops, default=0.0)
    if not most:
        return None
    plot = DotPlot(
        "spending",
        title="Money by step, planned and paid",
        description="; ".join(
            f"{step.name}: planned {money_span(usd)}, paid {money_text(step.spent)}"
            for step, usd in steps
        ),
        count=len(steps),
        names=_STEP_NAMES,
        values=_WIDE_FIGURES,
    )

    def x(value: float) -> float:
        return plot.left + value / most * plot.span

    for tick in nice_ticks(0.0, most, 4):
        plot.tick(x(tick), f"{tick:g}")
    plot.caption("US dollars, planned and paid")
    for index, (step, usd) in enumerate(steps):
        if usd is not None:
            ends = x(usd.low), x(usd.expected), x(usd.high)
            plot.whisker(index, "baseline", *ends, f"planned {money_span(usd)}")
        if step.spent.usd is not None:
            plot.mark(index, "teacher", x(step.spent.usd), f"paid {money_text(step.spent)}")
        plot.name(index, "step", step.name, money_text(step.spent))
    return plot.markup()
