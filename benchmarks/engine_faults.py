"""An endpoint that fails on 30% of its calls: what becomes of the rows, and of the money.

    python benchmarks/engine_faults.py --rows 5000

The stub answers with bursts of 429 (without ``Retry-After``, with seconds, with a date), 500s,
silence, truncations, broken JSON, labels that there are not, empty answers and cut connections,
and keeps its own books. Then the same again with a cap that cannot last for all rows, where the
stub bills what it never answered too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from potstill.errors import BudgetReached
from potstill.spec.teacher import Endpoint, Price
from potstill.teacher.engine import Engine
from potstill.teacher.entries import Totals
from potstill.teacher.ledger import Ledger
from potstill.teacher.providers import open_provider
from potstill.teacher.request import Outcome, Request

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from stub_endpoint import INPUT_USD_PER_MILLION, OUTPUT_USD_PER_MILLION, running_stub

LABELS = ["card", "loan", "account", "none_of_these"]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": LABELS}},
    "required": ["label"],
    "additionalProperties": False,
}
PRICE = Price(
    input_usd_per_million=INPUT_USD_PER_MILLION, output_usd_per_million=OUTPUT_USD_PER_MILLION
)
CONCURRENCY = 128
TIMEOUT_S = 5.0
FAULTS = 0.3


def requests(rows: int) -> Iterator[Request]:
    for row in range(rows):
        yield Request(
            id=str(row),
            purpose="label",
            messages=(
                {"role": "system", "content": f"Which label fits? {', '.join(LABELS)}"},
                {"role": "user", "content": f"Complaint {row} about a card"},
            ),
            max_tokens=64,
            schema=SCHEMA,
        )


def ask(folder: Path, base_url: str, rows: int, cap_usd: float | None) -> tuple[list[Outcome], Any]:
    """All outcomes, and the ledger's totals with what it counts as gone."""
    provider = open_provider(Endpoint(model="stub", base_url=base_url, concurrency=CONCURRENCY))
    outcomes: list[Outcome] = []
    with (
        Ledger.open(folder / "ledger.sqlite") as ledger,
        Engine(
            provider, ledger, price=PRICE, cap_usd=cap_usd, timeout_s=TIMEOUT_S, rung="schema"
        ) as engine,
    ):
        try:
            outcomes.extend(engine.ask(requests(rows)))
        except BudgetReached as error:
            print(f"  stopped: {error}")
        return outcomes, (ledger.totals(), ledger.committed_usd())


def faults(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running_stub(faults=FAULTS, latency_ms=5) as stub:
        began = time.monotonic()
        outcomes, (totals, _) = ask(Path(folder), stub.base_url, rows, None)
        seconds, books = time.monotonic() - began, stub.books()
    once = Counter(outcome.request.id for outcome in outcomes)
    answered = sum(outcome.value is not None for outcome in outcomes)
    causes = Counter(outcome.fault for outcome in outcomes if outcome.fault is not None)
    print(f"{rows:,} rows, {FAULTS:.0%} of calls fail, {seconds:.0f} s, {books['calls']:,} calls")
    print(f"  the stub's faults: {books['by_fault']}")
    print(f"  rows: {answered:,} answered, {causes.total()} failed with a cause {dict(causes)}, ")
    print(f"    without an end {rows - len(once)}, doubled {len(outcomes) - len(once)}")
    report_money(totals, books)
    unknown = books["by_fault"].get("hang", 0) + books["by_fault"].get("closed", 0)
    fits = abs(totals.known_usd - books["billed_usd"]) < 0.005 and totals.unknown >= unknown
    if len(once) < rows or len(outcomes) > rows or answered + causes.total() < rows or not fits:
        raise SystemExit("FAILED")


def report_money(totals: Totals, books: dict[str, Any]) -> None:
    print(
        f"  money: ledger ${totals.known_usd:.6f}, stub ${books['billed_usd']:.6f}; "
        f"attempts: ledger {totals.attempts:,}, stub {books['calls']:,}; "
        f"of unknown price {totals.unknown} "
        f"({books['by_fault'].get('hang', 0)} hangs, {books['by_fault'].get('closed', 0)} cut)"
    )


def cap(rows: int, cap_usd: float) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stub(faults=FAULTS, latency_ms=5, bill_untold=True) as stub,
    ):
        print(f"{rows:,} rows with a cap of ${cap_usd:.2f}, what is never answered billed too")
        outcomes, (totals, committed) = ask(Path(folder), stub.base_url, rows, cap_usd)
        books = stub.books()
    report_money(totals, books)
    billed = books["billed_usd"] + books["untold_usd"]
    print(f"  {len(outcomes):,} rows ended; the stub billed ${billed:.6f} in all, ", end="")
    print(f"the ledger counts ${committed:.6f} as gone")
    if billed > cap_usd or committed > cap_usd:
        raise SystemExit("FAILED: the cap was passed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--cap-usd", type=float, default=0.2)
    arguments = parser.parse_args()
    faults(arguments.rows)
    cap(arguments.rows, arguments.cap_usd)


if __name__ == "__main__":
    main()
