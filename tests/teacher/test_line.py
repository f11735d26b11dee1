"""One question at a time, from many threads, to a teacher that may be let go at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import BudgetReached, TeacherError
from potstill.spec.teacher import Price
from potstill.teacher.ledger import Ledger
from potstill.teacher.line import Line
from stub_teacher import StubTeacher, error, question, reply

PRICE = Price(input_usd_per_million=1000.0, output_usd_per_million=1000.0)


@contextmanager
def line(path: Path, teacher: StubTeacher, **given: Any) -> Iterator[Line]:
    settings: dict[str, Any] = {"price": PRICE, "cap_usd": None, "timeout_s": 5.0} | given
    with Ledger.open(path / "teacher.ledger") as ledger, Line(teacher, ledger, **settings) as made:
        yield made


def test_threads_ask_at_once_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    teacher = StubTeacher(lambda request: reply(f"to {request.id}"), delay_s=0.02)
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        (outcome,) = made.ask([question(number)])
        assert outcome.reply is not None
        found[number] = outcome.reply.text

    with line(tmp_path, teacher) as made:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {number: f"to {number}" for number in range(24)}
    assert 1 < teacher.most <= 8


def test_what_was_answered_is_in_the_ledger_and_not_asked_again(tmp_path: Path) -> None:
    teacher = StubTeacher()
    for attempts in (1, 0):
        with line(tmp_path, teacher) as made:
            (outcome,) = made.ask([question(1)])
            assert outcome.attempts == attempts
            assert outcome.cost_usd == pytest.approx(0.11)
    assert teacher.calls == ["1"]


def test_a_cap_that_is_reached_is_told_to_everyone_who_asks(tmp_path: Path) -> None:
    with line(tmp_path, StubTeacher(), cap_usd=0.8) as made:
        with pytest.raises(BudgetReached):
            for number in range(20):
                list(made.ask([question(number, max_tokens=100)]))
        with pytest.raises(BudgetReached):
            list(made.ask([question("late")]))
        assert made.spending.spent_usd is not None
        assert 0 < made.spending.spent_usd <= 0.8


def test_a_teacher_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    teacher = StubTeacher({"1": [error("refused", fatal=True, hint="Check the key.")]})
    with line(tmp_path, teacher) as made, pytest.raises(TeacherError, match=r"Check the key\."):
        list(made.ask([question(1)]))


def test_closing_ends_whoever_waits_at_once(tmp_path: Path) -> None:
    told: list[str] = []

    def ask(number: int) -> None:
        try:
            list(made.ask([question(number)]))
        except TeacherError as closed:
            told.append(closed.message)

    teacher = StubTeacher(delay_s=30.0)
    with line(tmp_path, teacher, timeout_s=60.0) as made:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        while len(teacher.calls) < 8:
            time.sleep(0.01)
        began = time.monotonic()
        made.close()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 2
        assert told == ["the teacher was let go while it was being asked."] * 12
        with pytest.raises(TeacherError, match="let go"):
            list(made.ask([question("late")]))
    # Calls that were cut off may have been charged: they count at the most that they can cost.
    with Ledger.open(tmp_path / "teacher.ledger") as ledger:
        assert ledger.totals().unknown == 8
        assert ledger.committed_usd() > 0
