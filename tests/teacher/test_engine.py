"""The engine with a scripted teacher: once for each request, paid for once, never past the cap."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import BudgetReached, TeacherError
from potstill.teacher.budget import most_of
from potstill.teacher.engine import Engine
from potstill.teacher.ledger import Ledger
from potstill.teacher.request import Outcome, Reply, Request, Rung
from stub_teacher import COST_USD, PRICE, SCHEMA, StubTeacher, by_id, engine, error, question, reply


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_each_request_has_one_outcome(path: Path) -> None:
    teacher = StubTeacher(lambda request: reply(f"to {request.id}"))
    with engine(path, teacher) as made:
        found = by_id(made.ask(question(row) for row in range(500)))
        assert made.provider is teacher
    assert {outcome.value for outcome in found.values()} == {f"to {row}" for row in range(500)}
    assert all(outcome.attempts == 1 for outcome in found.values())
    assert all(outcome.cost_usd == pytest.approx(COST_USD) for outcome in found.values())
    assert Counter(teacher.calls) == Counter(str(row) for row in range(500))
    assert teacher.closed
    with Ledger.open(path) as ledger:
        rows = {str(row.id): row for row in ledger.rows()}
        assert ledger.totals().known_usd == pytest.approx(500 * COST_USD)
    for outcome in found.values():
        assert rows[outcome.ledger].request == outcome.request.id


def test_nothing_to_ask_is_no_trouble(path: Path) -> None:
    with engine(path, StubTeacher()) as made:
        assert list(made.ask([])) == []


def test_what_was_answered_is_not_asked_again(path: Path) -> None:
    with engine(path, StubTeacher()) as made:
        first = by_id(made.ask(question(row) for row in range(50)))
    teacher = StubTeacher()
    with engine(path, teacher) as made:
        again = by_id(made.ask(question(row) for row in range(60)))
    assert sorted(teacher.calls) == sorted(str(row) for row in range(50, 60))
    for row, outcome in first.items():
        assert again[row].attempts == 0
        assert again[row].value == outcome.value
        assert again[row].ledger == outcome.ledger
        assert again[row].cost_usd == outcome.cost_usd


def test_another_teacher_or_sample_is_another_question(path: Path) -> None:
    with engine(path, StubTeacher()) as made:
        list(made.ask([question(0)]))
    other = StubTeacher(identity="other")
    with engine(path, other) as made:
        list(made.ask([question(0), question(0, sample=1), question(0, temperature=0.5)]))
    assert len(other.calls) == 3


def test_equal_questions_are_asked_once(path: Path) -> None:
    teacher = StubTeacher(delay_s=0.02)
    twins = [Request(id=name, purpose="label", messages=question(0).messages) for name in "abcdef"]
    with engine(path, teacher) as made:
        found = by_id(made.ask(twins))
    assert len(teacher.calls) == 1
    assert set(found) == set("abcdef")
    assert sorted(outcome.attempts for outcome in found.values()) == [0, 0, 0, 0, 0, 1]
    assert len({outcome.ledger for outcome in found.values()}) == 1


def test_requests_are_drawn_lazily_and_a_bounded_number_ahead(path: Path) -> None:
    drawn = 0

    def source() -> Iterator[Request]:
        nonlocal drawn
        for row in range(10_000):
            drawn += 1
            yield question(row)

    with engine(path, StubTeacher(concurrency=4)) as made:
        for read, _ in enumerate(made.ask(source())):
            assert drawn - read <= 16 + 32
            if read > 300:
                break


def test_no_more_calls_at_once_than_allowed(path: Path) -> None:
    teacher = StubTeacher(delay_s=0.002, concurrency=100)
    with engine(path, teacher, concurrency=7) as made:
        list(made.ask(question(row) for row in range(200)))
    assert teacher.most == 7


def test_a_slow_row_does_not_hold_the_others_up(path: Path) -> None:
    class Uneven(StubTeacher):
        async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
            if request.id == "0":
                await asyncio.sleep(0.5)
            return await super().complete(request, rung, timeout_s=timeout_s)

    with engine(path, Uneven(concurrency=2)) as made:
        order = [outcome.request.id for outcome in made.ask(question(row) for row in range(10))]
    assert order[-1] == "0"


def test_it_works_inside_a_running_event_loop(path: Path) -> None:
    async def caller() -> int:
        with engine(path, StubTeacher()) as made:
            return len(list(made.ask(question(row) for row in range(20))))

    assert asyncio.run(caller()) == 20


def test_two_iterators_share_an_engine(path: Path) -> None:
    teacher = StubTeacher()
    with engine(path, teacher) as made:
        one = made.ask(question(row) for row in range(100))
        two = made.ask(question(row) for row in range(50, 150))
        seen = [[], []]
        for left, right in zip(one, two, strict=True):
            seen[0].append(left.request.id)
            seen[1].append(right.request.id)
    assert sorted(seen[0]) == sorted(str(row) for row in range(100))
    assert sorted(seen[1]) == sorted(str(row) for row in range(50, 150))
    assert len(teacher.calls) == 150


# Answers


def test_structured_answers_are_parsed(path: Path) -> None:
    teacher = StubTeacher(lambda _: reply('{"label": "a"}'))
    with engine(path, teacher) as made:
        (outcome,) = made.ask([question(0, schema=SCHEMA)])
    assert outcome.value == {"label": "a"}
    assert outcome.rung == "schema"
    with engine(path, StubTeacher()) as made:
        (again,) = made.ask([question(0, schema=SCHEMA)])
    assert (again.value, again.rung, again.attempts) == ({"label": "a"}, "schema", 0)


@pytest.mark.parametrize("bad", ["{", '{"label": "c"}', ""])
def test_an_unusable_answer_is_asked_for_again_with_what_was_wrong(path: Path, bad: str) -> None:
    teacher = StubTeacher({"0": [reply(bad), reply('{"label": "b"}')]})
    with engine(path, teacher) as made:
        (outcome,) = made.ask([question(0, schema=SCHEMA)])
        assert outcome.value == {"label": "b"}
        assert outcome.attempts == 2
        assert outcome.cost_usd == pytest.approx(2 * COST_USD)
        states = [row.state for row in made._desk.ledger.rows()]
    assert states == ["unusable", "answered"]
    assert "cannot be used" in teacher.asked[1].messages[-1]["content"]
    assert all(turn["content"] for turn in teacher.asked[1].messages)


def test_repairs_have_an_end(path: Path) -> None:
    teacher = StubTeacher(lambda _: reply('{"label": "c"}'))
    with engine(path, teacher) as made:
        (outcome,) = made.ask([question(0, schema=SCHEMA)])
    assert (outcome.fault, outcome.attempts) == ("outside_schema", 3)
    assert outcome.value is None
    assert outcome.reply is not None
    assert "'c'" in outcome.detail
    assert outcome.cost_usd == pytest.approx(3 * COST_USD)


def test_a_reply_that_is_cut_off_is_asked_for_once_more_with_twice_the_room(path: Path) -> None:
    whole = '{"label": "a"}'
    teacher = StubTeacher(
        {
            "0": [reply(whole, finish_reason="length"), reply(whole)],
            "1": [reply(whole, finish_reason="length")],
        }
    )
    with engine(path, teacher) as made:
        found = by_id(made.ask(question(row, schema=SCHEMA, max_tokens=50) for row in range(2)))
    assert found["0"].value == {"label": "a"}
    assert [asked.max_tokens for asked in teacher.asked if asked.id == "0"] == [50, 100]
    assert (found["1"].fault, found["1"].value, found["1"].attempts) == ("cut_off", None, 2)


@pytest.mark.parametrize("fault", ["context_overflow", "content_filtered", "refused"])
def test_a_row_that_cannot_be_answered_fails_at_once(path: Path, fault: str) -> None:
    with engine(path, StubTeacher({"0": [error(fault)]})) as made:
        found = by_id(made.ask(question(row) for row in range(3)))
    assert (found["0"].fault, found["0"].attempts, found["0"].cost_usd) == (fault, 1, 0.0)
    assert found["1"].fault is None


def test_a_withheld_answer_is_content_filtered(path: Path) -> None:
    teacher = StubTeacher(lambda _: reply("", finish_reason="content_filter"))
    with engine(path, teacher) as made:
        (outcome,) = made.ask([question(0)])
    assert (outcome.fault, outcome.attempts) == ("content_filtered", 1)


def test_text_that_is_not_unicode_fails_its_row_alone(path: Path) -> None:
    with engine(path, StubTeacher()) as made:
        found = by_id(made.ask([question("\ud800"), question(1)]))
    assert found["\ud800"].fault == "refused"
    assert found["1"].fault is None


def test_a_reply_that_is_not_unicode_is_asked_for_again(path: Path) -> None:
    with engine(path, StubTeacher({"0": [reply("\ud800"), reply("fine")]})) as made:
        (outcome,) = made.ask([question(0)])
    assert (outcome.value, outcome.attempts) == ("fine", 2)


def test_the_rung_is_probed_once_and_remembered(path: Path) -> None:
    def move(request: Request) -> Reply:
        if request.purpose == "probe":
            return reply("blue" if request.id == "probe-schema" else '{"word": "quincunx"}')
        return reply('{"label": "a"}')

    teacher = StubTeacher(move, rungs=("schema", "json", "tagged"))
    asked = [question(row, schema=SCHEMA) for row in range(20)]
    with engine(path, teacher) as made:
        found = by_id(made.ask(asked))
        assert made._desk.ledger.totals("probe").attempts == 2
    assert {outcome.rung for outcome in found.values()} == {"json"}
    assert [call for call in teacher.calls if "probe" in call] == ["probe-schema", "probe-json"]
    again = StubTeacher(move, rungs=("schema", "json", "tagged"))
    with engine(path, again) as made:
        by_id(made.ask([*asked, question(20, schema=SCHEMA)]))
    assert again.calls == ["20"]


def test_a_teacher_that_keeps_to_no_form_stops_everything(path: Path) -> None:
    teacher = StubTeacher(lambda _: reply("blue"), rungs=("schema", "json", "tagged"))
    with engine(path, teacher) as made, pytest.raises(TeacherError, match="no form of answer"):
        list(made.ask(question(row, schema=SCHEMA) for row in range(20)))
    assert len(teacher.calls) == 3


# Money


def test_a_cap_without_a_price_is_refused_before_the_first_call(path: Path) -> None:
    teacher = StubTeacher()
    with (
        Ledger.open(path) as ledger,
        pytest.raises(TeacherError, match="price of stub is unknown"),
    ):
        Engine(teacher, ledger, price=None, cap_usd=1.0)
    assert teacher.calls == []


def test_the_cap_is_never_passed_and_almost_reached(path: Path) -> None:
    # Each call costs all that it can: the hardest case.
    def dearest(request: Request) -> Reply:
        sent = 144 + len(request.messages[0]["content"])
        return reply(prompt_tokens=sent, completion_tokens=request.max_tokens)

    bound = most_of(question(0, max_tokens=20), PRICE)
    assert bound is not None
    cap = 40.5 * bound
    outcomes: list[Outcome] = []
    with engine(path, StubTeacher(dearest, delay_s=0.002), cap_usd=cap) as made:
        with pytest.raises(BudgetReached, match="cap of"):
            for outcome in made.ask(question(row, max_tokens=20) for row in range(10, 99)):
                outcomes.append(outcome)
        spent = made._desk.ledger.totals().known_usd
    assert len(outcomes) == 40
    assert cap - bound < spent <= cap


def test_reservations_shrink_the_number_of_calls_and_not_the_work(path: Path) -> None:
    # A cap with room for two reservations, and money for many calls that cost far less.
    bound = most_of(question(0), PRICE)
    assert bound is not None
    teacher = StubTeacher(delay_s=0.001)
    with engine(path, teacher, cap_usd=2.5 * bound) as made:
        assert len(list(made.ask(question(row) for row in range(10)))) == 10
    assert teacher.most == 2


def test_a_raised_cap_goes_on_where_the_money_ran_out(path: Path) -> None:
    bound = most_of(question(0), PRICE)
    assert bound is not None
    outcomes = []
    with engine(path, StubTeacher(), cap_usd=2 * bound) as made, pytest.raises(BudgetReached):
        for outcome in made.ask(question(row) for row in range(100)):
            outcomes.append(outcome.request.id)
    teacher = StubTeacher()
    with engine(path, teacher, cap_usd=2 * bound) as made, pytest.raises(BudgetReached):
        list(made.ask(question(row) for row in range(100)))
    assert teacher.calls == []
    with engine(path, teacher, cap_usd=1000.0) as made:
        assert len(by_id(made.ask(question(row) for row in range(100)))) == 100
    assert sorted(teacher.calls + outcomes) == sorted(str(row) for row in range(100))


def test_an_unknown_cost_counts_at_its_upper_bound(path: Path) -> None:
    bound = most_of(question(0), PRICE)
    assert bound is not None
    teacher = StubTeacher(lambda _: reply(prompt_tokens=None), concurrency=1)
    with engine(path, teacher, cap_usd=3.5 * bound) as made:
        with pytest.raises(BudgetReached):
            list(made.ask(question(row) for row in range(10)))
        totals = made._desk.ledger.totals()
    assert (totals.attempts, totals.unknown, totals.known_usd) == (3, 3, 0.0)


def test_a_teacher_and_a_judge_share_a_ledger_and_its_cap(path: Path) -> None:
    bound = most_of(question(0), PRICE)
    assert bound is not None
    cap = 20 * bound
    outcomes = 0
    with Ledger.open(path) as ledger:
        given: dict[str, Any] = {"price": PRICE, "cap_usd": cap}
        teacher = StubTeacher(lambda _: reply(prompt_tokens=None), delay_s=0.001)
        judge = StubTeacher(lambda _: reply(prompt_tokens=None), delay_s=0.001, identity="judge")
        with Engine(teacher, ledger, **given) as one, Engine(judge, ledger, **given) as two:
            # In step, so that both threads write at once.
            pairs = zip(
                one.ask(map(question, range(99))), two.ask(map(question, range(99))), strict=True
            )
            with pytest.raises(BudgetReached):
                for _ in pairs:
                    outcomes += 1
        totals = ledger.totals()
        assert ledger.committed_usd() == pytest.approx(ledger.account.spent_usd)
        assert ledger.committed_usd() <= cap
    assert totals.attempts == len(teacher.calls) + len(judge.calls)
    assert totals.answered == totals.attempts <= 20
    assert outcomes > 0


# The end, expected or not
