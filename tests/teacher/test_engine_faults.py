"""Endpoints that misbehave: every row ends with an answer or a cause, and the money is right."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import BudgetReached, TeacherError
from potstill.spec.teacher import Endpoint, Price
from potstill.teacher.engine import Engine
from potstill.teacher.ledger import Ledger
from potstill.teacher.providers import open_provider
from potstill.teacher.request import Outcome, Request
from stub_endpoint import FAULTS, Running, running_stub
from stub_teacher import Move, StubTeacher, error, question, reply

PRICE = Price(input_usd_per_million=2.0, output_usd_per_million=8.0)
LABELS = ["card", "loan", "account"]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": LABELS}},
    "required": ["label"],
    "additionalProperties": False,
}
SERVER_FAULTS = ["server_error", "timed_out", "connection_lost", "unreadable"]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of a real endpoint, a hundred times shorter."""
    monkeypatch.setattr("potstill.teacher.pace._FIRST_WAIT_S", 0.005)
    monkeypatch.setattr("potstill.teacher.breaker._FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("potstill.teacher.breaker._LONGEST_PAUSE_S", 0.05)


@contextmanager
def engine(folder: Path, teacher: Any, **given: Any) -> Iterator[Engine]:
    options = {"price": PRICE} | given
    with (
        Ledger.open(folder / "ledger.sqlite") as ledger,
        Engine(teacher, ledger, **options) as made,
    ):
        yield made


def script(moves: dict[str, Sequence[Move]], **given: Any) -> StubTeacher:
    return StubTeacher(moves, **given)


# With a scripted teacher


@pytest.mark.parametrize("fault", SERVER_FAULTS)
def test_faults_of_the_server_are_retried_up_to_a_number(tmp_path: Path, fault: str) -> None:
    bad = error(fault)
    teacher = script({"0": [bad, bad, reply()], "1": [bad]})
    with engine(tmp_path, teacher, max_attempts=3) as made:
        found = {outcome.request.id: outcome for outcome in made.ask(map(question, range(4)))}
    assert (found["0"].fault, found["0"].attempts) == (None, 3)
    assert (found["1"].fault, found["1"].attempts) == (fault, 3)
    assert found["1"].detail == f"it was {fault}"


def test_a_limited_rate_uses_up_no_attempts(tmp_path: Path) -> None:
    limited = error("rate_limited", status=429, retry_after_s=0.001)
    teacher = script({"0": [limited] * 20 + [reply()]})
    with engine(tmp_path, teacher, max_attempts=2) as made:
        (outcome,) = made.ask([question(0)])
        assert made._desk.ledger.totals().by_fault == {"rate_limited": 20}
    assert (outcome.fault, outcome.attempts, outcome.cost_usd) == (None, 21, pytest.approx(28e-5))


def test_a_row_that_alone_is_turned_away_for_ever_fails(tmp_path: Path) -> None:
    limited = error("rate_limited", status=429, retry_after_s=0.0)
    with engine(tmp_path, script({"0": [limited]})) as made:
        found = {outcome.request.id: outcome for outcome in made.ask(map(question, range(300)))}
    assert found["0"].fault == "rate_limited"
    assert sum(outcome.fault is None for outcome in found.values()) == 299


def test_retry_after_holds_all_calls_back(tmp_path: Path) -> None:
    limited = error("rate_limited", status=429, retry_after_s=0.4)
    teacher = script({"0": [limited, reply()]}, concurrency=1)
    began = time.monotonic()
    with engine(tmp_path, teacher) as made:
        assert len(list(made.ask(map(question, range(3))))) == 3
    assert 0.4 <= time.monotonic() - began < 1.5
    # The row that was turned away goes first when the gate opens.
    assert teacher.calls == ["0", "0", "1", "2"]


def test_a_limited_rate_lowers_the_calls_at_once(tmp_path: Path) -> None:
    limited = error("rate_limited", status=429, retry_after_s=0.0)
    teacher = script({"0": [limited, reply()]}, concurrency=100, delay_s=0.001)
    with engine(tmp_path, teacher) as made:
        list(made.ask(map(question, range(2))))
        assert made.spending.concurrency == 70


def test_a_wait_beyond_all_patience_stops_the_run(tmp_path: Path) -> None:
    limited = error("rate_limited", status=429, retry_after_s=7200.0)
    teacher = script({"0": [limited]})
    with engine(tmp_path, teacher) as made, pytest.raises(TeacherError, match="7200 s"):
        list(made.ask(map(question, range(10))))


def test_an_outage_is_waited_out_and_no_row_fails_by_it(tmp_path: Path) -> None:
    calls = 0

    def down_for_a_while(request: Request) -> Move:
        nonlocal calls
        calls += 1
        return error("connection_lost") if 20 <= calls < 45 else reply()

    teacher = StubTeacher(down_for_a_while, delay_s=0.001)
    with engine(tmp_path, teacher, max_attempts=3) as made:
        outcomes = list(made.ask(map(question, range(100))))
    assert [outcome.fault for outcome in outcomes] == [None] * 100


def test_an_outage_without_end_stops_the_run_and_it_can_go_on(tmp_path: Path) -> None:
    answers = 0

    def dies(request: Request) -> Move:
        nonlocal answers
        answers += 1
        return reply() if answers <= 30 else error("connection_lost")

    outcomes: list[Outcome] = []
    teacher = StubTeacher(dies)
    with engine(tmp_path, teacher, patience_s=0.3) as made:
        with pytest.raises(TeacherError, match="does not answer: it was connection_lost"):
            for outcome in made.ask(map(question, range(200))):
                outcomes.append(outcome)
        answered = made._desk.ledger.totals().answered
    assert answered == 30
    assert sum(outcome.fault is None for outcome in outcomes) == 30
    # While it was down it was probed now and then, not hammered.
    assert len(teacher.calls) < 90
    again = StubTeacher()
    with engine(tmp_path, again) as made:
        assert len(list(made.ask(map(question, range(200))))) == 200
    assert len(again.calls) == 170


def test_a_provider_that_ignores_its_timeout_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.teacher.inquiry._GRACE_S", 0.05)
    teacher = StubTeacher(delay_s=30.0)
    with engine(tmp_path, teacher, timeout_s=0.05, max_attempts=2) as made:
        (outcome,) = made.ask([question(0)])
    # Whether it was charged nobody knows.
    assert (outcome.fault, outcome.attempts, outcome.cost_usd) == ("timed_out", 2, None)


def test_a_host_that_never_answers_stops_the_run_before_any_row_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.teacher.breaker._FIRST_CONTACT_S", 0.2)
    teacher = StubTeacher(lambda _: error("connection_lost"), concurrency=1)
    with engine(tmp_path, teacher) as made, pytest.raises(TeacherError, match="does not answer"):
        assert list(made.ask(map(question, range(10)))) == []


# With an endpoint that misbehaves on a third of the calls


def at(stub: Running, **given: Any) -> Any:
    return open_provider(Endpoint(model="stub", base_url=stub.base_url, **given))


def asked(rows: int) -> Iterator[Request]:
    for row in range(rows):
        turns = (
            {"role": "system", "content": f"Which label fits? {', '.join(LABELS)}"},
            {"role": "user", "content": f"complaint {row}"},
        )
        yield Request(id=str(row), purpose="label", messages=turns, max_tokens=64, schema=SCHEMA)  # type: ignore[arg-type]


def test_every_row_ends_and_the_money_is_right_to_the_cent(tmp_path: Path) -> None:
    rows = 160
    waits = ["", "0"]
    with running_stub(latency_ms=2, faults=0.3, retry_after=waits, bill_untold=True) as stub:
        with engine(tmp_path, at(stub), rung="schema", timeout_s=0.8, concurrency=24) as made:
            outcomes = list(made.ask(asked(rows)))
            totals = made._desk.ledger.totals()
            gone = made._desk.ledger.committed_usd()
        books = stub.books()
    assert Counter(outcome.request.id for outcome in outcomes) == Counter(map(str, range(rows)))
    for outcome in outcomes:
        assert (outcome.value is None) == (outcome.fault is not None)
        assert outcome.fault is None or outcome.detail
        assert outcome.fault is not None or outcome.value["label"] in LABELS
    assert sum(outcome.fault is None for outcome in outcomes) > 0.9 * rows
    assert set(books["by_fault"]) == set(FAULTS)
    assert totals.known_usd == pytest.approx(books["billed_usd"], abs=1e-9)
    assert totals.prompt_tokens == books["prompt_tokens"]
    # Calls that ended without a reply have no known price, and count in full.
    assert totals.unknown >= books["by_fault"]["hang"] + books["by_fault"]["closed"]
    assert gone >= books["billed_usd"] + books["untold_usd"]


def test_the_cap_holds_for_what_the_endpoint_bills_without_telling(tmp_path: Path) -> None:
    cap = 0.02
    with running_stub(latency_ms=2, faults=0.3, retry_after=["0"], bill_untold=True) as stub:
        with (
            engine(
                tmp_path, at(stub), rung="schema", timeout_s=1.0, concurrency=24, cap_usd=cap
            ) as made,
            pytest.raises(BudgetReached),
        ):
            list(made.ask(asked(5000)))
        books = stub.books()
    assert books["billed_usd"] + books["untold_usd"] <= cap
    assert books["billed_usd"] > 0.2 * cap
