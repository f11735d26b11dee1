"""Sources of reasoning-gym, by a package that is a stub, and by the real one where it is."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from potstill.run.recipe.rows import read_sources
from potstill.spec.loading import load_recipe
from potstill.verify import verifier_of


def sources_of(folder: Path, family: str) -> dict[str, Any]:
    recipe = {
        "kind": "recipe",
        "version": 1,
        "name": "puzzles",
        "base": {"hidden": 16},
        "data": {
            "cold": {"made": {"rows": 5}},
            "questions": {"gym": family, "rows": 6},
            "other": {"gym": "another", "rows": 2} if family == "stub" else {"made": {"rows": 2}},
            "test": {"gym": family, "rows": 4},
        },
        "stages": [{"name": "sft", "stage": "sft", "data": ["cold"]}],
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    return read_sources(load_recipe(file))


def test_sources_of_one_family_share_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(family: str, *, size: int, seed: int) -> list[dict[str, Any]]:
        return [
            {"question": f"{family} {seed} {at}?", "answer": "1", "metadata": {}}
            for at in range(size)
        ]

    stub = ModuleType("reasoning_gym")
    stub.create_dataset = create  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "reasoning_gym", stub)
    found = sources_of(tmp_path, "stub")
    texts = {name: [row.text for row in rows] for name, rows in found.items()}
    assert texts["questions"] == [f"stub 7 {at}?" for at in range(6)]
    assert texts["test"] == [f"stub 7 {at}?" for at in range(6, 10)]
    assert texts["other"] == ["another 7 0?", "another 7 1?"]
    assert [row.id for row in found["test"]] == [f"stub-{at}" for at in range(6, 10)]


def test_rows_of_the_real_package_are_judged_by_its_verifier(tmp_path: Path) -> None:
    gym = pytest.importorskip("reasoning_gym")
    found = sources_of(tmp_path, "syllogism")
    row = found["test"][0]
    entry = gym.create_dataset("syllogism", size=10, seed=7)[6]
    assert row.text == entry["question"]
    verify = verifier_of("reasoning_gym")
    assert verify(entry["answer"], row.target.text).right is True
    assert verify("perhaps", row.target.text).right is False
    assert not {one.text for one in found["questions"]} & {one.text for one in found["test"]}
