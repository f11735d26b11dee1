"""How many calls at once, how long to wait, and when to stop asking."""

from __future__ import annotations

import pytest

from potstill.teacher.breaker import Breaker
from potstill.teacher.pace import Pace, jittered_wait_s


def limited(pace: Pace, *, began: float, now: float, wait: float | None = 0.0) -> None:
    pace.limited(began=began, now=now, retry_after_s=wait)


def test_a_burst_cuts_once() -> None:
    pace = Pace(100)
    for _ in range(40):
        limited(pace, began=9.0, now=10.0)
    assert pace.limit == 70
    limited(pace, began=10.5, now=11.0)
    assert pace.limit == 49


def test_it_never_falls_below_one_call() -> None:
    pace = Pace(4)
    for second in range(100):
        limited(pace, began=second, now=second)
    assert pace.limit == 1


def test_it_grows_by_one_for_as_many_answers_as_there_are_calls_at_once() -> None:
    pace = Pace(100)
    limited(pace, began=0.0, now=0.0)
    for _ in range(71):
        pace.answered()
    assert pace.limit == 71
    for _ in range(100_000):
        pace.answered()
    assert pace.limit == 100


def test_retry_after_is_honoured_to_the_second() -> None:
    pace = Pace(10)
    limited(pace, began=0.0, now=100.0, wait=7.0)
    assert pace.resumes_at == 107.0
    limited(pace, began=0.0, now=101.0, wait=2.0)
    assert pace.resumes_at == 107.0
    limited(pace, began=0.0, now=102.0, wait=30.0)
    assert pace.resumes_at == 132.0


def test_without_retry_after_it_still_waits() -> None:
    pace = Pace(10)
    for burst in range(50):
        limited(pace, began=100.0 + burst, now=100.0 + burst, wait=None)
    assert 100.0 < pace.resumes_at <= 149.0 + 30.0


def test_jitter_is_full_and_bounded() -> None:
    waits = [jittered_wait_s(3) for _ in range(2000)]
    assert 0.0 <= min(waits) < 0.1
    assert 1.9 < max(waits) <= 2.0
    assert max(jittered_wait_s(500) for _ in range(200)) <= 30.0


def failed(breaker: Breaker, *, began: float, now: float, at_once: int = 1) -> None:
    breaker.failed(began=began, now=now, at_once=at_once)


def test_it_opens_after_failures_in_a_row_alone() -> None:
    breaker = Breaker(300.0)
    for _ in range(4):
        failed(breaker, began=0.0, now=0.0)
    breaker.answered()
    for _ in range(4):
        failed(breaker, began=0.0, now=0.0)
    assert not breaker.open
    failed(breaker, began=0.0, now=0.0)
    assert breaker.open


def test_one_hiccup_of_all_calls_in_flight_does_not_open_it() -> None:
    breaker = Breaker(300.0)
    for _ in range(127):
        failed(breaker, began=0.0, now=0.0, at_once=128)
    assert not breaker.open


def test_probes_come_at_pauses_that_double_and_an_answer_closes_it() -> None:
    breaker = Breaker(300.0)
    for _ in range(5):
        failed(breaker, began=0.0, now=0.0)
    assert breaker.probes_at == 1.0
    failed(breaker, began=-1.0, now=0.5)  # from before it opened: no probe
    assert breaker.probes_at == 1.0
    failed(breaker, began=1.0, now=1.0)
    assert breaker.probes_at == 3.0
    failed(breaker, began=3.0, now=3.0)
    assert breaker.probes_at == 7.0
    breaker.answered()
    assert not breaker.open


@pytest.mark.parametrize("limited_too", [True, False])
def test_patience_has_its_end(limited_too: bool) -> None:
    breaker = Breaker(300.0)
    breaker.answered()
    failed(breaker, began=0.0, now=50.0)
    if limited_too:
        breaker.limited(200.0)
    assert not breaker.gave_up(350.0)
    assert breaker.gave_up(350.5)
    breaker.answered()
    assert not breaker.gave_up(1e9)


def test_an_endpoint_that_was_never_heard_of_is_given_up_soon() -> None:
    breaker = Breaker(300.0)
    failed(breaker, began=0.0, now=50.0)
    assert not breaker.gave_up(65.0)
    assert breaker.gave_up(65.5)
    breaker.limited(66.0)  # turned away: so it is there
    assert not breaker.gave_up(66.0)
