"""The guard over GRPO: kept questions, alarms, what a stop leaves, verifiers that cannot tell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from potstill.data import Example, Text
from potstill.errors import TrainingError
from potstill.spec.recipe import GrpoStage, RewardSpec, TemplateSpec
from potstill.train.causal.guard import kept_apart
from potstill.train.causal.reinforce import reinforce

Rewards = Mapping[str, Sequence[float]]


class Killed(BaseException):
    """Stands for the end of the process: nothing below may catch it."""


@pytest.fixture(scope="module")
def questions() -> list[Example]:
    return [
        Example(id=f"{a}+{b}", input=f"{a}+{b}=", target=Text(str(a + b)))
        for a in range(20)
        for b in range(10)
    ]


def grpo(**changes: Any) -> GrpoStage:
    given: dict[str, Any] = {
        "name": "reason",
        "data": ["questions"],
        "steps": 4,
        "questions": 2,
        "group": 2,
        "learning_rate": 1e-3,
        "max_new_tokens": 6,
        "max_tokens": 64,
        "device_batch_size": 4,
        "kl": 0,
        "save_steps": 1000,
        "watch_rows": 16,
        "watch_steps": 2,
        "rewards": RewardSpec(accuracy=1, format=1, language=0),
    }
    return GrpoStage(**{**given, **changes})


def unlike(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
    """Every other completion is right, so that each group teaches something."""
    right = [float(at % 2) for at, _ in enumerate(completions)]
    return {"accuracy": right, "format": right}


@pytest.fixture
def train(start: Path, questions: list[Example], plain: TemplateSpec) -> Callable[..., Any]:
    def run(score: Any, folder: Path, **options: Any) -> Any:
        stage = options.pop("stage", grpo())
        return reinforce(
            start, questions, score, stage=stage, template=plain, seed=1, folder=folder, **options
        )

    return run


def test_the_same_questions_are_kept_apart_and_a_tenth_at_most(questions: list[Example]) -> None:
    learnt, held = kept_apart(questions, grpo(), 1)
    assert len(held) == 16
    assert sorted([*learnt, *held], key=lambda row: row.id) == sorted(
        questions, key=lambda row: row.id
    )
    assert kept_apart(questions[::-1], grpo(), 1)[1] == held[::-1]
    assert kept_apart(questions, grpo(), 2)[1] != held
    assert len(kept_apart(questions, grpo(watch_rows=64), 1)[1]) == 20
    assert kept_apart(questions[:60], grpo(), 1)[1] == []
    assert kept_apart(questions, grpo(watch_steps=0), 1)[1] == []
    assert kept_apart(questions, grpo(watch_rows=0), 1)[1] == []


def test_kept_questions_are_asked_and_never_learnt(
    train: Callable[..., Any], questions: list[Example], tmp_path: Path
) -> None:
    _, held = kept_apart(questions, grpo(), 1)
    asked: list[list[str]] = []

    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        asked.append([row.id for row in rows])
        # Arrays, as the rewards of a recipe are.
        parts = unlike(completions, rows, tokens)
        return {name: cast("Any", np.array(values)) for name, values in parts.items()}

    learnt = train(score, tmp_path, stage=grpo(steps=5))
    apart = [row.id for row in held]
    assert [ids for ids in asked if ids == apart] == [apart] * 3  # after steps 1, 2 and 4
    assert not {name for ids in asked if ids != apart for name in ids} & set(apart)
    found = {row["step"]: row["held_out"] for row in learnt.history if "held_out" in row}
    assert found == {1: 0.5, 2: 0.5, 4: 0.5}
    json.dumps(learnt.history)  # a report takes it as it is
    assert all(type(value) is float for value in found.values())
    assert (learnt.rows, learnt.left_out, learnt.notes["watched"]) == (184, 0, 16)
    assert learnt.notes["alarms"] == []


def test_the_measurement_changes_no_weight_and_a_kill_forgets_none(
    train: Callable[..., Any],
    questions: list[Example],
    tmp_path: Path,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
) -> None:
    def killed(_: str, done: int, __: int) -> None:
        if done == 4:
            raise Killed

    stage = grpo(steps=6, save_steps=3)
    often = train(unlike, tmp_path / "often", stage=stage)
    seldom = train(unlike, tmp_path / "seldom", stage=grpo(steps=6, watch_steps=100))
    with pytest.raises(Killed):
        train(unlike, tmp_path / "killed", stage=stage, progress=killed)
    resumed = train(unlike, tmp_path / "killed", stage=stage)

    def lasting(learnt: Any) -> list[dict[str, float]]:
        return [{key: row[key] for key in row if key != "seconds"} for row in learnt.history]

    assert lasting(resumed) == lasting(often)
    assert [row["loss"] for row in seldom.history] == [row["loss"] for row in often.history]
    wanted = weights_of(tmp_path / "often" / "weights")
    for name in ("seldom", "killed"):
        found = weights_of(tmp_path / name / "weights")
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)


@pytest.mark.parametrize("on_alarm", ["warn", "stop"])
def test_a_hacked_reward_is_told_and_a_stop_leaves_the_best_weights(
    train: Callable[..., Any],
    questions: list[Example],
    tmp_path: Path,
    weights_of: Callable[[Path], dict[str, torch.Tensor]],
    on_alarm: str,
) -> None:
    """The form is paid for more and more; from step 40 on no kept question is answered right."""
    held = [row.id for row in kept_apart(questions, grpo(), 1)[1]]
    calls = {"learning": 0, "held": 0}

    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        asked = [row.id for row in rows] == held
        calls["held" if asked else "learning"] += 1
        right = [float(calls["held"] < 3)] * len(rows)
        late = calls["learning"] > 20
        form = [float(late) - 0.1 * (at % 2) for at, _ in enumerate(rows)]
        return {"accuracy": right if asked else [0.0] * len(rows), "format": form}

    told: list[str] = []
    stage = grpo(steps=42, watch_steps=20, on_alarm=on_alarm)
    learnt = train(score, tmp_path / "hacked", stage=stage, tell=told.append)
    assert {row["step"]: row["held_out"] for row in learnt.history if "held_out" in row} == {
        1: 1.0,
        20: 1.0,
        40: 0.0,
    }
    hacked = [alarm for alarm in learnt.notes["alarms"] if alarm["kind"] == "hacked"]
    assert [alarm["step"] for alarm in hacked] == [40]
    assert hacked[0]["text"] in told
    assert "fell from 1.000 (step 1) to 0.000" in hacked[0]["text"]
    # Accuracy was nothing from the beginning, and that is told too.
    assert any("accuracy was 0" in text and "rewards.verifier" in text for text in told)
    if on_alarm == "warn":
        assert (learnt.steps, learnt.notes["stopped_early"]) == (42, False)
        assert learnt.notes["weights_of_step"] is None
        return
    assert (learnt.steps, learnt.notes["stopped_early"]) == (40, True)
    assert learnt.notes["weights_of_step"] == 20
    calls.update(learning=0, held=0)
    train(score, tmp_path / "twenty", stage=grpo(steps=20, watch_steps=20))
    wanted, found = (weights_of(tmp_path / name / "weights") for name in ("twenty", "hacked"))
    assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_groups_that_become_alike_end_a_training_that_may_end(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    calls: list[int] = []

    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        calls.append(1)
        right = [1.0 if len(calls) > 2 else float(at % 2) for at, _ in enumerate(rows)]
        return {"accuracy": right, "format": right}

    told: list[str] = []
    stage = grpo(steps=30, watch_steps=0, on_alarm="stop")
    learnt = train(score, tmp_path, stage=stage, tell=told.append)
    assert learnt.steps == 22  # twenty after the last that taught something
    assert [alarm["kind"] for alarm in learnt.notes["alarms"]] == ["always_one", "flat"]
    assert learnt.notes["equal_groups"] == pytest.approx(20 / 22)
    assert "too easy" in told[0]
    assert "'pass_rate'" in told[1]


def test_a_verifier_that_cannot_tell_is_counted_by_its_reason(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        unknown = [float(at == 0) for at, _ in enumerate(rows)]
        return {**unlike(completions, rows, tokens), "undecided:timeout": unknown}

    told: list[str] = []
    learnt = train(score, tmp_path, stage=grpo(watch_steps=0), tell=told.append)
    assert [row["undecided"] for row in learnt.history] == [0.25] * 4
    assert learnt.notes["undecided"] == 0.25
    assert [alarm["kind"] for alarm in learnt.notes["alarms"]] == ["undecided"]
    assert told == [alarm["text"] for alarm in learnt.notes["alarms"]]
    assert "could not judge 25% of the answers (timeout 1); they count as wrong" in told[0]


def test_a_verifier_that_never_tells_ends_the_training(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    def score(completions: list[str], rows: list[Example], tokens: list[int]) -> Rewards:
        form = unlike(completions, rows, tokens)["format"]  # which alone would teach something
        return {
            "accuracy": [0.0] * len(rows),
            "format": form,
            "undecided:ValueError": [1.0] * len(rows),
        }

    with pytest.raises(TrainingError, match=r"judge no answer in 4 steps \(ValueError 4\).*verif"):
        train(score, tmp_path, stage=grpo(watch_steps=0))
    assert not (tmp_path / "weights").exists()


def test_a_form_that_is_never_reached_is_named(train: Callable[..., Any], tmp_path: Path) -> None:
    def nothing(completions: list[str], *_: object) -> Rewards:
        return {"accuracy": [0.0] * len(completions), "format": [0.0] * len(completions)}

    with pytest.raises(TrainingError, match=r"form was never reached either: see whether <think>"):
        train(nothing, tmp_path, stage=grpo(watch_steps=0))


def test_history_is_finite(train: Callable[..., Any], tmp_path: Path) -> None:
    learnt = train(unlike, tmp_path)
    for row in learnt.history:
        assert all(math.isfinite(value) for key, value in row.items() if key != "kl"), row
