"""The charts of a recipe's report: accuracy by stage, and what a training tells over its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from potstill.evaluate.dots import TOP, DotPlot
from potstill.evaluate.figures import Numbers
from potstill.evaluate.intervals import Interval
from potstill.evaluate.svg import Drawing, nice_ticks

_LEFT, _WIDE, _TALL, _NAMES = 54.0, 330.0, 170.0, 118.0
_POINTS = 160
"""Points of a curve at most; of more steps each point is a mean."""
_APART = 15.0
_KINDS = ("student", "teacher", "baseline", "fourth", "fifth")
_PARTS = ("reward", "accuracy", "format", "language", "length", "held_out")

Row = Mapping[str, Any]


def accuracy_chart(stages: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Accuracy of every judged stage with its interval; None where it is not known of two."""
    shown = [
        entry
        for entry in stages
        if entry.get("judgement") and "accuracy" in entry["judgement"]["metrics"]
    ]
    if len(shown) < 2:
        return None
    scores = [Interval(**entry["judgement"]["metrics"]["accuracy"]) for entry in shown]
    numbers = Numbers(shown[0]["judgement"]["n"])
    low = math.floor(min(score.low for score in scores) * 20) / 20
    high = max(math.ceil(max(score.high for score in scores) * 20) / 20, low + 0.05)
    plot = DotPlot(
        "stages",
        title="Accuracy of every stage",
        description="; ".join(
            f"{entry['name']} {numbers.interval(score)}"
            for entry, score in zip(shown, scores, strict=True)
        ),
        count=len(shown),
        names=150.0,
    )

    def x(value: float) -> float:
        return plot.left + (value - low) / (high - low) * plot.span

    for tick in nice_ticks(low, high):
        plot.tick(x(tick), f"{tick:g}")
    plot.caption("accuracy at one sample, with 95% interval")
    base = scores[0]
    plot.board.box(x(base.low), TOP, x(base.high) - x(base.low), plot.depth, "band")
    for index, (entry, score) in enumerate(zip(shown, scores, strict=True)):
        role = "baseline" if index == 0 or entry.get("refused") else "student"
        name = entry["name"] + (" (refused)" if entry.get("refused") else "")
        plot.whisker(index, role, x(score.low), x(score.value), x(score.high), name)
        plot.name(index, role, name, numbers.share(score.value))
    return plot.markup()


def training_charts(slug: str, history: Sequence[Row]) -> list[Markup]:
    """The curves of a training: reward by part and length, or else the loss."""
    if len(history) < 2:
        return []
    if "reward" not in history[0]:
        found = [_curves(f"{slug}-loss", "Loss", history, ["loss"])]
    else:
        found = [
            _curves(f"{slug}-reward", "Reward by part", history, _PARTS),
            _curves(f"{slug}-tokens", "Tokens a completion", history, ["tokens"]),
            _curves(f"{slug}-equal", "Groups that teach nothing", history, ["equal_groups"]),
        ]
    return [curve for curve in found if curve is not None]


def _curves(slug: str, title: str, history: Sequence[Row], keys: Sequence[str]) -> Markup | None:
    """One curve for each key of which something is known; None where nothing is."""
    series = {key: _thinned(history, key) for key in keys}
    series = {key: points for key, points in series.items() if points}
    if not series:
        return None
    values = [value for points in series.values() for _, value in points]
    steps = [step for points in series.values() for step, _ in points]
    low, high = min(0.0, *values), max(values)
    high = max(high, low + 1e-6) if high <= 0 else high * 1.05
    first, last = min(steps), max(*steps, min(steps) + 1)
    bottom = TOP + _TALL
    board = Drawing(
        slug,
        title=title,
        description="; ".join(
            f"{key} from {points[0][1]:.3g} to {points[-1][1]:.3g}"
            for key, points in series.items()
        ),
        width=_LEFT + _WIDE + _NAMES,
        height=bottom + 50,
    )

    def at(step: float, value: float) -> tuple[float, float]:
        across = (step - first) / (last - first)
        return _LEFT + across * _WIDE, bottom - (value - low) / (high - low) * _TALL

    for tick in nice_ticks(low, high, 5):
        _, y = at(first, tick)
        board.line(_LEFT, y, _LEFT + _WIDE, y, "grid")
        board.text(_LEFT - 8, y + 4, f"{tick:g}", anchor="end")
    for tick in nice_ticks(first, last, 6):
        board.text(at(tick, low)[0], bottom + 18, f"{tick:,.0f}", anchor="middle")
    board.line(_LEFT, bottom, _LEFT + _WIDE, bottom, "axis")
    board.text(
        _LEFT + _WIDE / 2, bottom + 42, f"{title.lower()}, by step", "caption", anchor="middle"
    )
    ends: list[tuple[float, str, str]] = []
    for number, (key, points) in enumerate(series.items()):
        kind = _KINDS[number % len(_KINDS)]
        board.path([at(*point) for point in points], f"curve {kind}")
        ends.append((at(*points[-1])[1], f"{key} {points[-1][1]:.3g}", kind))
    for y, text, kind in _spread(ends, bottom):
        board.text(_LEFT + _WIDE + 8, y + 4, text, f"label {kind}")
    return board.markup()


def _thinned(history: Sequence[Row], key: str) -> list[tuple[float, float]]:
    """Step and value, each point the mean of as many steps as it takes."""
    known = [
        (float(row["step"]), float(row[key]))
        for row in history
        if row.get(key) is not None and math.isfinite(row[key])
    ]
    size = math.ceil(len(known) / _POINTS) or 1
    bins = [known[start : start + size] for start in range(0, len(known), size)]
    return [
        (sum(step for step, _ in held) / len(held), sum(value for _, value in held) / len(held))
        for held in bins
    ]


def _spread(ends: list[tuple[float, str, str]], bottom: float) -> list[tuple[float, str, str]]:
    """The labels of curves, moved apart so that each can be read."""
    placed: list[tuple[float, str, str]] = []
    for y, text, kind in sorted(ends):
        above = placed[-1][0] + _APART if placed else TOP
        placed.append((max(y, above), text, kind))
    beyond = max(0.0, placed[-1][0] - bottom) if placed else 0.0
    return [(y - beyond, text, kind) for y, text, kind in placed]
