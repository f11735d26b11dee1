"""How an engine ends: errors, consumers that stop, full disks, kills, and what is kept of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from potstill.errors import StorageError, TeacherError
from potstill.teacher.ledger import Ledger
from potstill.teacher.progress import Spending
from potstill.teacher.request import Outcome, Reply, Request, Rung
from stub_teacher import COST_USD, StubTeacher, by_id, engine, error, question, reply


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_an_error_in_the_requests_reaches_the_caller(path: Path) -> None:
    def source() -> Iterator[Request]:
        yield from (question(row) for row in range(100))
        raise ZeroDivisionError("row 100")

    teacher = StubTeacher(delay_s=0.02)
    with engine(path, teacher) as made:
        with pytest.raises(ZeroDivisionError, match="row 100"):
            list(made.ask(source()))
        # What had been asked was waited for, and kept.
        assert made._desk.ledger.totals().answered == len(teacher.calls) > 0


def test_a_consumer_that_stops_early_leaves_nothing_behind(path: Path) -> None:
    teacher = StubTeacher(delay_s=0.01)
    with engine(path, teacher) as made:
        outcomes = made.ask(question(row) for row in range(1000))
        next(outcomes)
        outcomes.close()
        calls = len(teacher.calls)
        assert teacher.in_flight == 0
        states = Counter(row.state for row in made._desk.ledger.rows())
        assert states == {"answered": calls}
        assert made.spending.in_flight == 0
        # The engine is none the worse for it.
        assert len(list(made.ask(question(row) for row in range(30)))) == 30


def test_an_engine_that_is_closed_ends_what_was_being_asked(path: Path) -> None:
    teacher = StubTeacher(delay_s=0.01)
    with engine(path, teacher) as made:
        outcomes = made.ask(map(question, range(1000)))
        next(outcomes)
    assert teacher.in_flight == 0
    outcomes.close()
    with Ledger.open(path) as ledger:
        assert {row.state for row in ledger.rows()} == {"answered"}


def test_calls_that_outlast_the_grace_are_marked_as_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.teacher.engine._GRACE_S", 0.05)

    class Stuck(StubTeacher):
        async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
            if request.id == "1":
                await asyncio.sleep(60.0)
            return await super().complete(request, rung, timeout_s=timeout_s)

    with engine(path, Stuck(concurrency=2)) as made:
        for _ in made.ask(question(row) for row in range(5)):
            break
        rows = {row.request: row for row in made._desk.ledger.rows()}
        assert rows["1"].state == "lost"
        assert rows["1"].cost_usd is None
        # An unknown cost is counted in full.
        assert made.spending.spent_usd == pytest.approx(made._desk.ledger.committed_usd())


def test_a_defect_of_a_provider_is_not_hidden(path: Path) -> None:
    teacher = StubTeacher({"3": [KeyError("choices")]})
    with engine(path, teacher) as made, pytest.raises(KeyError, match="choices"):
        list(made.ask(question(row) for row in range(10)))


def test_a_fatal_error_stops_the_run_with_its_remedy(path: Path) -> None:
    wrong = error("refused", status=401, fatal=True, hint="Set STUB_KEY.")
    teacher = StubTeacher(lambda request: wrong if int(request.id) > 4 else reply(), concurrency=1)
    outcomes = []
    with engine(path, teacher) as made:
        with pytest.raises(TeacherError, match=r"it was refused\. Set STUB_KEY\."):
            for outcome in made.ask(question(row) for row in range(100)):
                outcomes.append(outcome)
        assert made._desk.ledger.totals().answered == 5
    assert len(outcomes) == 5
    assert len(teacher.calls) == 6


def test_a_full_disk_stops_cleanly_and_what_was_paid_for_is_kept(path: Path) -> None:
    outcomes: list[Outcome] = []
    teacher = StubTeacher(lambda _: reply("x" * 5000), delay_s=0.005)
    with engine(path, teacher) as made:
        connection = made._desk.ledger._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0] + 60
        connection.execute(f"PRAGMA max_page_count = {pages}")
        truncate = os.ftruncate

        def freeing(handle: int, size: int) -> None:
            """What letting the reserve go does on a real disk."""
            truncate(handle, size)
            connection.execute("PRAGMA max_page_count = 100000")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("potstill.teacher.ledger.os.ftruncate", freeing)
            with pytest.raises(StorageError, match="disk is full"):
                for outcome in made.ask(question(row) for row in range(1000)):
                    outcomes.append(outcome)
        totals = made._desk.ledger.totals()
    # Every call that the teacher answered is on disk and was handed on.
    assert totals.answered == len(outcomes) == len(teacher.calls)
    assert 0 < len(outcomes) < 1000


def test_a_clock_that_jumps_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    limited = error("rate_limited", retry_after_s=0.01)
    teacher = StubTeacher({str(row): [limited, reply()] for row in range(20)})
    with engine(path, teacher) as made:
        began = time.monotonic()
        found = by_id(made.ask(question(row) for row in range(50)))
        seconds = made._desk.ledger.totals().seconds
    assert len(found) == 50
    assert time.monotonic() - began < 5.0
    assert 0.0 <= seconds < 5.0


def test_progress_is_told_in_the_callers_thread(path: Path) -> None:
    told: list[tuple[int, Spending]] = []

    def listen(spending: Spending) -> None:
        told.append((threading.get_ident(), spending))

    teacher = StubTeacher({"7": [error("refused")]}, delay_s=0.02, concurrency=2)
    with engine(path, teacher, progress=listen) as made:
        list(made.ask(question(row) for row in range(50)))
    assert {thread for thread, _ in told} == {threading.get_ident()}
    assert len(told) >= 2
    last = told[-1][1]
    assert (last.answered, last.failed, last.in_flight, last.concurrency) == (49, 1, 0, 2)
    assert last.spent_usd == pytest.approx(49 * COST_USD)
    assert last.rate > 0.0


def test_progress_goes_on_while_nothing_comes_back(path: Path) -> None:
    told: list[Spending] = []
    with engine(path, StubTeacher(delay_s=0.9), progress=told.append) as made:
        list(made.ask([question(0)]))
    assert [spending.in_flight for spending in told].count(1) >= 2


def test_threads_end_with_the_engine(path: Path) -> None:
    before = threading.active_count()
    with engine(path, StubTeacher()) as made:
        list(made.ask([question(0)]))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    made.close()


SCRIPT = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from stub_teacher import StubTeacher, question
from potstill.teacher.engine import Engine
from potstill.teacher.ledger import Ledger

class Noting(StubTeacher):
    async def complete(self, request, rung, *, timeout_s):
        answer = await super().complete(request, rung, timeout_s=timeout_s)
        os.write(log, f"{{request.id}}\\n".encode())
        return answer

folder = Path({folder!r})
log = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
handed = os.open(folder / "handed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
with (
    Ledger.open(folder / "ledger.sqlite") as ledger,
    Engine(Noting(delay_s=0.005), ledger, price=None) as engine,
):
    for outcome in engine.ask(question(row) for row in range({rows})):
        os.write(handed, f"{{outcome.request.id}}\\n".encode())
"""


