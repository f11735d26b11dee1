import multiprocessing
import time

import orjson
import pytest

from potstill.errors import PotstillError
from potstill.run.events import ignore
from potstill.run.folder import RunFolder, run_id


class Counting:
    """Work that counts how often it was done and leaves a file."""

    def __init__(self, path):
        self.path = path
        self.done = 0

    def __call__(self):
        self.done += 1
        self.path.write_text("result")
        return {"answer": 42, "summary": "done"}


def do(folder, work, *, reads=None, files=()):
    run = RunFolder(folder, ignore)
    with run.opened({"name": "t"}, seed=1):
        return run.stage("s", work, reads=reads or {"a": 1}, files=files, writes=[work.path])


def test_a_finished_stage_is_not_done_again(tmp_path):
    work = Counting(tmp_path / "out")
    assert do(tmp_path, work) == {"answer": 42, "summary": "done"}
    assert do(tmp_path, work)["answer"] == 42
    assert work.done == 1


def test_it_is_done_again_when_what_it_reads_changes(tmp_path):
    work = Counting(tmp_path / "out")
    data = tmp_path / "data"
    data.write_text("one")
    do(tmp_path, work, files=[data])
    do(tmp_path, work, files=[data])
    assert work.done == 1
    data.write_text("two")
    do(tmp_path, work, files=[data])
    assert work.done == 2
    do(tmp_path, work, reads={"a": 2}, files=[data])
    assert work.done == 3


def test_it_is_done_again_when_its_file_is_gone_or_damaged(tmp_path):
    work = Counting(tmp_path / "out")
    do(tmp_path, work)
    work.path.unlink()
    do(tmp_path, work)
    assert work.done == 2
    work.path.write_text("resulT")
    do(tmp_path, work)
    assert work.done == 3
    assert work.path.read_text() == "result"


def test_a_stage_depends_on_those_before_it(tmp_path):
    first, second = Counting(tmp_path / "1"), Counting(tmp_path / "2")

    def both(setting):
        run = RunFolder(tmp_path, ignore)
        with run.opened({}, seed=1):
            run.stage("first", first, reads={"setting": setting}, writes=[first.path])
            run.stage("second", second, reads={}, writes=[second.path])

    both(1)
    both(2)
    assert (first.done, second.done) == (2, 2)
    both(2)
    assert (first.done, second.done) == (2, 2)


def test_work_that_fails_is_not_remembered(tmp_path):
    def fails():
        raise PotstillError("no")

    run = RunFolder(tmp_path, ignore)
    with pytest.raises(PotstillError), run.opened({}, seed=1):
        run.stage("s", fails, reads={})
    again = RunFolder(tmp_path, ignore)
    with again.opened({}, seed=1):
        assert "s" not in again.stages


def test_the_manifest_names_versions_and_seed_and_events_are_kept(tmp_path):
    do(tmp_path, Counting(tmp_path / "out"))
    manifest = orjson.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["seed"] == 1
    assert manifest["libraries"]["numpy"]
    assert manifest["stages"]["s"]["seconds"] >= 0
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    events = [orjson.loads(line) for line in lines]
    assert [event["kind"] for event in events] == ["started", "finished"]


def _hold(path, ready):
    run = RunFolder(path, ignore)
    with run.opened({}, seed=1):
        ready.set()
        time.sleep(30)


def test_two_processes_do_not_share_a_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    try:
        assert ready.wait(30)
        with (
            pytest.raises(PotstillError, match="another process is at work"),
            RunFolder(tmp_path, ignore).opened({}, seed=1),
        ):
            pass
    finally:
        holder.kill()
        holder.join()
    # What a killed process held is free again.
    with RunFolder(tmp_path, ignore).opened({}, seed=1):
        pass


def test_a_damaged_manifest_is_named(tmp_path):
    for content in ("{", "[]", '{"stages": 3}'):
        (tmp_path / "manifest.json").write_text(content)
        with (
            pytest.raises(PotstillError, match=r"manifest\.json.*damaged"),
            RunFolder(tmp_path, ignore).opened({}, seed=1),
        ):
            pass


def test_the_same_task_finds_its_own_folder():
    assert run_id({"a": 1, "b": 2}) == run_id({"b": 2, "a": 1})
    assert run_id({"a": 1}) != run_id({"a": 2})
