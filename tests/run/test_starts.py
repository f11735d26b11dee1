"""What a student starts from is found before anything is read, or paid for."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.errors import PotstillError, SpecError
from potstill.run.checking import check_task
from potstill.run.distil import run_task
from potstill.spec import load_task


@pytest.mark.parametrize("base", ["nosuch", "nosuch/model"])
def test_a_run_without_its_base_ends_before_its_first_stage(
    task_folder: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = load_task(task_folder / "task.yaml", [f"student.base={base}"])
    with pytest.raises(PotstillError, match="nosuch"):
        run_task(loaded, runs=task_folder / "runs")
    assert not (task_folder / "runs").exists()


def test_check_finds_it_too(task_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(SpecError, match=r"student\.base=nosuch: there is no base"):
        check_task(load_task(task_folder / "task.yaml", ["student.base=nosuch"]))
    told = check_task(load_task(task_folder / "task.yaml", ["student.base=nosuch/model"]))
    assert told["warnings"][0].startswith("a run would end at once: the hub does not give")
