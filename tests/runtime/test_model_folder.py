"""A folder that is not whole is refused, and the message names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from potstill.errors import ModelError
from potstill.runtime import Model
from potstill.runtime.folder import seal

FILES = ["model.onnx", "tokenizer.json", "model.json", "lineage.json"]


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_anywhere_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    step = max(1, len(content) // 60)
    for at in [*range(0, len(content), step), len(content) - 1]:
        for mask in (0x01, 0x20, 0xFF):
            path.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
            with pytest.raises(ModelError) as caught:
                Model.load(folder)
            assert name in str(caught.value)
    path.write_bytes(content)
    Model.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_shortened_file_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=name):
        Model.load(folder)
    path.unlink()
    with pytest.raises(ModelError, match=name):
        Model.load(folder)


def test_another_format_version_says_which(folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(ModelError, match="format version 2; this Potstill reads version 1"):
        Model.load(folder)


@pytest.mark.parametrize("content", ["{}", '{"format": "other"}', "[]", "not json"])
def test_another_model_json_is_refused(folder: Path, content: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelError, match=r"model\.json"):
        Model.load(folder)


def test_what_is_not_a_model_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "nowhere", folder / "model.onnx"):
        with pytest.raises(ModelError, match="not a model folder"):
            Model.load(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": None},
        {"decision": {"temperature": 0.0, "thresholds": []}},
        {"decision": {"temperature": 1.0, "thresholds": [0.5]}},
        {"probes": [{"text": "card"}]},
    ],
)
def test_a_sealed_but_senseless_model_json_is_refused(folder: Path, change: dict) -> None:
    path = folder / "model.json"
    document = json.loads(path.read_text())
    for key in ("format", "format_version", "checksum"):
        del document[key]
    path.write_bytes(seal({**document, **change}))
    with pytest.raises(ModelError, match="lacks something"):
        Model.load(folder)


def test_a_sealed_model_json_without_files_is_refused(folder: Path) -> None:
    (folder / "model.json").write_bytes(seal({"name": "tiny"}))
    with pytest.raises(ModelError, match="lists no files"):
        Model.load(folder)


def test_a_graph_that_onnxruntime_cannot_load_is_a_model_error(folder: Path) -> None:
    from potstill.runtime.session import open_session

    with pytest.raises(ModelError, match="cannot load the graph"):
        open_session(b"not a graph", where="model.onnx")


def test_the_folder_may_be_moved_and_named_by_a_string(folder: Path) -> None:
    before = Model.load(folder).predict("the loan")
    moved = folder.rename(folder.parent / "elsewhere")
    assert Model.load(str(moved)).predict("the loan") == before
