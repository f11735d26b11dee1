"""Tables that more than one line of a verb is needed for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.cli import terminal

if TYPE_CHECKING:
    from potstill.api import Attributed
    from potstill.evaluate import Comparison, Interval
    from potstill.run.planning import Plan, Range


def print_report(report: Mapping[str, Any], folder: Path) -> None:
    """The main table of a report, its gates, and where the whole of it lies."""
    from potstill.evaluate.wording import METRIC_NAMES, SHOWN_METRICS

    entries = report["entries"]
    measured = entries[0]["evaluation"]["metrics"]
    first, *others = [m for m in SHOWN_METRICS[report["task"]["type"]] if m in measured]
    terminal.print_table(
        [
            f"{entries[0]['evaluation']['n']:,} held-out rows",
            METRIC_NAMES[first],
            "95% interval",
            METRIC_NAMES[others[0]],
            "ms",
            "USD/million",
        ],
        [_entry_row(entry, first, others[0]) for entry in entries],
    )
    _print_bill(report.get("bill"))
    for gate in report["gates"]:
        bounds = [
            f"at {w} {gate[b]:g}"
            for w, b in (("least", "min"), ("most", "max"))
            if gate[b] is not None
        ]
        outcome = "met" if gate["passed"] else "FAILED"
        value = "unknown" if gate["value"] is None else f"{gate['value']:.3f}"
        print(f"gate {gate['name']}: {value}, {' and '.join(bounds)}: {outcome}")
    if line := _teaching_line(report.get("teaching")):
        print(line)
    print(f"report: {folder / 'report.html'}")


def _teaching_line(teaching: Mapping[str, Any] | None) -> str | None:
    """What the teacher cost in this run, and what was planned."""
    if teaching is None or teaching["spending"] is None:
        return None
    total = teaching["spending"]["total"]
    spent, planned = total["spent"], total["planned"]
    paid = f"${spent['known_usd']:,.2f}"
    if spent["unknown"]:
        paid += f" and {spent['unknown']:,} calls of unknown price"
    plan = "unknown"
    if planned is not None and planned["usd"] is not None:
        usd = planned["usd"]
        plan = f"${usd['expected']:,.2f} (${usd['low']:,.2f} to ${usd['high']:,.2f})"
    return f"teacher: {paid} for {spent['attempts']:,} calls; planned {plan}"


def _print_bill(bill: Mapping[str, Any] | None) -> None:
    """What a month of requests costs on rented cores, beside the teacher."""
    if bill is None:
        return
    price = f"${bill['usd_per_core_hour']:g} a core-hour, {bill['busy']:.0%} busy"
    header = [f"requests a month, {price}", "cores", "USD"]
    if bill["teacher"] is not None:
        header.append(f"{bill['teacher']}, USD")
    terminal.print_table(header, [_month_row(month) for month in bill["months"]])


def _month_row(month: Mapping[str, Any]) -> list[str]:
    row = [f"{month['requests']:,}", f"{month['cores']:,}", f"{month['usd']:,.2f}"]
    return row if month["teacher_usd"] is None else [*row, f"{month['teacher_usd']:,.2f}"]


def _entry_row(entry: Mapping[str, Any], metric: str, second: str) -> list[str]:
    metrics = entry["evaluation"]["metrics"]
    score, latency, price = metrics[metric], entry["latency"], entry["usd_per_million"]
    return [
        f"{entry['evaluation']['name']} ({entry['role']})",
        f"{score['value']:.3f}",
        f"{score['low']:.3f} to {score['high']:.3f}",
        f"{metrics[second]['value']:.3f}",
        f"{latency['p50_ms']:,.1f}" if latency else "unknown",
        f"{price:,.2f}" if price is not None else "unknown",
    ]


def print_comparison(result: Comparison, examples: int) -> None:
    """Differences with intervals, wins and losses, and the first rows on which they differ."""
    first, second = result.names
    terminal.print_table(
        [f"{first} minus {second}, {result.n:,} rows", "difference", "95% interval"],
        [
            (name, f"{d.value:+.3f}", f"{d.low:+.3f} to {d.high:+.3f}")
            for name, d in result.differences.items()
        ],
    )
    from potstill.evaluate.wording import PAIRED_TESTS, target_text

    test = PAIRED_TESTS.get(result.kind, "McNemar")
    print(
        f"better in {result.wins} rows, worse in {result.losses}; {test} p = "
        f"{result.p_value:.3g}; by {result.primary} the first is {result.outcome}"
    )

    differing = [row for row in result.rows if row.outcome != "tie"][:examples]
    if differing:
        terminal.print_table(
            ["id", "gold", "first", "second"],
            [(row.id, *map(target_text, (row.gold, row.a, row.b))) for row in differing],
            text_columns=4,
        )


def print_plan(plan: Plan) -> None:
    """The plan of a live teacher's calls: one row a step, each figure as low - expected - high."""
    rows = [
        (
            step.name,
            _span(step.calls, "{:,.0f}"),
            _span(step.prompt_tokens, "{:,.0f}"),
            _span(step.completion_tokens, "{:,.0f}"),
            "unknown" if step.usd is None else _span(step.usd, "{:,.2f}"),
            _times(step.seconds),
        )
        for step in (*plan.steps, plan.total)
    ]
    terminal.print_table(
        [f"{plan.teacher}: low / expected / high", "calls", "tokens in", "out", "USD", "time"],
        rows,
    )
    print(f"price: {plan.priced}")
    if plan.pilot:
        print(f"lengths: measured on {plan.pilot} real rows, mean and two standard errors")
    else:
        print("lengths: prompts are counted, answers are rules of thumb")
    if plan.spent_usd:
        print(f"spent on this task so far, the pilot included: ${plan.spent_usd:,.4f}")


def _times(span: Range) -> str:
    if span.high < 120.0:
        return _span(span, "{:,.0f}") + " s"
    return _span(span.times(1 / 60), "{:,.1f}") + " min"


def _span(span: Range, shape: str) -> str:
    return " / ".join(shape.format(value) for value in (span.low, span.expected, span.high))


def print_attribution(found: Attributed, figures: Mapping[str, Interval]) -> None:
    """How good a workflow is as a whole, and each node's part in that."""
    whole = found.attribution
    figures = {"right, deferring rightly included": found.score, **figures}
    terminal.print_table(
        [f"{whole.rows:,} rows", "value", "95% interval"],
        [(name, f"{v.value:.3f}", f"{v.low:.3f} to {v.high:.3f}") for name, v in figures.items()],
    )
    terminal.print_table(
        [
            "node",
            "reached",
            "own error",
            "first fault",
            "if perfect",
            "gain, 95% interval",
            "ms",
            "USD",
        ],
        [
            (
                node.node,
                f"{node.reached:,}",
                "" if node.error is None else f"{node.error:.3f}",
                f"{node.first_fault:,}",
                f"{node.score_if_perfect:.3f}",
                _signed(found.gains[node.node]),
                f"{node.ms / node.reached:.2f}" if node.reached else "",
                "unknown" if node.usd is None else f"{node.usd:,.4g}",
            )
            for node in whole.nodes
        ],
    )


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
