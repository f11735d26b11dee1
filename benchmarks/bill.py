"""What does a month of answers cost? One, ten and a hundred million, beside the teacher.

First one core answers the texts one at a time, as a report measures it. Then every core of the
machine does, each on its own, over and over: the bill counts on cores that do not slow one
another down. The bill is made from the slower of the two figures. Goal: far below USD 1,000 for
a hundred million complaints.

    python benchmarks/bill.py --model examples/complaints/model --data examples/complaints/gold.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from pathlib import Path

from potstill.evaluate import USD_PER_CORE_HOUR, measure_latency, monthly_bill
from potstill.runtime import Model

GOAL_USD = 1000.0


def texts_of(path: Path, column: str) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)[column] for line in file]


def together(folder: Path, texts: list[str], cores: int, seconds: float) -> float:
    """Core time of an answer in milliseconds, while all cores answer."""
    model = Model.load(folder, workers=1)
    answered = [0] * cores
    start, stop = threading.Barrier(cores), threading.Event()

    def answer(core: int) -> None:
        start.wait()
        while not stop.is_set():
            model.predict(texts[(answered[core] * cores + core) % len(texts)])
            answered[core] += 1

    threads = [threading.Thread(target=answer, args=(core,)) for core in range(cores)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return 1e3 * cores * (time.perf_counter() - began) / sum(answered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--data", type=Path, required=True, help="JSON lines of texts")
    parser.add_argument("--column", default="text")
    parser.add_argument("--teacher-usd-per-million", type=float, default=1500.0)
    parser.add_argument("--usd-per-core-hour", type=float, default=USD_PER_CORE_HOUR)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    options = parser.parse_args()

    texts = texts_of(options.data, options.column)
    model = Model.load(options.model, workers=1)
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(options.rounds):
        mean_ms = measure_latency(model.predict, texts, repeats=1).mean_ms
        assert mean_ms is not None
        alone.append(mean_ms)
        beside.append(together(options.model, texts, options.cores, options.seconds))
    one, many = statistics.median(alone), statistics.median(beside)
    print(f"{model.name}, {len(texts)} texts, medians of {options.rounds} rounds")
    print(f"one core alone: {one:.2f} ms an answer; each of {options.cores}: {many:.2f} ms")

    bill = monthly_bill(
        max(one, many),
        usd_per_core_hour=options.usd_per_core_hour,
        teacher="teacher",
        teacher_usd_per_million=options.teacher_usd_per_million,
    )
    print(f"USD {bill.usd_per_core_hour:g} a core-hour, cores planned to be {bill.busy:.0%} busy")
    print(f"{'requests a month':>18}{'cores':>7}{'USD':>10}{'teacher USD':>14}")
    for month in bill.months:
        teacher = f"{month.teacher_usd:,.0f}" if month.teacher_usd is not None else "unknown"
        print(f"{month.requests:18,}{month.cores:7}{month.usd:10,.2f}{teacher:>14}")
    dearest = bill.months[-1].usd
    print(f"goal below USD {GOAL_USD:,.0f}: {'met' if dearest < GOAL_USD else 'missed'}")


if __name__ == "__main__":
    main()
