from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

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
    with pytest.raises(SpecError, match=r"differ: token \d+ is '.*'on_policy' to false"):
        follow(
            tmp_path / "other",
            start,
            sums,
            stage=stage_of(),
            template=plain,
            seed=1,
            folder=tmp_path,
        )


def test_a_killed_student_ends_with_the_very_weights_of_one_that_was_not(
    make_start: Callable[..., Path],
    sums: list[Example],
    plain: TemplateSpec,
    tmp_path: Path,
    weights_of: Callable[[Path], dict[str, Any]],
) -> None:
    student, teacher = make_start(hidden=32), make_start(hidden=16)

    def teach(name: str, killed: int | None = None) -> list[int]:
        steps: list[int] = []

        def progress(_: str, done: int, __: int) -> None:
            steps.append(done)
            if done == killed:
                raise KeyboardInterrupt

        stage = stage_of(save_steps=2)
        follow(
            student,
            teacher,
            sums,
            stage=stage,
            template=plain,
            seed=1,
            folder=tmp_path / name,
            progress=progress,
        )
        return steps

    teach("whole")
    with pytest.raises(KeyboardInterrupt):
        teach("killed", killed=5)
    assert teach("killed") == [5, 6, 7, 8, 9, 10]
    wanted, found = (weights_of(tmp_path / name / "weights") for name in ("whole", "killed"))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_an_end_token_or_a_question_that_reads_otherwise_is_told(
    make_start: Callable[..., Path], sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    teacher = make_start()
    for name, said in (
        ("end", "its turns end with '<\\|user\\|>'"),
        ("chat", "its question reads"),
    ):
        student = tmp_path / name
        shutil.copytree(teacher, student)
        tokenizer = AutoTokenizer.from_pretrained(student)
        if name == "end":
            tokenizer.eos_token = "<|user|>"
        else:
            tokenizer.chat_template = "Q: " + tokenizer.chat_template
        tokenizer.save_pretrained(student)
        with pytest.raises(SpecError, match=said):
            follow(
                student, teacher, sums, stage=stage_of(), template=plain, seed=1, folder=tmp_path
            )


def test_too_few_questions(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"5 of 5 questions.*'batch_size'"):
        follow(start, start, sums[:5], stage=stage_of(), template=plain, seed=1, folder=tmp_path)
