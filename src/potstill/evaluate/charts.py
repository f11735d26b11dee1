"""The charts of the report, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from potstill.evaluate.calibration import Calibration, CoveragePoint
from potstill.evaluate.dots import TOP, DotPlot
from potstill.evaluate.figures import SMALLEST_SHOWN, Numbers, milliseconds
from potstill.evaluate.intervals import Interval
from potstill.evaluate.latency import Latency
from potstill.evaluate.metrics import Evaluation
from potstill.evaluate.report import Entry, Report
from potstill.evaluate.svg import Drawing, nice_ticks, shorten, text_width

HEAT_MAP_LABELS = 25
"""Above this many labels a heat map cannot be read, and confused pairs are listed instead."""

_COUNTED_LABELS = 12
_DECADES_NAMED = 5
_FAR_BELOW = 0.3
_ROWS_FOR_A_POINT = 10


def score_chart(report: Report, metric_name: str) -> Markup:
    """The primary metric of every predictor, with intervals; the student's is carried down."""
    entries = report.entries
    numbers = Numbers(report.student.evaluation.n)
    scores = [entry.evaluation.score for entry in entries]
    mine = report.student.evaluation.score
    # A predictor far below, as majority often is, would press all others together.
    near = [score for score in scores if score.low >= mine.low - _FAR_BELOW]
    low = math.floor(min(score.low for score in near) * 20) / 20
    high = math.ceil(max(score.high for score in near) * 20) / 20
    high = max(high, low + 0.05)
    rows = DotPlot(
        "scores",
        title=f"{metric_name} of every predictor",
        description="; ".join(
            f"{entry.name} {numbers.interval(score)}"
            for entry, score in zip(entries, scores, strict=True)
        ),
        count=len(entries),
    )

    def x(value: float) -> float:
        return rows.left + (value - low) / (high - low) * rows.span

    rows.board.box(x(mine.low), TOP, x(mine.high) - x(mine.low), rows.depth, "band")
    for tick in nice_ticks(low, high):
        rows.tick(x(tick), f"{tick:g}")
    rows.caption(f"{metric_name}, with 95% interval")
    for index, (entry, score) in enumerate(zip(entries, scores, strict=True)):
        if score.value < low:
            rows.beyond(index, entry.role, entry.name)
        else:
            low_x, high_x = x(max(score.low, low)), x(score.high)
            rows.whisker(index, entry.role, low_x, x(score.value), high_x, entry.name)
        rows.name(index, entry.role, entry.name, numbers.share(score.value))
    return rows.markup()


def latency_chart(entries: Sequence[Entry]) -> Markup:
    """Time of one answer on a logarithmic axis, from the median to the 95th percentile."""
    timed = [(entry, entry.latency) for entry in entries if entry.latency is not None]
    least = min(_log_ms(time.p50_ms) for _, time in timed)
    most = max(_log_ms(time.p95_ms) for _, time in timed)
    low, high = math.floor(least), max(math.ceil(most), math.floor(least) + 1)
    rows = DotPlot(
        "latency",
        title="Time of one answer",
        description="; ".join(_spoken(entry, time) for entry, time in timed),
        count=len(timed),
    )

    def x(value_ms: float) -> float:
        return rows.left + (_log_ms(value_ms) - low) / (high - low) * rows.span

    every = math.ceil((high - low) / _DECADES_NAMED)
    for power in range(low, high + 1):
        rows.tick(x(10.0**power), _decade(power) if (power - low) % every == 0 else "")
    rows.caption("time of one answer, median to 95th percentile, logarithmic")
    for index, (entry, time) in enumerate(timed):
        median, slow = x(time.p50_ms), x(time.p95_ms)
        rows.whisker(index, entry.role, median, median, slow, entry.name)
        rows.name(index, entry.role, entry.name, f"{milliseconds(time.p50_ms)} ms")
    return rows.markup()


