"""What a month of answers costs: whole cores that run all month, beside the teacher.

A price of a million answers flatters what runs on a machine of its own, since the machine is
paid by night as well. A bill counts whole cores, each busy for a stated share of the month.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from potstill.errors import DataError
from potstill.evaluate.latency import USD_PER_CORE_HOUR
from potstill.evaluate.record import Record

HOURS_PER_MONTH = 730.0
"""A twelfth of a year."""

BUSY_SHARE = 0.5
"""Share of its time that a core answers; the rest is for peaks and for HTTP. A report states it."""

REQUESTS_PER_MONTH = (1_000_000, 10_000_000, 100_000_000)

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Month(Record):
    """The bill of one month.

    Attributes:
        requests: texts that are answered in the month.
        cores: whole cores that are rented for it.
        usd: price of the cores.
        teacher_usd: what the teacher would charge for the same answers; None is unknown.
        deferred_usd: what the teacher would charge for the share that the student defers; None
            where it defers nothing, or the teacher's price is unknown.
    """

    requests: int
    cores: int
    usd: float
    teacher_usd: float | None = None
    deferred_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill(Record):
    """Monthly bills, and what they rest on.

    Attributes:
        ms: mean core time of one answer, in milliseconds.
        answers_per_second: of one core that does nothing else.
        usd_per_core_hour: price of a core.
        busy: share of its time that a core answers.
        teacher: whose price stands beside; None where no teacher has one.
        deferred: share of the texts that the student leaves to others.
        months: one for each number of requests, fewest first.
    """

    ms: float
    answers_per_second: float
    usd_per_core_hour: float
    busy: float
    teacher: str | None
    deferred: float
    months: tuple[Month, ...]


def monthly_bill(
    ms: float,
    *,
    usd_per_core_hour: float = USD_PER_CORE_HOUR,
    busy: float = BUSY_SHARE,
    teacher: str | None = None,
    teacher_usd_per_million: float | None = None,
    deferred: float = 0.0,
) -> Bill:
    """The bills of one, ten and a hundred million requests a month.

    Args:
        ms: mean core time of one answer, in milliseconds.
        usd_per_core_hour: price of a core.
        busy: share of its time that a core answers.
        teacher: the name of the teacher whose price is known.
        teacher_usd_per_million: that price.
        deferred: share of the texts that the student leaves to others.

    Raises:
        DataError: a time, a price or a share that cannot be.
    """
    if ms <= 0 or usd_per_core_hour < 0 or not 0 < busy <= 1 or not 0 <= deferred <= 1:
        raise DataError(
            f"no bill can be made from {ms:g} ms an answer, USD {usd_per_core_hour:g} a core-hour, "
            f"{busy:g} busy and {deferred:g} deferred"
        )
    core_answers = busy * HOURS_PER_MONTH * 3_600_000.0 / ms

    def month(requests: int) -> Month:
        cores = math.ceil(requests / core_answers)
        theirs = teacher_usd_per_million
        charged = None if theirs is None else requests / _MILLION * theirs
        return Month(
            requests=requests,
            cores=cores,
            usd=cores * HOURS_PER_MONTH * usd_per_core_hour,
            teacher_usd=charged,
            deferred_usd=charged * deferred if charged is not None and deferred else None,
        )

    return Bill(
        ms=ms,
        answers_per_second=1000.0 / ms,
        usd_per_core_hour=usd_per_core_hour,
        busy=busy,
        teacher=teacher if teacher_usd_per_million is not None else None,
        deferred=deferred,
        months=tuple(map(month, REQUESTS_PER_MONTH)),
    )
