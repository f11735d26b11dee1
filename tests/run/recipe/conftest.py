"""Trainers that are stubs, and a recipe that they do in a second."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from stub_trainers import STAGES, SUMS, Killed, Trainers, chance, skill_of, write_skill

from potstill.data import Example
from potstill.run.events import Event
from potstill.run.recipe.cooking import run_recipe
from potstill.spec.loading import load_recipe
from potstill.train.causal import fine_tune, prefer, reinforce, start
from potstill.train.causal import sample as sampling
from potstill.train.causal.sample import Completion
from potstill.train.causal.start import StartFigures
from potstill.train.causal.training import Learnt


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> Trainers:
    """Stubs in the place of torch."""
    stub = Trainers()

    def train(
        weights: Path, rows: Sequence[Any], *_: Any, stage: Any, folder: Path, **__: Any
    ) -> Learnt:
        return stub.learn(weights, rows, stage=stage, folder=folder)

    def make(_spec: Any, _texts: Any, *, folder: Path, **_: Any) -> StartFigures:
        write_skill(folder, 0.0)
        return StartFigures("scratch", 1, 1, "0", None)

    def sample(
        weights: Path,
        questions: Sequence[Example],
        *,
        spec: Any,
        done: Collection[tuple[str, int]] = (),
        **_: Any,
    ) -> Iterator[list[Completion]]:
        for row in questions:
            batch: list[Completion] = []
            for number in range(spec.samples):
                if (row.id, number) in done:
                    continue
                if stub.kill_after is not None and len(stub.drawn) >= stub.kill_after:
                    raise Killed
                stub.drawn.append(row.id)
                # The same draws for every skill: who has more of it is right wherever others are.
                right = chance(row.id, number) < skill_of(weights)
                answer = getattr(row.target, "text", "0") if right else "7777"
                text = f"<think>\nI add them, try {number}.\n</think>\n{answer}"
                batch.append(Completion(row.id, number, text, 12, "stop"))
            yield batch

    monkeypatch.setattr(fine_tune, "fine_tune", train)
    monkeypatch.setattr(reinforce, "reinforce", train)
    monkeypatch.setattr(prefer, "prefer", train)
    monkeypatch.setattr(start, "make_scratch", make)
    monkeypatch.setattr(sampling, "sample_batches", sample)
    return stub


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe file; what is given goes before what stands above."""

    def write(stages: Sequence[dict[str, Any]] = STAGES, **changes: Any) -> Path:
        recipe = {
            "kind": "recipe",
            "version": 1,
            "name": "sums",
            "base": {"hidden": 16},
            "data": SUMS,
            "judge": {"samples": 2, "max_new_tokens": 40, "verifier": "numeric"},
            "stages": list(stages),
            **changes,
        }
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(recipe, sort_keys=False))
        return file

    return write


@pytest.fixture
def cook(tmp_path: Path) -> Callable[..., Any]:
    """Runs a recipe file: the outcome, and the events in the order in which they came."""

    def run(file: Path, **options: Any) -> Any:
        events: list[Event] = []
        outcome = run_recipe(
            load_recipe(file), runs=tmp_path / "runs", listener=events.append, **options
        )
        done = [event.stage for event in events if event.kind == "finished"]
        warned = [event.text for event in events if event.kind == "warning"]
        return SimpleNamespace(outcome=outcome, done=done, warned=warned, folder=outcome.folder)

    return run