def reliability_chart(judged: Calibration) -> Markup:
    """Accuracy against confidence, with the rows of each bin below; honest is the diagonal."""
    side, left, top, strip = 300.0, 52.0, 12.0, 44.0
    bottom = top + side
    spoken = "; ".join(
        f"confidence {bin.confidence:.2f}: {bin.accuracy.value:.2f} right of {bin.n}"
        for bin in judged.bins
    )
    board = Drawing(
        "reliability",
        title="Reliability curve",
        description=f"Share of right answers by stated confidence. {spoken}.",
        width=left + side + 16,
        height=bottom + strip + 58,
    )
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        board.line(left, bottom - tick * side, left + side, bottom - tick * side, "grid")
        board.text(left - 8, bottom - tick * side + 4, f"{tick:g}", anchor="end")
        board.text(left + tick * side, bottom + strip + 26, f"{tick:g}", anchor="middle")
    board.line(left, bottom, left + side, top, "diagonal")
    most = max(bin.n for bin in judged.bins)
    points = [
        (left + bin.confidence * side, bottom - bin.accuracy.value * side) for bin in judged.bins
    ]
    board.path(points, "curve student")
    for bin, (x, y) in zip(judged.bins, points, strict=True):
        tip = f"{bin.n} rows, confidence {bin.confidence:.2f}, accuracy {bin.accuracy}"
        high, low = bottom - bin.accuracy.high * side, bottom - bin.accuracy.low * side
        board.line(x, high, x, low, "whisker student")
        board.disc(x, y, 4.5, "mark student", tip=tip)
        height = bin.n / most * strip
        across, wide = left + bin.low * side + 1, (bin.high - bin.low) * side - 2
        board.box(across, bottom + strip + 8 - height, wide, height, "bar", tip=tip)
    board.line(left, bottom + strip + 8, left + side, bottom + strip + 8, "axis")
    board.text(left - 8, bottom + strip + 6, "rows", "hint", anchor="end")
    board.text(left + side / 2, bottom + strip + 48, "confidence", "caption", anchor="middle")
    board.text(14, top + side / 2, "share right", "caption", anchor="middle", turn=-90)
    return board.markup()


def coverage_chart(curve: Sequence[CoveragePoint], teacher: Entry | None) -> Markup:
    """Accuracy of the surest answers, by the share of rows that they cover."""
    # The first few answers alone say nothing, and would stretch the axis.
    curve = [point for point in curve if point.n >= _ROWS_FOR_A_POINT] or list(curve)
    wide, tall, left, top = 410.0, 300.0, 52.0, 12.0
    bottom = top + tall
    yardstick = None if teacher is None else teacher.evaluation.metrics["accuracy"].value
    least = min([point.accuracy.low for point in curve] + ([yardstick] if yardstick else []))
    floor = min(math.floor(least * 10) / 10, 0.9)
    board = Drawing(
        "coverage",
        title="Accuracy against coverage",
        description="; ".join(
            f"{point.coverage:.0%} of the rows: {point.accuracy}" for point in curve[::8]
        ),
        width=left + wide + 16,
        height=bottom + 58,
    )

    def at(coverage: float, accuracy: float) -> tuple[float, float]:
        return left + coverage * wide, bottom - (accuracy - floor) / (1 - floor) * tall

    for tick in nice_ticks(floor, 1.0):
        _, y = at(0, tick)
        board.line(left, y, left + wide, y, "grid")
        board.text(left - 8, y + 4, f"{tick:g}", anchor="end")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        board.text(at(tick, 0)[0], bottom + 20, f"{tick:.0%}", anchor="middle")
    edge = [at(point.coverage, point.accuracy.high) for point in curve]
    edge += [at(point.coverage, point.accuracy.low) for point in reversed(curve)]
    board.polygon(edge, "area")
    if teacher is not None and yardstick is not None:
        _, y = at(0, yardstick)
        board.line(left, y, left + wide, y, "reference teacher")
        name = shorten(f"{teacher.name}, all rows", wide - 20)
        board.text(left + 6, y + 16, name, "label teacher")
    board.path([at(point.coverage, point.accuracy.value) for point in curve], "curve student")
    last = curve[-1]
    tip = f"confidence {last.threshold:.2f} and above: {last.accuracy}"
    board.disc(*at(last.coverage, last.accuracy.value), 4.5, "mark student", tip=tip)
    board.line(left, bottom, left + wide, bottom, "axis")
    caption = "share of rows answered, surest first"
    board.text(left + wide / 2, bottom + 44, caption, "caption", anchor="middle")
    board.text(14, top + tall / 2, "share right", "caption", anchor="middle", turn=-90)
    return board.markup()


