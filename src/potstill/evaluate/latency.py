"""Time of one answer, and what a million answers cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from potstill.data import Input
from potstill.errors import DataError
from potstill.evaluate.record import Record

USD_PER_CORE_HOUR = 0.05
"""Price of one core of a rented server for an hour, where a caller does not say otherwise;
round figure for on-demand general-purpose machines. A report states the price it used."""

WARM_UP_CALLS = 20

_MS_PER_HOUR = 3_600_000.0
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Record):
    """How long one answer takes, asked one at a time.

    Attributes:
        p50_ms: half of the answers take at most this long.
        p95_ms: 95% of the answers take at most this long.
        p99_ms: 99% of the answers take at most this long.
        n: answers that were timed.
        measured: timed here; otherwise taken from the recorded answers of a teacher.
        mean_ms: mean time of an answer: what a core's throughput rests on; None where a report
            of an older version does not hold it.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    n: int
    measured: bool = True
    mean_ms: float | None = None

    @classmethod
    def of_seconds(cls, seconds: Sequence[float], *, measured: bool = False) -> Latency:
        """Summarise times of single answers, a teacher's recorded ones for instance.

        Args:
            seconds: one an answer.
            measured: whether they were timed here.

        Raises:
            DataError: there is none.
        """
        if not seconds:
            raise DataError("there is no time to summarise")
        ms = 1000.0 * np.asarray(seconds)
        p50, p95, p99 = np.quantile(ms, (0.5, 0.95, 0.99)).tolist()
        return cls(
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            n=len(seconds),
            measured=measured,
            mean_ms=float(ms.mean()),
        )


def measure_latency(
    predict_one: Callable[[Input], object], inputs: Sequence[Input], *, repeats: int = 3
) -> Latency:
    """Time single answers on this machine, after a warm-up that is not counted.

    Args:
        predict_one: answers one input.
        inputs: real inputs; their lengths decide the times.
        repeats: how often each input is asked.

    Raises:
        DataError: there is no input, or `repeats` is below one.
    """
    if not inputs or repeats < 1:
        raise DataError("latency needs at least one input and one repeat")
    for index in range(WARM_UP_CALLS):
        predict_one(inputs[index % len(inputs)])
    seconds: list[float] = []
    for _ in range(repeats):
        for value in inputs:
            started = time.perf_counter()
            predict_one(value)
            seconds.append(time.perf_counter() - started)
    return Latency.of_seconds(seconds, measured=True)


def usd_per_million(ms: float, usd_per_core_hour: float = USD_PER_CORE_HOUR) -> float:
    """Price of a million answers on one rented core that is always busy.

    Args:
        ms: core time of one answer, in milliseconds (the mean or median latency of a
            predictor that uses one core).
        usd_per_core_hour: price of the core.
    """
    return ms * _MILLION / _MS_PER_HOUR * usd_per_core_hour
