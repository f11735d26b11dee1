"""How well do the detectors of trace health find what they look for?

Reads the labelled thoughts of `make_traces.py` and prints precision and recall of each
detector, with 95% Wilson intervals: on the half on which the thresholds were chosen, on the
half that was kept for the report, on both, and on the real thoughts alone.

    python benchmarks/trace_health.py            # --wrong lists every mistake
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from potstill.filter import health

TRACES = Path(__file__).parent / "data" / "traces.jsonl"
DETECTORS = ("loop", "language_switch", "contradicts", "too_long")


def read_traces() -> list[dict[str, Any]]:
    with TRACES.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def found_in(row: dict[str, Any]) -> dict[str, str]:
    """Cause -> detail of what `health` finds in a row; its length is estimated."""
    examined = health(
        row["thought"],
        answer=row.get("answer"),
        labels=row.get("labels", ()),
        quotable=row.get("question", ""),
        max_tokens=row["max_tokens"],
    )
    return {finding.cause: finding.detail for finding in examined.findings}


def scores(
    rows: Iterable[dict[str, Any]], found: dict[str, dict[str, str]], cause: str
) -> tuple[int, int, int]:
    """(found rightly, found wrongly, missed)."""
    pairs = [(cause in row["faults"], cause in found[row["id"]]) for row in rows]
    return pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False))


def with_interval(right: int, total: int) -> str:
    if not total:
        return "-"
    interval = binomtest(right, total).proportion_ci(method="wilson")
    return f"{right / total:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wrong", action="store_true", help="list every mistake")
    parser.add_argument("--split", help="list mistakes of this split only")
    options = parser.parse_args()
    rows = read_traces()
    start = time.perf_counter()
    found = {row["id"]: found_in(row) for row in rows}
    seconds = time.perf_counter() - start
    parts = {
        "develop": [row for row in rows if row["split"] == "develop"],
        "report": [row for row in rows if row["split"] == "report"],
        "all": rows,
        "real": [row for row in rows if row["origin"] == "real"],
    }
    tokens = sum(row["tokens"] for row in rows)
    print(f"{len(rows)} thoughts, {tokens:,} tokens, {1e6 * seconds / tokens:.0f} µs a token\n")
    print("detector         rows       n   precision             recall")
    for cause in DETECTORS:
        for part, chosen in parts.items():
            right, wrong, missed = scores(chosen, found, cause)
            figures = [with_interval(right, total) for total in (right + wrong, right + missed)]
            print(f"{cause:16s} {part:8s}{right + missed:4d}   {figures[0]:20s}  {figures[1]}")
    if options.wrong:
        for row in rows:
            for cause in DETECTORS:
                is_, says = cause in row["faults"], cause in found[row["id"]]
                if is_ != says and options.split in (None, row["split"]):
                    kind = "missed" if is_ else "wrong "
                    detail = found[row["id"]].get(cause, row["thought"][:160])
                    print(
                        f"\n{kind} {cause} {row['id']} {row['family']} ({row['split']}): {detail!r}"
                    )


if __name__ == "__main__":
    main()