def heat_map(evaluation: Evaluation) -> Markup:
    """Gold against answer for up to `HEAT_MAP_LABELS` labels; shade is the share of the row."""
    labels = evaluation.labels
    counts = {(pair.gold, pair.predicted): pair.n for pair in evaluation.confusion}
    columns: list[str | None] = list(labels)
    if evaluation.unanswered:
        columns.append(None)
    counted = len(labels) <= _COUNTED_LABELS
    cell = 46.0 if len(labels) <= 8 else 34.0 if counted else 22.0
    longest = max(text_width(label) for label in labels)
    margin = min(longest + 14, 190.0)
    head = min(longest * 0.72 + 24, 130.0) if len(columns) > 1 else 30.0
    # The last heading leans out to the right.
    board = Drawing(
        "confusion",
        title="Confusion of labels",
        description="; ".join(
            f"{pair.gold} answered as {pair.predicted or 'nothing'}: {pair.n}"
            for pair in evaluation.confusion[:40]
            if pair.gold != pair.predicted
        )
        or "No label was confused with another.",
        width=margin + cell * len(columns) + head * 0.9 + 16,
        height=head + cell * len(labels) + 30,
    )
    for place, label in enumerate(columns):
        x = margin + (place + 0.5) * cell
        text = shorten(label or "no answer", (head - 20) / 0.72)
        board.text(x, head - 8, text, "tick", turn=-45, tip=label or "no answer")
    support = {score.label: score.support for score in evaluation.per_label}
    for line, gold in enumerate(labels):
        y = head + line * cell
        name = shorten(gold, margin - 14)
        board.text(margin - 8, y + cell / 2 + 4, name, "tick", anchor="end", tip=gold)
        for place, answer in enumerate(columns):
            n = counts.get((gold, answer), 0)
            share = n / support[gold] if support[gold] else 0.0
            kind = "cell right" if gold == answer else "cell wrong"
            x = margin + place * cell
            board.box(x + 1, y + 1, cell - 2, cell - 2, "cell empty")
            if n == 0:
                continue
            tip = f"{gold} answered as {answer or 'nothing'}: {n} of {support[gold]}"
            board.box(x + 1, y + 1, cell - 2, cell - 2, kind, opacity=_shade(share), tip=tip)
            if counted:
                ink = "count over" if _shade(share) > 0.55 else "count"
                board.text(x + cell / 2, y + cell / 2 + 4, str(n), ink, anchor="middle")
    foot = head + cell * len(labels) + 20
    board.text(margin, foot, "rows: wanted · columns: answered", "caption")
    return board.markup()


def interval_strip(interval: Interval) -> Markup:
    """A score and its interval on a short line from 0 to 1, beside the figures in a table."""
    wide, mid = 120.0, 8.0
    board = Drawing("strip", width=wide + 10, height=2 * mid)
    board.line(5, mid, 5 + wide, mid, "grid")
    board.line(5 + interval.low * wide, mid, 5 + interval.high * wide, mid, "whisker student")
    board.disc(5 + interval.value * wide, mid, 3.5, "mark student")
    return board.markup()


def _shade(share: float) -> float:
    return 0.12 + 0.88 * min(share, 1.0)


def _log_ms(value_ms: float) -> float:
    return math.log10(max(value_ms, SMALLEST_SHOWN))


def _decade(power: int) -> str:
    if power >= 3:
        return f"{10 ** (power - 3):,} s"
    return f"{10**power} ms" if power >= 0 else f"{10.0**power:g} ms"


def _spoken(entry: Entry, time: Latency) -> str:
    return (
        f"{entry.name}: median {milliseconds(time.p50_ms)} ms, "
        f"95th percentile {milliseconds(time.p95_ms)} ms"
    )
