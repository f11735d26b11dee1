"""SFT and DPO: what carries a loss, what is left out, and what a kill costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from potstill.data import Example, Text
from potstill.errors import DataError, TrainingError
from potstill.spec.recipe import PreferStage, SftStage, TemplateSpec
from potstill.train.causal import fine_tune as fine_tuning
from potstill.train.causal.fine_tune import fine_tune, map_rows
from potstill.train.causal.prefer import Pair, prefer
from potstill.train.causal.start import load_model, save_weights
from potstill.train.causal.turns import Turns, completion_text

Read = Callable[[Path], dict[str, torch.Tensor]]


class Killed(BaseException):
    """Stands for the end of the process: nothing below may catch it."""


def killed_at(step: int) -> Callable[[str, int, int], None]:
    def progress(phase: str, done: int, total: int) -> None:
        if done == step:
            raise Killed

    return progress


def sft(**changes: Any) -> SftStage:
    given: dict[str, Any] = {
        "name": "sft",
        "data": ["cold"],
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "max_tokens": 64,
        "save_steps": 2,
    }
    return SftStage(**{**given, **changes})


def own_loss(start: Path, rows: Sequence[Example], template: TemplateSpec) -> float:
    """Mean negative log-probability of completions and end tokens, row by row, without TRL."""
    turns, model = Turns.load(start, template), load_model(start)
    told: list[float] = []
    for row in rows:
        prompt = turns.prompt(row.text)
        written = turns.tokenizer(completion_text(row, template))["input_ids"] + [turns.end]
        ids = torch.tensor([prompt + written])
        logs = torch.log_softmax(model(ids).logits[0], dim=-1).tolist()
        told += [logs[len(prompt) - 1 + at][token] for at, token in enumerate(written)]
    return -sum(told) / len(told)


@pytest.mark.parametrize("device_batch_size", [8, 3])
def test_the_loss_counts_completion_and_end_token_and_no_token_of_the_prompt(
    start: Path,
    sums: list[Example],
    plain: TemplateSpec,
    tmp_path: Path,
    device_batch_size: int,
) -> None:
    """In batches padded to unlike lengths, and with gradients accumulated over two of them."""
    rows = sums[:8]
    stage = sft(device_batch_size=device_batch_size)
    learnt = fine_tune(start, rows, stage=stage, template=plain, seed=1, folder=tmp_path)
    assert learnt.steps == 1
    assert learnt.history[0]["loss"] == pytest.approx(own_loss(start, rows, plain), rel=1e-4)


def test_labels_begin_behind_the_prompt_and_end_with_the_end_token(
    start: Path, sums: list[Example], plain: TemplateSpec
) -> None:
    turns = Turns.load(start, plain)
    row = map_rows(sums[:1], turns)[0]
    learnt = [label for label in row["labels"] if label != -100]
    assert turns.tokenizer.decode(learnt) == completion_text(sums[0], plain) + "<|end|>"
    assert row["labels"].index(learnt[0]) == len(turns.prompt(sums[0].text))


def test_packed_rows_do_not_see_each_other(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    """Two or three rows share a sequence of 64: their loss is that of rows apart."""
    rows = sums[:6]
    stage = sft(packing=True, batch_size=6, device_batch_size=6)
    learnt = fine_tune(start, rows, stage=stage, template=plain, seed=1, folder=tmp_path)
    assert learnt.steps == 1
    assert learnt.history[0]["loss"] == pytest.approx(own_loss(start, rows, plain), rel=1e-4)


def test_a_row_that_is_too_long_is_left_out_and_never_cut(
    start: Path,
    sums: list[Example],
    plain: TemplateSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[int]] = []
    real = fine_tuning.Dataset.from_list

    def spy(rows: list[dict[str, list[int]]]) -> Any:
        seen.extend(row["input_ids"] for row in rows)
        return real(rows)

    monkeypatch.setattr(fine_tuning.Dataset, "from_list", spy)
    long = replace(sums[0], reasoning="1+1 " * 30)
    learnt = fine_tune(
        start, [*sums[:8], long], stage=sft(), template=plain, seed=1, folder=tmp_path
    )
    assert (learnt.rows, learnt.left_out) == (8, 1)
    end = Turns.load(start, plain).end
    assert all(ids[-1] == end and len(ids) <= 64 for ids in seen)
    with pytest.raises(TrainingError, match="none of 1 rows fits into 64 tokens"):
        fine_tune(start, [long], stage=sft(), template=plain, seed=1, folder=tmp_path / "none")


def test_a_row_without_an_answer(start: Path, plain: TemplateSpec, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a' has no text"):
        fine_tune(
            start,
            [Example(id="a", input="1+1=")],
            stage=sft(),
            template=plain,
            seed=1,
            folder=tmp_path,
        )


def test_a_killed_training_ends_with_the_very_weights_of_one_that_was_not(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, weights_of: Read
) -> None:
    """Bit for bit: one thread, one machine, the same batches."""
    stage = sft()

    def train(folder: Path, **options: Any) -> Any:
        return fine_tune(
            start, sums[:40], stage=stage, template=plain, seed=1, folder=folder, **options
        )

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", progress=killed_at(3))
    assert (tmp_path / "killed" / "checkpoints" / "checkpoint-2" / "whole").is_file()
    assert not (tmp_path / "killed" / "weights").exists()
    steps: list[int] = []
    resumed = train(tmp_path / "killed", progress=lambda _, done, __: steps.append(done))
    assert steps == [3, 4, 5]
    assert resumed.history == whole.history
    # Killed once more, before anybody noted that it was finished: no step is done again.
    steps.clear()
    again = train(tmp_path / "killed", progress=lambda _, done, __: steps.append(done))
    assert steps == []
    assert again.history == whole.history
    wanted, found = (weights_of(tmp_path / name / "weights") for name in ("whole", "killed"))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_checkpoints_of_another_training_and_broken_ones_are_not_gone_on_with(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    def train(stage: SftStage, **options: Any) -> Any:
        return fine_tune(
            start, sums[:40], stage=stage, template=plain, seed=1, folder=tmp_path, **options
        )

    with pytest.raises(Killed):
        train(sft(), progress=killed_at(5))
    (tmp_path / "checkpoints" / "checkpoint-4" / "whole").unlink()
    steps: list[int] = []
    with pytest.raises(Killed):
        train(sft(), progress=lambda _, done, __: (steps.append(done), killed_at(4)("", done, 0)))
    assert steps == [3, 4]
    steps.clear()
    train(sft(learning_rate=2e-2), progress=lambda _, done, __: steps.append(done))
    assert steps == [1, 2, 3, 4, 5]


def test_a_loss_that_is_no_number_names_the_setting(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path
) -> None:
    model = load_model(start)
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    save_weights(model, Turns.load(start, plain).tokenizer, tmp_path / "spoilt")
    with pytest.raises(TrainingError, match=r"no number any more \(step 1 of 1\).*learning_rate"):
        fine_tune(
            tmp_path / "spoilt", sums[:8], stage=sft(), template=plain, seed=1, folder=tmp_path
        )
    assert not (tmp_path / "weights").exists()


def test_too_little_memory_names_the_setting(
    start: Path,
    sums: list[Example],
    plain: TemplateSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("transformers.Trainer.training_step", full)
    with pytest.raises(TrainingError, match=r"memory is too small.*'device_batch_size'"):
        fine_tune(start, sums[:8], stage=sft(), template=plain, seed=1, folder=tmp_path)


def pairs_of(sums: list[Example], template: TemplateSpec) -> list[Pair]:
    return [
        Pair(
            row.text,
            completion_text(row, template),
            completion_text(replace(row, target=Text("0")), template),
        )
        for row in sums
    ]


def dpo(**changes: Any) -> PreferStage:
    given: dict[str, Any] = {
        "name": "prefer",
        "data": ["tried"],
        "batch_size": 8,
        "learning_rate": 1e-2,
        "max_tokens": 64,
        "save_steps": 2,
    }
    return PreferStage(**{**given, **changes})


def test_preference_learns_the_chosen_and_leaves_out_what_teaches_nothing(
    start: Path, sums: list[Example], plain: TemplateSpec, tmp_path: Path, weights_of: Read
) -> None:
    pairs = pairs_of(sums[8:40], plain)
    useless = [
        Pair("1+1=", "same", "same"),
        Pair("1+1=", "short", "1+1 " * 30),
    ]

    def train(folder: Path, **options: Any) -> Any:
        return prefer(
            start,
            [*pairs, *useless],
            stage=dpo(),
            template=plain,
            seed=1,
            folder=folder,
            **options,
        )

    whole = train(tmp_path / "whole")
    assert (whole.rows, whole.left_out, whole.steps) == (32, 2, 4)
    # Before anything is learnt both are as probable as for the reference: log 2.
    assert whole.history[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    assert whole.history[-1]["margin"] > 0
    with pytest.raises(Killed):
        train(tmp_path / "killed", progress=killed_at(3))
    resumed = train(tmp_path / "killed")
    assert resumed.history == whole.history
    wanted, found = (weights_of(tmp_path / name / "weights") for name in ("whole", "killed"))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_no_pairs_say_what_to_do(start: Path, plain: TemplateSpec, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no pairs to learn from.*'samples'"):
        prefer(start, [], stage=dpo(), template=plain, seed=1, folder=tmp_path)
