"""Rows a second and CPU a request against an endpoint on loopback, beside two peers.

    python benchmarks/engine.py --curator-python curator/bin/python \
        --designer-python designer/bin/python

One stub endpoint in a process of its own answers each call after 20 ms; 128 calls may be in
flight. Each side asks it the same questions in a fresh process, one side after the other, as
often as ``--repeats`` says; medians are reported. Timed is the call that does the work, from
requests to answers on disk, without imports. CPU is that of the client's process, all of its
threads. A peer's environment needs ``bespokelabs-curator`` or ``data-designer``. Without a
network, point ``TIKTOKEN_CACHE_DIR`` at a folder with the tokenizer that both peers load
(litellm brings one: ``litellm/litellm_core_utils/tokenizers``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
LATENCY_MS = 20
CONCURRENCY = 128


def drive(rows: int, concurrency: int, base_url: str) -> None:
    """Our side."""
    from potstill.spec.teacher import Endpoint, Price
    from potstill.teacher.engine import Engine
    from potstill.teacher.ledger import Ledger
    from potstill.teacher.providers import open_provider
    from potstill.teacher.request import Request

    def requests() -> Iterator[Request]:
        for row in range(rows):
            yield Request(
                id=str(row),
                purpose="label",
                messages=(
                    {"role": "system", "content": "Which label fits the complaint?"},
                    {"role": "user", "content": f"Complaint {row} about a card"},
                ),
            )

    price = Price(input_usd_per_million=2.0, output_usd_per_million=8.0)
    endpoint = Endpoint(model="stub", base_url=base_url, concurrency=concurrency)
    with tempfile.TemporaryDirectory() as folder:
        began, cpu = time.monotonic(), time.process_time()
        with (
            Ledger.open(Path(folder) / "ledger.sqlite") as ledger,
            Engine(open_provider(endpoint), ledger, price=price, cap_usd=100.0) as engine,
        ):
            answers = [outcome.value for outcome in engine.ask(requests())]
        seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    assert answers == ["ok"] * rows
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu_seconds}))


def run_side(command: list[str]) -> dict[str, float]:
    """One measurement: the last line that a side prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:2]} failed:\n{done.stderr[-2000:]}")
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--curator-python", type=Path)
    parser.add_argument("--designer-python", type=Path)
    parser.add_argument("--drive", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        drive(arguments.rows, CONCURRENCY, arguments.drive)
        return
    compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    sys.path.insert(0, str(HERE.parent / "tests"))
    from stub_endpoint import running_stub

    rows = str(arguments.rows)
    with running_stub(latency_ms=LATENCY_MS) as stub:
        tail = [rows, str(CONCURRENCY), stub.base_url]
        sides = {"potstill": [sys.executable, __file__, "--rows", rows, "--drive", stub.base_url]}
        if arguments.curator_python:
            script = str(HERE / "engine_curator.py")
            sides["curator"] = [str(arguments.curator_python), script, *tail]
        if arguments.designer_python:
            script = str(HERE / "engine_designer.py")
            sides["data-designer"] = [str(arguments.designer_python), script, *tail]
        told: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(arguments.repeats):
            for side, command in sides.items():
                told[side].append(run_side(command))
    rates = {
        side: statistics.median(run["rows"] / run["seconds"] for run in runs)
        for side, runs in told.items()
    }
    for side, runs in told.items():
        cpu_ms = statistics.median(1000 * run["cpu_seconds"] / run["rows"] for run in runs)
        print(
            f"{side:>14}: {rates[side]:8,.0f} rows/s, {cpu_ms:6.2f} ms of CPU a request, "
            f"{rates['potstill'] / rates[side]:6.1f} times slower than potstill"
            if side != "potstill"
            else f"{side:>14}: {rates[side]:8,.0f} rows/s, {cpu_ms:6.2f} ms of CPU a request"
        )


if __name__ == "__main__":
    main()
