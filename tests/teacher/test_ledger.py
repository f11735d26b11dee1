"""The ledger: what is on disk, after a crash and on a full disk too."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from potstill.errors import StorageError
from potstill.teacher.entries import Answered
from potstill.teacher.ledger import Ledger
from potstill.teacher.request import Reply
from stub_teacher import StubTeacher, question, reply

KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def begin(ledger: Ledger, row: int = 0, key: str = KEY, usd: float | None = 0.5) -> int:
    teacher = ledger.teacher(StubTeacher())
    return ledger.begin(question(row), key, teacher=teacher, number=1, rung=None, reserved_usd=usd)


def answer(ledger: Ledger, attempt: int, given: Reply, *, usd: float | None) -> None:
    ledger.end(attempt, "answered", reply=given, cost_usd=usd, seconds=0.25)
    kept = Answered(
        attempt=attempt, reply=given, value={"label": "a"}, rung="json", cost_usd=usd, seconds=0.25
    )
    ledger.keep(kept)


def test_an_answer_is_found_by_its_key_in_another_process_too(path: Path) -> None:
    given = reply('{"label": "a"}', thought="hm", logprobs=({"a": -0.1, "b": -2.0},))
    with Ledger.open(path) as ledger:
        attempt = begin(ledger)
        answer(ledger, attempt, given, usd=0.01)
    with Ledger.open(path) as ledger:
        found = ledger.reply(KEY)
        assert ledger.reply("ff" * 16) is None
    assert found is not None
    assert found.reply == given
    assert found.value == {"label": "a"}
    assert (found.attempt, found.rung, found.cost_usd) == (attempt, "json", 0.01)


def test_an_attempt_that_a_crash_cut_off_is_lost_and_its_reservation_is_gone(path: Path) -> None:
    ledger = Ledger.open(path)
    begin(ledger)
    ledger.flush()
    ledger._connection.close()  # as a crash would, without ending the attempt
    ledger._connection = sqlite3.connect(":memory:")
    ledger.close()
    with Ledger.open(path) as again:
        (row,) = again.rows()
        assert (row.state, row.cost_usd, row.reserved_usd) == ("lost", None, 0.5)
        assert again.committed_usd() == 0.5
        assert again.totals().unknown == 1
        assert again.totals().known_usd == 0.0


def test_the_money_of_a_day_is_that_of_the_attempts_that_began_in_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(path) as ledger:
        for began, usd in ((1000.0, 0.25), (2000.0, 0.125), (3000.0, None)):
            monkeypatch.setattr("potstill.teacher.ledger.time.time", lambda at=began: at)
            ledger.end(begin(ledger), "answered", reply=reply(), cost_usd=usd)
        ledger.flush()
        assert ledger.committed_usd() == 0.875
        assert ledger.committed_usd(since=2000.0) == 0.625
        assert ledger.committed_usd(since=2000.5) == 0.5
        assert ledger.committed_usd(since=9000.0) == 0.0


def test_totals_come_from_the_disk_and_tell_unknown_from_nothing(path: Path) -> None:
    with Ledger.open(path) as ledger:
        answer(ledger, begin(ledger, 0, "00" * 16), reply(), usd=0.25)
        ledger.end(begin(ledger, 1, "11" * 16), "failed", fault="timed_out", seconds=2.0)
        ledger.end(
            begin(ledger, 1, "11" * 16), "failed", fault="rate_limited", status=429, cost_usd=0.0
        )
        assert ledger.totals().attempts == 0
        ledger.flush()
        totals = ledger.totals()
        assert ledger.totals("judge").attempts == 0
        assert ledger.totals("label") == totals
        # What timed out may have been charged in full.
        assert ledger.committed_usd() == pytest.approx(0.75)
    assert (totals.requests, totals.answered, totals.attempts) == (2, 1, 3)
    assert (totals.prompt_tokens, totals.completion_tokens) == (100, 10)
    assert (totals.known_usd, totals.unknown) == (0.25, 1)
    assert totals.by_fault == {"timed_out": 1, "rate_limited": 1}
    assert totals.seconds == pytest.approx(2.25)


def test_rows_tell_who_was_asked_what_for(path: Path) -> None:
    with Ledger.open(path) as ledger:
        attempt = begin(ledger)
        answer(ledger, attempt, reply(model="stub-2", request="r-1"), usd=0.25)
        ledger.flush()
        (row,) = ledger.rows()
    assert (row.id, row.key, row.state) == (attempt, KEY, "answered")
    assert (row.teacher, row.endpoint, row.model) == ("stub", "stub.example", "stub-2")
    assert (row.request, row.purpose, row.provider_request) == ("0", "label", "r-1")


def test_ids_go_on_where_they_ended(path: Path) -> None:
    with Ledger.open(path) as ledger:
        first = begin(ledger)
    with Ledger.open(path) as ledger:
        assert begin(ledger) == first + 1


def test_a_full_disk_loses_nothing_that_was_paid_for(path: Path) -> None:
    with Ledger.open(path) as ledger:
        answer(ledger, begin(ledger, 0, "00" * 16), reply("first"), usd=0.25)
        ledger.flush()
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        answer(ledger, begin(ledger, 1, "11" * 16), reply("x" * 100_000), usd=0.25)
        with pytest.raises(StorageError, match="disk is full"):
            ledger.flush()
        reserve = path.with_name("ledger.sqlite.reserve")
        assert reserve.stat().st_size == 0
        ledger._connection.execute("PRAGMA max_page_count = 1000000")
        ledger.flush()
        assert ledger.reply("11" * 16) is not None
        assert ledger.totals().known_usd == 0.5


def test_the_reserve_is_real_while_the_ledger_is_open(path: Path) -> None:
    reserve = path.with_name("ledger.sqlite.reserve")
    with Ledger.open(path):
        assert reserve.stat().st_blocks * 512 >= 8 << 20
    assert reserve.stat().st_size == 0


def test_a_ledger_is_open_once(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from potstill.teacher.ledger import Ledger\n"
        "Ledger.open(Path(sys.argv[1]))"
    )
    with Ledger.open(path), pytest.raises(StorageError, match="another process"):
        Ledger.open(path)
    with Ledger.open(path):
        other = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
        )
    assert "another process has this ledger open" in other.stderr
    with Ledger.open(path):
        pass


def test_what_is_no_ledger_is_said_to_be_none(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(StorageError, match="no ledger, or it is damaged"):
        Ledger.open(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE something (else_ TEXT)")
    other.close()
    with pytest.raises(StorageError, match="no ledger of version 1"):
        Ledger.open(path)


def test_a_folder_that_cannot_be_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        Ledger.open(tmp_path / "file" / "ledger.sqlite")


def test_notes_outlive_the_process(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.noted("batch") is None
        ledger.note("batch", {"id": "b-1"})
    with Ledger.open(path) as ledger:
        assert ledger.noted("batch") == {"id": "b-1"}
