"""The frontier of the candidates as inline SVG: quality against the time of an answer."""

from __future__ import annotations

import math

from markupsafe import Markup

from potstill.evaluate.figures import milliseconds
from potstill.evaluate.frontier import Frontier, FrontierPoint
from potstill.evaluate.svg import Drawing, nice_ticks, shorten

_LEFT, _TOP, _WIDE, _TALL = 58.0, 14.0, 420.0, 240.0
_NAME_WIDTH = 170.0


def frontier_chart(frontier: Frontier) -> Markup | None:
    """Each candidate that was timed; a line joins those that none beats in both.

    None where fewer than two were trained to the end and timed.
    """
    shown = [point for point in frontier.points if _placed(point) and point.dropped is None]
    if len(shown) < 2:
        return None
    scores = [point.score or 0.0 for point in shown]
    times = [math.log10(point.latency_ms or 1.0) for point in shown]
    low, high = math.floor(min(scores) * 20) / 20, math.ceil(max(scores) * 20) / 20
    high = max(high, low + 0.05)
    first, last = math.floor(min(times)), max(math.ceil(max(times)), math.floor(min(times)) + 1)
    bottom = _TOP + _TALL
    board = Drawing(
        "frontier",
        title="Quality and time of the candidates",
        description="; ".join(f"{one.name} {_tip(one)}" for one in shown),
        width=_LEFT + _WIDE + _NAME_WIDTH,
        height=bottom + 52,
    )

    def at(point: FrontierPoint) -> tuple[float, float]:
        across = (math.log10(point.latency_ms or 1.0) - first) / (last - first)
        return _LEFT + across * _WIDE, bottom - ((point.score or 0.0) - low) / (high - low) * _TALL

    for tick in nice_ticks(low, high):
        y = bottom - (tick - low) / (high - low) * _TALL
        board.line(_LEFT, y, _LEFT + _WIDE, y, "grid")
        board.text(_LEFT - 8, y + 4, f"{tick:g}", anchor="end")
    for power in range(first, last + 1):
        x = _LEFT + (power - first) / (last - first) * _WIDE
        board.text(x, bottom + 20, f"{milliseconds(10.0**power)} ms", anchor="middle")
    best = sorted((point for point in shown if point.efficient), key=lambda one: at(one)[0])
    board.path([at(point) for point in best], "curve student")
    for point in shown:
        role = "student" if point.chosen else "baseline"
        x, y = at(point)
        board.disc(x, y, 5.5 if point.chosen else 4.0, f"mark {role}", tip=_tip(point))
        board.text(x + 9, y + 4, shorten(point.name, _NAME_WIDTH - 12), f"label {role}")
    board.line(_LEFT, bottom, _LEFT + _WIDE, bottom, "axis")
    caption = "time of one answer on one thread, logarithmic"
    board.text(_LEFT + _WIDE / 2, bottom + 44, caption, "caption", anchor="middle")
    return board.markup()


def _placed(point: FrontierPoint) -> bool:
    return point.score is not None and bool(point.latency_ms)


def _tip(point: FrontierPoint) -> str:
    return f"{point.score or 0.0:.3f} in {milliseconds(point.latency_ms or 0.0)} ms"
