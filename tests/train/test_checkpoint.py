from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train.checkpoint import Checkpoint, identity_of

ROWS = [Example(id="1", input="a \ud800 text", target="a"), Example(id="2", input="b", target="b")]


def identity(**changes: object) -> str:
    given = {
        "labels": ("a", "b"),
        "multilabel": False,
        "options": StudentSpec(),
        "seed": 1,
        "base_sha256": "0" * 64,
        **changes,
    }
    train = given.pop("train", ROWS)
    dev = given.pop("dev", ROWS[:1])
    return identity_of(train, dev, **given)  # pyright: ignore


def test_keeps_numbers_and_tensors(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "x")
    assert checkpoint.load() is None
    checkpoint.save({"step": 3, "model": {"weight": torch.ones(2)}, "best": None})
    state = checkpoint.load()
    assert state is not None
    assert (state["step"], state["best"]) == (3, None)
    assert torch.equal(state["model"]["weight"], torch.ones(2))
    checkpoint.clear()
    assert checkpoint.load() is None


def test_a_checkpoint_of_another_training_is_not_taken(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "checkpoint.pt", "x").save({"step": 3})
    assert Checkpoint(tmp_path / "checkpoint.pt", "y").load() is None


def test_nothing_in_the_file_can_run(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    torch.save({"identity": "x", "state": Path("harmless here, code elsewhere")}, file)
    with pytest.raises(TrainingError, match="cannot be read"):
        Checkpoint(file, "x").load()


def test_damage_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "x")
    checkpoint.save({"model": {"weight": torch.ones(2)}})
    checkpoint.file.write_bytes(checkpoint.file.read_bytes()[:200])
    with pytest.raises(TrainingError, match=r"checkpoint\.pt"):
        checkpoint.load()


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"labels": ("b", "a")},
        {"multilabel": True},
        {"base_sha256": "1" * 64},
        {"options": StudentSpec(epochs=2)},
        {"train": ROWS[::-1]},
        {"train": [replace(ROWS[0], target="b"), ROWS[1]]},
        {"train": [replace(ROWS[0], soft_target={"a": 0.9, "b": 0.1}), ROWS[1]]},
        {"dev": []},
        {"train": [*ROWS, ROWS[0]], "dev": []},
    ],
)
def test_what_changes_the_student_changes_the_identity(changes: dict[str, object]) -> None:
    assert identity(**changes) != identity()


def test_what_concerns_the_export_does_not() -> None:
    assert identity(options=StudentSpec(precision="fp32", max_disagreement=0.5)) == identity()
    assert identity() == identity()
