from __future__ import annotations

import asyncio
import time

import pytest
from served import Topics

from potstill.serve.pool import Lane, Pace, Pool
from potstill.serve.refusal import Refusal


def run(work, *, workers=1, **options):
    """Run ``work(pool)`` with a pool that is started and closed around it."""

    async def main():
        pool = Pool(workers, **options)
        pool.start()
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(main())


def test_pace_is_learnt():
    pace = Pace(most_characters=100)
    pace.measure_first("a" * 60, 10.0)
    assert pace.expected_ms("a" * 60) == pytest.approx(10.0)
    assert pace.expected_ms("a" * 160) == pytest.approx(14.0)
    assert pace.expected_ms("a" * 9999) == pace.expected_ms("a" * 100)
    for _ in range(50):
        pace.learn(["a" * 60], 5.0)
    assert pace.expected_ms("a" * 60) == pytest.approx(5.0, rel=0.02)


def test_small_work_is_handed_over_together_and_large_work_alone():
    async def groups(pool, ms):
        lane = Lane(Topics(), Pace(ms_per_character=ms / 40))
        outcomes = await asyncio.gather(*(pool.answer(lane, [""]) for _ in range(40)))
        return max(outcome.group for [outcome] in outcomes)

    assert run(lambda pool: groups(pool, 0.05)) > 4
    assert run(lambda pool: groups(pool, 5.0)) == 1


def test_a_fault_costs_its_own_text_alone():
    async def work(pool):
        lane = Lane(Topics(), Pace(ms_per_character=1e-4))
        return await pool.answer(lane, ["card", "raise", "loan"])

    one, fault, other = (outcome.result for outcome in run(work))
    assert (one.target, other.target) == ("card", "loan")
    assert isinstance(fault, RuntimeError)


def test_who_gave_up_is_not_answered():
    servable = Topics(ms=30)

    async def work(pool):
        lane = Lane(servable, Pace(ms_per_character=1.0))
        waiting = [asyncio.ensure_future(pool.answer(lane, [f"card {n}"])) for n in range(10)]
        await asyncio.sleep(0.01)
        for task in waiting[1:]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.05)
        return pool.waiting, pool.expected_wait_ms

    assert run(work) == (0, 0.0)
    assert len(servable.asked) <= 2


def test_admission_by_expected_wait():
    async def work(pool):
        lane = Lane(Topics(ms=20), Pace(ms_per_character=20 / 40))
        waiting = []
        with pytest.raises(Refusal) as caught:
            for _ in range(100):
                pool.admit()
                waiting.append(asyncio.ensure_future(pool.answer(lane, [""])))
                await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        pool.admit()
        return len(waiting), caught.value

    admitted, refusal = run(work, objective_ms=200.0)
    assert 10 <= admitted <= 13  # ten of 20 ms wait 200 ms, and a few are answered meanwhile
    assert refusal.status == 429
    assert refusal.headers["retry-after"] == "1"


def test_a_document_is_in_nobodys_way():
    document = "a hang " * 2000

    async def work(pool):
        servable = Topics()
        lane = Lane(servable, Pace(1 << 40, document_ms_per_character=0.1))
        assert pool.check_documents(lane, [document], 30.0)
        reading = asyncio.ensure_future(pool.answer(lane, [document]))
        await asyncio.sleep(0.05)
        pool.admit()
        [outcome] = await asyncio.wait_for(pool.answer(lane, ["a card"]), 2)
        with pytest.raises(Refusal, match="other documents are read first") as caught:
            pool.check_documents(lane, [document], 2.0)
        servable.release.set()
        await reading
        return outcome.result.target, caught.value.status, pool.waiting

    assert run(work) == ("card", 429, 0)


def test_what_cannot_be_read_until_the_deadline_is_refused_at_once():
    async def work(pool):
        lane = Lane(Topics(), Pace(1 << 40, document_ms_per_character=0.1))
        assert not pool.check_documents(lane, ["a card"], 0.0)
        with pytest.raises(
            Refusal, match="1,000,000 characters; until the deadline, in 30 s, "
        ) as e:
            pool.check_documents(lane, ["a" * 1_000_000], 30.0)
        return e.value.status, "some 300,000" in e.value.message

    assert run(work) == (413, True)


def test_a_hung_thread_is_replaced():
    servable = Topics()

    async def work(pool):
        lane = Lane(servable)
        stuck = asyncio.ensure_future(pool.answer(lane, ["hang"]))
        await asyncio.sleep(0.05)
        behind = asyncio.ensure_future(pool.answer(lane, ["a card"]))
        assert pool.replace_hung() == 1
        [outcome] = await asyncio.wait_for(behind, 2)
        assert pool.waiting == 0
        servable.release.set()
        await stuck
        return outcome.result.target, pool.waiting

    assert run(work, hang_s=0.01) == ("card", 0)


def test_closing_answers_what_is_queued():
    async def work():
        pool = Pool(2)
        pool.start()
        lane = Lane(Topics(ms=5))
        waiting = [asyncio.ensure_future(pool.answer(lane, ["card"])) for _ in range(20)]
        await asyncio.sleep(0)
        await pool.close()
        begin = time.monotonic()
        outcomes = await asyncio.gather(*waiting)
        return len(outcomes), time.monotonic() - begin < 1.0

    assert asyncio.run(work()) == (20, True)