def hear_ctrl_c() -> None:
    # A shell that runs the tests in the background has SIGINT ignored, and so would they.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def asking(folder: Path, rows: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that asks, killed at the end if it is not yet dead."""
    script = SCRIPT.format(tests=str(Path(__file__).parents[1]), folder=str(folder), rows=rows)
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_lines(file: Path, lines: int) -> None:
    until = time.monotonic() + 60.0
    while not file.exists() or file.read_text().count("\n") < lines:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_kill_9_repeats_no_answer_and_loses_no_row(tmp_path: Path, path: Path) -> None:
    rows, handed = 1000, tmp_path / "handed"
    for kill in range(1, 3):
        with asking(tmp_path, rows) as process:
            wait_for_lines(tmp_path / "calls", 150 * kill)
            process.send_signal(signal.SIGKILL)
        done = set(handed.read_text().splitlines())
        with Ledger.open(path) as ledger:
            answered = [row.request for row in ledger.rows() if row.state == "answered"]
        # Whatever was handed on had been written down before.
        assert done <= set(answered)
        assert len(answered) == len(set(answered))
    calls = len((tmp_path / "calls").read_text().splitlines())
    teacher = StubTeacher()
    with engine(path, teacher, price=None) as made:
        assert len(by_id(made.ask(question(row) for row in range(rows)))) == rows
    assert set(teacher.calls).isdisjoint(answered)
    # What the teacher saw twice was in flight when the process was killed.
    assert calls + len(teacher.calls) - rows <= 2 * teacher.concurrency


def test_ctrl_c_waits_for_what_was_paid_for(tmp_path: Path, path: Path) -> None:
    with asking(tmp_path, 100_000) as process:
        wait_for_lines(tmp_path / "handed", 50)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60.0)
    assert "KeyboardInterrupt" in printed
    calls = (tmp_path / "calls").read_text().splitlines()
    with Ledger.open(path) as ledger:
        assert {row.state for row in ledger.rows()} == {"answered"}
        assert ledger.totals().answered == len(calls) == len(set(calls))
