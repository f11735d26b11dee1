"""A recipe whose trainers are stubs: a stage's learning rate is the skill that its weights have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potstill.train.causal.training import Learnt

SUMS = {
    "cold": {"made": {"digits": 2, "rows": 30, "worked": True, "seed": 1}},
    "questions": {"made": {"digits": 2, "rows": 20, "seed": 2}},
    "test": {"made": {"digits": 2, "rows": 40, "seed": 3}},
}
STAGES: list[dict[str, Any]] = [
    {"name": "cold-start", "stage": "cold_start", "data": ["cold"]},
    {"name": "sft", "stage": "sft", "data": ["cold-start"], "learning_rate": 0.5},
    {
        "name": "grpo",
        "stage": "grpo",
        "weights": "sft",
        "data": ["questions"],
        "learning_rate": 0.8,
        "max_new_tokens": 40,
        "rewards": {"verifier": "numeric"},
    },
    {
        "name": "reject",
        "stage": "reject",
        "weights": "grpo",
        "data": ["questions"],
        "samples": 4,
        "max_new_tokens": 40,
        "verifier": "numeric",
    },
    {"name": "mix", "stage": "mix", "reasoning": ["reject", "cold-start"]},
    {"name": "sft-2", "stage": "sft", "data": ["mix"], "learning_rate": 0.7},
    {
        "name": "prefer",
        "stage": "prefer",
        "weights": "sft-2",
        "data": ["reject"],
        "learning_rate": 0.9,
    },
    {
        "name": "distil",
        "stage": "distil",
        "student": {"hidden": 16},
        "data": ["mix"],
        "learning_rate": 0.4,
    },
]


class Killed(BaseException):
    """Stands for the end of the process: nothing below may catch it."""


@dataclass
class Trainers:
    """What the stubs were asked, and when they are to be killed.

    Attributes:
        learnt: stage, skill of the first weights, texts that were learnt.
        drawn: question ids, one for each completion.
        kill_in: a stage that is killed in the midst of its training.
        kill_after: completions after which the process ends.
        found: stages that found a checkpoint of an earlier try.
    """

    learnt: list[tuple[str, float, list[str]]] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    kill_in: str | None = None
    kill_after: int | None = None
    found: list[str] = field(default_factory=list)

    @property
    def stages(self) -> list[str]:
        """The stages that have learnt, in order."""
        return [name for name, _, _ in self.learnt]

    def learn(self, weights: Path, rows: Sequence[Any], *, stage: Any, folder: Path) -> Learnt:
        """Weights whose skill is the learning rate."""
        texts = [getattr(row, "text", None) or row.question for row in rows]
        self.learnt.append((stage.name, skill_of(weights), texts))
        checkpoint = folder / "checkpoints" / "step-1"
        if checkpoint.exists():
            self.found.append(stage.name)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_text("half")
        if self.kill_in == stage.name:
            raise Killed
        write_skill(folder / "weights", stage.learning_rate)
        checkpoint.unlink()
        history = [{"step": step, "loss": 1.0 / step} for step in (1, 2, 3)]
        if stage.stage == "grpo":
            history = [
                {**row, "reward": 1.0, "accuracy": 0.2 * row["step"], "format": 0.9, "tokens": 30.0}
                for row in history
            ]
        return Learnt(3, len(rows), 0, 0.1, history, {})


def write_skill(folder: Path, skill: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_text(json.dumps({"skill": skill}))
    (folder / "config.json").write_text("{}")


def skill_of(folder: Path) -> float:
    return json.loads((folder / "model.safetensors").read_text())["skill"]


def chance(*parts: object) -> float:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
