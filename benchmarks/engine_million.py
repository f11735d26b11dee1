"""A million rows in bounded memory, and `kill -9` twenty times with nothing paid for twice.

    python benchmarks/engine_million.py --rows 1000000 --kills 20

First ten thousand rows and then all of them go through a teacher in this process, each in a
fresh process, and the peaks of resident memory are compared. Then a run with a teacher that
takes some milliseconds is killed at random moments and resumed until it is done. The teacher
writes down each call that it answers, the consumer each row that it is handed; from both, and
from the ledger, follows what was lost, doubled or asked again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from potstill.spec.teacher import Price
from potstill.teacher.engine import Engine
from potstill.teacher.ledger import Ledger
from potstill.teacher.request import Reply, Request, Rung

FEW_ROWS = 10_000
KILL_ROWS = 60_000
KILL_LATENCY_S = 0.005
PRICE = Price(input_usd_per_million=1.0, output_usd_per_million=4.0)


class Echo:
    """Answers each question with its own last words, and notes in a file that it did."""

    name = "echo"
    identity = "echo"
    endpoint = None
    concurrency = 16
    rungs: tuple[Rung, ...] = ("schema",)

    def __init__(self, latency_s: float, log: int | None) -> None:
        self.latency_s = latency_s
        self.log = log

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """The last turn, after a while."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s * random.uniform(0.5, 1.5))
        if self.log is not None:
            os.write(self.log, f"{os.getpid()} {request.id}\n".encode())
        said = request.messages[-1]["content"]
        return Reply(text=said, finish_reason="stop", prompt_tokens=40, completion_tokens=10)

    async def close(self) -> None:
        """Nothing to let go."""


def requests(rows: int) -> Iterator[Request]:
    """As many questions, made one by one."""
    for row in range(rows):
        yield Request(
            id=f"row-{row}",
            purpose="label",
            messages=(
                {"role": "system", "content": "Which label fits the complaint?"},
                {"role": "user", "content": f"Complaint {row} about a card that was charged"},
            ),
        )


def work(folder: Path, rows: int, latency_s: float) -> None:
    """Ask everything, as a process of its own, and print what came of it."""
    logs = [os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in LOGS]
    teacher_log, consumer_log = logs if latency_s else (None, None)
    seen: Counter[str] = Counter()
    wrong = 0
    began, cpu = time.monotonic(), time.process_time()
    with (
        Ledger.open(folder / "ledger.sqlite") as ledger,
        Engine(Echo(latency_s, teacher_log), ledger, price=PRICE) as engine,
    ):
        count = 0
        for outcome in engine.ask(requests(rows)):
            count += 1
            wrong += outcome.value != outcome.request.messages[-1]["content"]
            if consumer_log is not None:
                seen[outcome.request.id] += 1
                os.write(consumer_log, f"{os.getpid()} {outcome.request.id}\n".encode())
    seconds = time.monotonic() - began
    print(
        json.dumps(
            {
                "rows": count,
                "wrong": wrong,
                "doubled": sum(times - 1 for times in seen.values()),
                "rows_per_s": count / seconds,
                "cpu_us_per_row": (time.process_time() - cpu) / count * 1e6,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


LOGS = ("teacher.log", "consumer.log")


def start(folder: Path, rows: int, latency_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--work", str(folder)]
    command += ["--rows", str(rows), "--latency-s", str(latency_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, float]:
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return json.loads(printed)


def measure_memory(rows: int) -> None:
    peaks = []
    for count in (FEW_ROWS, rows):
        with tempfile.TemporaryDirectory() as folder:
            told = finish(start(Path(folder), count, 0.0))
            size_mb = (Path(folder) / "ledger.sqlite").stat().st_size / 1e6
        assert told["rows"] == count and not told["wrong"]
        peaks.append(told["peak_mb"])
        print(
            f"{count:>9,} rows: {told['rows_per_s']:,.0f} rows/s, "
            f"{told['cpu_us_per_row']:.0f} us of CPU a row, peak {told['peak_mb']:.0f} MB, "
            f"ledger {size_mb:.0f} MB",
            flush=True,
        )
    print(f"memory of {rows:,} rows above that of {FEW_ROWS:,}: {peaks[1] - peaks[0]:.0f} MB")


def measure_kills(kills: int, rows: int) -> None:
    generator = random.Random()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(kills):
            process = start(folder, rows, KILL_LATENCY_S)
            await_progress(process, folder / "teacher.log")
            time.sleep(generator.uniform(0.0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if process.returncode != -signal.SIGKILL:
                raise SystemExit("the run was done before it could be killed: take more rows")
        told = finish(start(folder, rows, KILL_LATENCY_S))
        report(folder, rows, kills, told)


def await_progress(process: subprocess.Popen[str], log: Path) -> None:
    """Until the teacher has answered something new in this process."""
    size = log.stat().st_size if log.exists() else 0
    while process.poll() is None and (not log.exists() or log.stat().st_size == size):
        time.sleep(0.002)


def report(folder: Path, rows: int, kills: int, told: dict[str, float]) -> None:
    answered = [line.split() for line in (folder / LOGS[0]).read_text().splitlines()]
    handed = [line.split() for line in (folder / LOGS[1]).read_text().splitlines()]
    order = {process: place for place, process in enumerate(dict.fromkeys(p for p, _ in answered))}
    first_handed: dict[str, int] = {}
    for process, row in handed:
        first_handed.setdefault(row, order.get(process, len(order)))
    again = sum(order[process] > first_handed[row] for process, row in answered)
    calls = Counter(row for _, row in answered)
    twice = sum(times - 1 for times in calls.values())
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        states = Counter(row.state for row in ledger.rows())
        keys = Counter(row.key for row in ledger.rows() if row.state == "answered")
    print(f"kill -9, {kills} times in {rows:,} rows ({len(answered):,} calls answered):")
    print(f"  rows in the end {told['rows']:,.0f}, lost {rows - len(keys):,}, ", end="")
    print(f"doubled {told['doubled'] + sum(n - 1 for n in keys.values()):.0f}, ", end="")
    print(f"wrong {told['wrong']:.0f}")
    print(f"  requests handed on as answered and asked again: {again}")
    print(f"  calls that the teacher answered twice: {twice} ", end="")
    print(f"(in flight at a kill: {states['lost']}, {Echo.concurrency} at once)")
    if again or rows != told["rows"] or rows != len(keys) or told["doubled"] or told["wrong"]:
        raise SystemExit("FAILED")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kill-rows", type=int, default=KILL_ROWS)
    parser.add_argument("--latency-s", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.rows, arguments.latency_s)
        return
    if arguments.rows:
        measure_memory(arguments.rows)
    if arguments.kills:
        measure_kills(arguments.kills, arguments.kill_rows)


if __name__ == "__main__":
    main()
