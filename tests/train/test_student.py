from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train import load_student, train_student
from potstill.train.tokens import pad


@pytest.fixture(scope="module")
def folder(
    tiny_base: Path,
    tmp_path_factory: pytest.TempPathFactory,
    labels: tuple[str, ...],
    make_rows: Callable[..., list[Example]],
) -> Path:
    trained = train_student(
        make_rows(60),
        make_rows(15, 60),
        labels=labels,
        multilabel=False,
        options=StudentSpec(base=str(tiny_base), mode="frozen", max_tokens=16),
        seed=1,
        folder=tmp_path_factory.mktemp("student"),
    )
    return trained.folder


def test_a_student_says_what_an_export_needs(folder: Path, labels: tuple[str, ...]) -> None:
    student = load_student(folder)
    assert student.labels == labels
    assert student.multilabel is False
    assert student.max_tokens == 16
    assert student.base["parameters"] > 1000
    assert set(student.base) == {"name", "sha256", "licence", "parameters"}
    assert not student.module.training
    logits = student.module(*pad([[2, 6, 5, 3], [2, 3]], 0))
    assert logits.shape == (2, 3)
    assert logits.dtype == torch.float32


def test_loading_needs_no_base(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from potstill.train import bases

    def gone(_: str) -> None:
        raise AssertionError("the base was asked for")

    monkeypatch.setattr(bases, "resolve_base", gone)
    load_student(folder)


def test_rescaling_weighs_the_branches(folder: Path) -> None:
    student = load_student(folder)
    ids, mask = pad([[2, 6, 5, 3], [2, 8, 3]], 0)
    with torch.no_grad():
        lexical = student.module.lexical(ids, mask)
        deep = student.module(ids, mask) - lexical
        student.module.rescale(2.0, 0.5)
        torch.testing.assert_close(student.module(ids, mask), 2.0 * deep + 0.5 * lexical)


def test_damage_is_noticed(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "student")
    weights = bytearray((broken / "student.safetensors").read_bytes())
    weights[-1] ^= 1
    (broken / "student.safetensors").write_bytes(weights)
    with pytest.raises(TrainingError, match=r"student\.safetensors"):
        load_student(broken)


def test_an_unfinished_student_is_none(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finished student"):
        load_student(tmp_path)
