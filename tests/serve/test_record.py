import json
import logging
import threading

import pytest

from potstill.data import Prediction, id_of
from potstill.data.production import read_kept
from potstill.errors import StorageError
from potstill.serve import record
from potstill.serve.contract import Answer, Served
from potstill.serve.journal import Journal
from potstill.serve.record import FileRecorder
from potstill.serve.redact import KeepingRules
from potstill.spec.serving import Redaction, ServeSpec


def served(value="where is my card", model="topics", **changes):
    known = {
        "request": "r1",
        "model": model,
        "version": "0123456789ab",
        "value": value,
        "answer": Answer(Prediction("cards", 0.75), "model"),
        "ms": 1.5,
    }
    return Served(**{**known, **changes})


def keep(folder, *rows, **spec):
    recorder = FileRecorder(folder, {"topics": KeepingRules(ServeSpec(**spec))})
    for row in rows:
        recorder.record(row)
    recorder.close()
    return recorder


def everything(folder):
    return "".join(path.read_text() for path in folder.rglob("*.jsonl"))


def test_without_consent_no_text_reaches_the_disk(tmp_path):
    keep(tmp_path, served("my secret is 1234"))
    [row] = read_kept(tmp_path, "topics")
    assert row.input is None
    assert (row.id, row.length) == (id_of("my secret is 1234"), 17)
    assert "secret" not in everything(tmp_path)


def test_with_consent_texts_are_kept_as_the_rules_leave_them(tmp_path):
    rules = [Redaction(pattern="email")]
    keep(tmp_path, served("write to ann@example.com please"), consent=True, redact=rules)
    [row] = read_kept(tmp_path, "topics")
    assert row.input == "write to <email> please"
    assert row.prediction == Prediction("cards", 0.75)
    assert "ann@" not in everything(tmp_path)


def test_the_hash_is_that_of_the_blanked_text(tmp_path):
    # Beside the text with one blank, a hash of the whole would give the blanked part away.
    rules = [Redaction(pattern=r"\d+")]
    keep(tmp_path, served("call 5551234"), served("call 5559999"), consent=True, redact=rules)
    first, second = read_kept(tmp_path, "topics")
    assert first.id == second.id == id_of("call <redacted>")


def test_named_fields_are_kept_as_fields(tmp_path):
    keep(tmp_path, served({"subject": "card", "body": "gone"}), consent=True)
    [row] = read_kept(tmp_path, "topics")
    assert row.input == {"subject": "card", "body": "gone"}


def test_a_sample_keeps_about_its_share_and_the_same_inputs_again(tmp_path):
    rows = [served(f"text {n}") for n in range(2000)]
    keep(tmp_path / "a", *rows, sample=0.25)
    keep(tmp_path / "b", *reversed(rows), sample=0.25)
    first = {row.id for row in read_kept(tmp_path / "a", "topics")}
    assert 400 < len(first) < 600
    assert first == {row.id for row in read_kept(tmp_path / "b", "topics")}


def test_what_a_fallback_answered_stands_beside_the_models_own(tmp_path):
    own = Prediction("cards", 0.3, deferred="unsure")
    answer = Answer(Prediction("loans"), "teacher", "teacher", 0.002)
    keep(tmp_path, served(answer=answer, own=own))
    [row] = read_kept(tmp_path, "topics")
    assert row.prediction == own
    assert (row.by, row.fallback, row.answer, row.cost_usd) == (
        "teacher",
        "teacher",
        "loans",
        0.002,
    )


def test_a_model_without_rules_of_its_own_keeps_hashes(tmp_path):
    keep(tmp_path, served("private words", model="router"), consent=True)
    [row] = read_kept(tmp_path, "router")
    assert row.input is None
    assert "private" not in everything(tmp_path)


def test_a_lone_surrogate_is_kept_as_a_replacement(tmp_path):
    keep(tmp_path, served("broken \ud800 text"), served({"a": "\udfff"}), consent=True)
    first, second = read_kept(tmp_path, "topics")
    assert first.input == "broken � text"
    assert second.input == {"a": "�"}


def test_files_are_their_owners_alone(tmp_path):
    keep(tmp_path, served())
    [path] = tmp_path.rglob("*.jsonl")
    assert path.stat().st_mode & 0o077 == 0


def test_a_second_recorder_goes_on_after_a_torn_line(tmp_path):
    keep(tmp_path, served(request="r1"))
    [path] = tmp_path.rglob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"at": "20')
    keep(tmp_path, served(request="r2"))
    assert [json.loads(line)["request"] for line in path.read_text().splitlines()] == ["r1", "r2"]


def test_rows_beyond_what_may_wait_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_MOST_ROWS", 10)
    open_gate = threading.Event()
    append = Journal.append

    def slow(self, rows):
        open_gate.wait(10)
        append(self, rows)

    monkeypatch.setattr(Journal, "append", slow)
    monkeypatch.setattr(record, "_WAIT_S", 0.01)
    recorder = FileRecorder(tmp_path, {"topics": KeepingRules(ServeSpec())})
    for n in range(100):
        recorder.record(served(request=str(n)))
    dropped = recorder.dropped
    open_gate.set()
    recorder.close()
    assert 80 <= dropped <= 90
    assert len(list(read_kept(tmp_path, "topics"))) == 100 - dropped


def test_long_texts_may_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "_MOST_CHARACTERS", 1000)
    recorder = FileRecorder(tmp_path, {"topics": KeepingRules(ServeSpec())})
    recorder.record(served("x" * 1001))
    recorder.close()
    assert recorder.dropped == 1


def test_a_full_disk_is_told_once_and_serving_goes_on(tmp_path, monkeypatch, caplog):
    def full(self, rows):
        raise StorageError("the disk is full.")

    monkeypatch.setattr(Journal, "append", full)
    monkeypatch.setattr(record, "_TOGETHER", 2)
    with caplog.at_level(logging.WARNING):
        recorder = keep(tmp_path, *(served() for _ in range(6)))
    assert recorder.dropped == 6
    assert [entry.getMessage() for entry in caplog.records] == [
        "answers are not kept: the disk is full."
    ]


def test_nothing_is_kept_after_the_end(tmp_path):
    recorder = keep(tmp_path)
    recorder.record(served())
    assert recorder.dropped == 1


def test_a_folder_that_may_not_be_made_is_refused_at_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        FileRecorder(tmp_path / "file" / "records", {})
    assert "potstill-record" not in {thread.name for thread in threading.enumerate()}
