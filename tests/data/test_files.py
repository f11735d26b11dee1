import errno

import orjson
import pytest

from potstill.data.files import storage_error, write_json, write_jsonl, writing, writing_folder
from potstill.errors import StorageError


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), writing(path) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert orjson.loads(path.read_bytes()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_folder_replaces_the_old_one_only_at_the_end(tmp_path):
    target = tmp_path / "model"
    with writing_folder(target) as partial:
        (partial / "a").write_text("old")
    with pytest.raises(RuntimeError), writing_folder(target) as partial:
        (partial / "a").write_text("new")
        raise RuntimeError
    assert (target / "a").read_text() == "old"
    with writing_folder(target) as partial:
        (partial / "b").write_text("new")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_is_said_and_the_old_file_stays(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"a": 1}])

    def rows():
        yield {"a": 2}
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="the disk is full"):
        write_jsonl(path, rows())
    assert path.read_bytes() == b'{"a":1}\n'


def test_places_that_may_not_be_written_are_named(tmp_path):
    error = storage_error(PermissionError(errno.EACCES, "Permission denied"), tmp_path / "x")
    assert str(error).startswith(f"{tmp_path / 'x'}: this place may not be written.")


def test_results_are_as_readable_as_any_new_file(tmp_path):
    write_json(tmp_path / "a.json", {})
    (tmp_path / "b").touch()
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b").stat().st_mode
