"""How many threads answer: measured on the machine, for cores are not all alike."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from potstill.data.example import Input
from potstill.runtime.cores import cores
from potstill.serve.contract import Servable
from potstill.serve.registry import Registry

_log = logging.getLogger("potstill.serve")

TURN_S = 0.1
TURNS = 3
WORTH = 1.1
"""Fewer threads than cores must be faster by this factor: a measurement of a moment may err."""

_WORDS = "a customer writes about a card that was charged twice and asks for the money back "
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores_in_quota() -> int:
    """Cores that this process may use, a container's quota included."""
    usable = cores()
    try:
        quota, _, period = _QUOTA.read_text().partition(" ")
        usable = min(usable, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no quota, or not a Linux of today
        pass
    return usable


def choose_workers(registry: Registry) -> int:
    """The number of threads that answers most texts a second, by a short measurement.

    Measured are as many threads as cores, and half as many: what the system calls cores may be
    pairs that share one arithmetic unit. The first entry stands for all.
    """
    available = cores_in_quota()
    candidates = sorted({max(1, available // 2), available})
    if len(candidates) == 1 or not len(registry):
        return available
    free = [entry.current for entry in registry if entry.current.facts.free]
    if not free:
        return available
    first = free[0]
    text = (_WORDS * 4)[:300]
    value: Input = dict.fromkeys(first.facts.fields, text) if first.facts.fields else text
    found: dict[int, list[float]] = {count: [] for count in candidates}
    for _ in range(TURNS):
        for count in candidates:
            found[count].append(texts_per_s(first.lane.servable, value, count, TURN_S))
    rates = {count: median(each) for count, each in found.items()}
    best = max(candidates, key=lambda count: rates[count] / (WORTH if count < available else 1.0))
    found_rates = ", ".join(f"{count}: {rate:,.0f} texts/s" for count, rate in rates.items())
    _log.info("threads that answer: %d, as measured (%s)", best, found_rates)
    return best


def texts_per_s(servable: Servable, value: Input, threads: int, seconds: float) -> float:
    """How many times a second some threads answer an input, each by itself."""

    def work(end: float) -> int:
        done = 0
        while time.perf_counter() < end:
            servable.predict(value)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        begin = time.perf_counter()
        counts = list(pool.map(work, [begin + seconds] * threads))
        return sum(counts) / (time.perf_counter() - begin)
