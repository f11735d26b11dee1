from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from potstill.data import Example
from potstill.errors import SpecError, TrainingError
from potstill.spec.recipe import DistilStage, ScratchSpec, TemplateSpec
from potstill.train.causal.follow import follow
from potstill.train.causal.start import make_scratch


def stage_of(**changes: Any) -> DistilStage:
    given: dict[str, Any] = {
        "name": "small",
        "student": "x",
        "data": ["rows"],
        "on_policy": True,
        "epochs": 2,
        "batch_size": 12,
        "learning_rate": 1e-2,
        "max_tokens": 24,
    }
    return DistilStage(**{**given, **changes})


def test_the_student_comes_nearer_to_its_teacher(
    make_start: Callable[..., Path], sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    student, teacher = make_start(hidden=32), make_start(hidden=16)
    learnt = follow(
        student, teacher, sums, stage=stage_of(), template=plain, seed=1, folder=tmp_path
    )
    assert (learnt.steps, learnt.rows, learnt.left_out) == (10, 60, 0)
    assert learnt.history[-1]["loss"] < 0.9 * learnt.history[0]["loss"]
    assert (tmp_path / "weights" / "model.safetensors").is_file()


def test_a_student_with_other_tokens_is_refused(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    spec = ScratchSpec(hidden=16, layers=1, heads=2, positions=64)
    make_scratch(spec, ["words words"], template=plain, seed=1, folder=tmp_path / "other")
    with pytest.raises(SpecError, match=r"different tokens.*'on_policy' to false"):
        follow(
            tmp_path / "other",
            start,
            sums,
            stage=stage_of(),
            template=plain,
            seed=1,
            folder=tmp_path,
        )


def test_too_few_questions(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"5 of 5 questions.*'batch_size'"):
        follow(start, start, sums[:5], stage=stage_of(), template=plain, seed=1, folder=tmp_path)
