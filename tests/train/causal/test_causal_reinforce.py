"""GRPO: what is recorded, what is refused, what a kill costs, and that it learns at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from potstill.data import Example
from potstill.errors import SpecError, TrainingError
from potstill.spec.recipe import GrpoStage, RewardSpec, TemplateSpec
from potstill.train.causal.reinforce import reinforce

Read = Callable[[Path], dict[str, torch.Tensor]]
Rewards = Mapping[str, Sequence[float]]


class Killed(BaseException):
    """Stands for the end of the process: nothing below may catch it."""


def grpo(**changes: Any) -> GrpoStage:
    given: dict[str, Any] = {
        "name": "reason",
        "data": ["questions"],
        "steps": 4,
        "questions": 4,
        "group": 4,
        "learning_rate": 1e-2,
        "max_new_tokens": 12,
        "max_tokens": 64,
        "device_batch_size": 16,
        "kl": 0.01,
        "reference_steps": 2,
        "save_steps": 1,
        "rewards": RewardSpec(accuracy=1, format=0.5, language=0),
    }
    return GrpoStage(**{**given, **changes})


def digits(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
    """Right is what has a digit; well-formed is what is short."""
    assert len(completions) == len(rows) == len(tokens)
    return {
        "accuracy": [float(any(sign.isdigit() for sign in text)) for text in completions],
        "format": [1 - count / 12 for count in tokens],
    }


def test_a_killed_training_ends_with_the_very_weights_of_one_that_was_not(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, weights_of: Read
) -> None:
    """Killed after the reference had been replaced: bit for bit, on one thread of one machine."""

    def train(folder: Path, stop: int = 0) -> Any:
        def progress(phase: str, done: int, total: int) -> None:
            assert (phase, total) == ("grpo", 6)
            if done == stop:
                raise Killed

        return reinforce(
            start,
            sums,
            digits,
            stage=grpo(steps=6),
            template=plain,
            seed=1,
            folder=folder,
            progress=progress,
        )

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", stop=4)
    resumed = train(tmp_path / "killed")

    def lasting(history: list[dict[str, float]]) -> list[dict[str, float]]:
        return [{key: row[key] for key in row if key != "seconds"} for row in history]

    assert lasting(resumed.history) == lasting(whole.history)
    wanted, found = (weights_of(tmp_path / name / "weights") for name in ("whole", "killed"))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    # The reference was replaced after steps 2 and 4, so that what follows hardly differs from it.
    apart = [row["kl"] for row in whole.history]
    assert apart[1] > 10 * apart[0]
    assert apart[1] > 10 * apart[2] >= 0


def test_each_part_is_recorded_apart_and_weighted_in_the_reward(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    told: list[Rewards] = []

    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        told.append(digits(completions, rows, tokens))
        return told[-1]

    learnt = reinforce(
        start, sums, score, stage=grpo(steps=2), template=plain, seed=1, folder=tmp_path
    )
    assert len(told) == learnt.steps == 2  # one call a step, however many parts
    for row, parts in zip(learnt.history, told, strict=True):
        means = {name: sum(values) / len(values) for name, values in parts.items()}
        assert row["accuracy"] == pytest.approx(means["accuracy"])
        assert row["format"] == pytest.approx(means["format"])
        assert row["reward"] == pytest.approx(means["accuracy"] + 0.5 * means["format"])
        assert 0 <= row["equal_groups"] < 1
        assert 1 <= row["tokens"] <= 12
        assert row["clipped"] == 0
        assert row["seconds"] > 0


def test_it_learns_what_is_rewarded(
    make_start: Callable[..., Path], sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    """Random weights rarely write a digit; thirty steps later they nearly always do."""
    learnt = reinforce(
        make_start(hidden=32),
        sums,
        digits,
        stage=grpo(steps=30, group=8, device_batch_size=32, max_new_tokens=6),
        template=plain,
        seed=1,
        folder=tmp_path,
    )
    before, after = (
        sum(row["accuracy"] for row in part) / len(part)
        for part in (learnt.history[:5], learnt.history[-5:])
    )
    assert before < 0.6
    assert after > 0.9


@pytest.mark.parametrize(("value", "said"), [(0.0, "easier questions"), (1.0, "harder questions")])
def test_rewards_that_are_all_alike_are_refused(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, value: float, said: str
) -> None:
    def same(completions: list[str], *_: object) -> Rewards:
        return {"accuracy": [value] * len(completions), "format": [1.0] * len(completions)}

    with pytest.raises(TrainingError, match=f"each of 2 steps.*accuracy {value:g}.*{said}"):
        reinforce(start, sums, same, stage=grpo(steps=2), template=plain, seed=1, folder=tmp_path)
    assert not (tmp_path / "weights").exists()


def test_a_part_that_weighs_something_and_is_not_told(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    stage = grpo(rewards=RewardSpec(language=1.0))
    with pytest.raises(TrainingError, match=r"no part 'language'.*'rewards.language' to 0"):
        reinforce(start, sums, digits, stage=stage, template=plain, seed=1, folder=tmp_path)


def test_what_cannot_be_judged_teaches_nothing(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, weights_of: Read
) -> None:
    def unknown(completions: list[str], *_: object) -> Rewards:
        half = [math.nan, 1.0] * (len(completions) // 2)
        return {"accuracy": half, "format": half}

    stage = grpo(steps=2, kl=0)
    with pytest.raises(TrainingError, match="nothing can be learnt"):
        reinforce(start, sums, unknown, stage=stage, template=plain, seed=1, folder=tmp_path)


def test_questions_always_or_never_answered_right_are_left_out(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    seen: set[str] = set()

    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        """Sums that begin with 0 are always right, with 1 never, all others every other time."""
        seen.update(row.id for row in rows)
        right = [{"0": 1.0, "1": 0.0}.get(row.id[0], float(at % 2)) for at, row in enumerate(rows)]
        return {"accuracy": right, "format": [0.0] * len(rows)}

    stage = grpo(steps=12, probe=2)
    phases: set[str] = set()
    learnt = reinforce(
        start,
        sums,
        score,
        stage=stage,
        template=plain,
        seed=1,
        folder=tmp_path,
        progress=lambda phase, *_: phases.add(phase),
    )
    assert phases == {"probe", "grpo"}
    assert (learnt.rows, learnt.left_out) == (48, 12)
    assert learnt.notes["pass_rates"]["0+3"] == 1
    assert learnt.notes["pass_rates"]["1+3"] == 0
    assert learnt.notes["pass_rates"]["7+3"] == 0.5
    narrow = grpo(probe=2, pass_rate=(0.5, 1.0))
    with pytest.raises(TrainingError, match=r"60 questions 0 are left.*widen 'pass_rate'"):
        reinforce(
            start, sums, score, stage=narrow, template=plain, seed=1, folder=tmp_path / "narrow"
        )


def test_questions_without_room_for_a_completion(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"60 are longer than 4 tokens.*'max_new_tokens'"):
        reinforce(
            start,
            sums,
            digits,
            stage=grpo(max_new_tokens=60),
            template=plain,
            seed=1,
            folder=tmp_path,
        )


def test_adapters_are_merged_into_the_weights(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, weights_of: Read
) -> None:
    pytest.importorskip("peft")
    learnt = reinforce(
        start,
        sums,
        digits,
        stage=grpo(steps=2, lora_rank=2),
        template=plain,
        seed=1,
        folder=tmp_path,
    )
    before, after = weights_of(start), weights_of(tmp_path / "weights")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("proj" in name for name in changed)
    assert learnt.history[1]["kl"] > 0


def test_killed_adapters_are_gone_on_with_bit_for_bit(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, weights_of: Read
) -> None:
    pytest.importorskip("peft")
    steps: list[int] = []

    def train(name: str, stop: int = 0) -> None:
        def progress(_: str, done: int, __: int) -> None:
            steps.append(done)
            if done == stop:
                raise Killed

        reinforce(
            start,
            sums,
            digits,
            stage=grpo(lora_rank=2),
            template=plain,
            seed=1,
            folder=tmp_path / name,
            progress=progress,
        )

    train("whole")
    with pytest.raises(Killed):
        train("killed", stop=3)
    steps.clear()
    train("killed")
    assert steps == [3, 4]
    wanted, found = (weights_of(tmp_path / name / "weights") for name in ("whole", "killed"))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there may be vLLM")
def test_vllm_where_there_is_none(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="needs a GPU"):
        reinforce(
            start,
            sums,
            digits,
            stage=grpo(rollouts="vllm"),
            template=plain,
            seed=1,
            folder=tmp_path,
        )
