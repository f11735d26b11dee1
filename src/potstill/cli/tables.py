"""Tables that more than one line of a verb is needed for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.cli import terminal

if TYPE_CHECKING:
    from potstill.evaluate import Comparison


def print_report(report: Mapping[str, Any], folder: Path) -> None:
    """The main table of a report, its gates, and where the whole of it lies."""
    entries = report["entries"]
    metric = "micro_f1" if report["task"]["type"] == "multilabel" else "accuracy"
    terminal.print_table(
        [
            f"{entries[0]['evaluation']['n']:,} held-out rows",
            metric.replace("_", " "),
            "95% interval",
            "macro F1",
            "ms",
            "USD/million",
        ],
        [_entry_row(entry, metric) for entry in entries],
    )
    for gate in report["gates"]:
        bounds = [
            f"at {w} {gate[b]:g}"
            for w, b in (("least", "min"), ("most", "max"))
            if gate[b] is not None
        ]
        outcome = "met" if gate["passed"] else "FAILED"
        value = "unknown" if gate["value"] is None else f"{gate['value']:.3f}"
        print(f"gate {gate['name']}: {value}, {' and '.join(bounds)}: {outcome}")
    print(f"report: {folder / 'report.html'}")


def _entry_row(entry: Mapping[str, Any], metric: str) -> list[str]:
    metrics = entry["evaluation"]["metrics"]
    score, latency, price = metrics[metric], entry["latency"], entry["usd_per_million"]
    return [
        f"{entry['evaluation']['name']} ({entry['role']})",
        f"{score['value']:.3f}",
        f"{score['low']:.3f} to {score['high']:.3f}",
        f"{metrics['macro_f1']['value']:.3f}",
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
    print(
        f"only the first is right: {result.wins}; only the second: {result.losses}; "
        f"McNemar p = {result.p_value:.3g}: the first is {result.outcome}"
    )
    differing = [row for row in result.rows if row.outcome != "tie"][:examples]
    if differing:
        terminal.print_table(
            ["id", "gold", "first", "second"],
            [(row.id, _text(row.gold), _text(row.a), _text(row.b)) for row in differing],
            text_columns=4,
        )


def _text(target: object) -> str:
    if isinstance(target, tuple):
        return ", ".join(str(label) for label in target) or "none"
    return "no answer" if target is None else str(target)
