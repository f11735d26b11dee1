from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.task import StudentSpec
from potstill.train import Trained, embed, load_student, train_student
from potstill.train.encoder import run_over
from potstill.train.tokens import load_tokenizer, read_texts

RowMaker = Callable[..., list[Example]]


@pytest.fixture
def train(
    tiny_base: Path, tmp_path: Path, labels: tuple[str, ...], make_rows: RowMaker
) -> Callable[..., Trained]:
    """`train_student` on sixty rows; what is named is replaced."""

    def run(**changes: Any) -> Trained:
        spec = {
            "base": str(tiny_base),
            "mode": "frozen",
            "max_tokens": 16,
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 1e-3,
            **changes.pop("options", {}),
        }
        given: dict[str, Any] = {
            "train": make_rows(60),
            "dev": make_rows(24, 60),
            "labels": labels,
            "multilabel": False,
            "seed": 3,
            "folder": tmp_path / "student",
            **changes,
        }
        rows, dev = given.pop("train"), given.pop("dev")
        return train_student(rows, dev, options=StudentSpec(**spec), **given)

    return run


def answers(folder: Path, rows: list[Example]) -> np.ndarray:
    student = load_student(folder)
    tokenizer = load_tokenizer(student.tokenizer_file, student.max_tokens)
    tokens = read_texts([row.text for row in rows], tokenizer)
    return run_over(student.module, tokens, pad_id=0, phase="judge")


def accuracy(folder: Path, rows: list[Example], labels: tuple[str, ...]) -> float:
    said = answers(folder, rows).argmax(axis=1)
    return float(np.mean([labels[a] == row.target for a, row in zip(said, rows, strict=True)]))


@pytest.mark.parametrize("mode", ["frozen", "tuned"])
def test_learns(
    train: Callable[..., Trained], mode: str, labels: tuple[str, ...], make_rows: RowMaker
) -> None:
    trained = train(options={"mode": mode})
    assert trained.mode == mode
    assert trained.rows == 60
    assert accuracy(trained.folder, make_rows(30, 90), labels) > 0.9
    assert [row["mode"] for row in trained.candidates if row["chosen"]] == [mode]
    assert not (trained.folder / "checkpoint.pt").exists()


@pytest.mark.parametrize("mode", ["frozen", "tuned"])
def test_the_encoder_tells_what_the_words_alone_cannot(
    train: Callable[..., Trained], mode: str, labels: tuple[str, ...], make_rows: RowMaker
) -> None:
    trained = train(options={"mode": mode})
    student = load_student(trained.folder)
    assert float(student.module.head.weight.detach().abs().max()) > 0.1
    unseen = make_rows(30, 90, unseen=True)
    assert accuracy(trained.folder, unseen, labels) > 0.9
    known = [row.text.split() for row in make_rows(60)]
    telling = {word for row in unseen for word in row.text.split()}.difference(*known)
    assert len(telling) == 12, "a word that training shows would tell the lexical branch"


def test_the_figure_of_the_chosen_candidate_is_that_of_the_saved_student(
    train: Callable[..., Trained], labels: tuple[str, ...], make_rows: RowMaker
) -> None:
    for mode in ("frozen", "tuned"):
        trained = train(options={"mode": mode})
        (chosen,) = [row for row in trained.candidates if row["chosen"]]
        again = accuracy(trained.folder, make_rows(24, 60), labels)
        assert chosen["dev_accuracy"] == pytest.approx(again)


def test_auto_keeps_the_frozen_candidate_where_nothing_is_won(
    train: Callable[..., Trained],
) -> None:
    trained = train(options={"mode": "auto", "learning_rate": 1e-9})
    assert trained.mode == "frozen"
    assert [row["mode"] for row in trained.candidates] == ["frozen", "tuned"]
    assert len(trained.history) == 3


def test_auto_does_not_try_on_a_cpu_what_takes_too_long(
    train: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("potstill.train.candidates.MOST_CPU_OPERATIONS", 1.0)
    assert [row["mode"] for row in train(options={"mode": "auto"}).candidates] == ["frozen"]


def test_auto_takes_the_tuned_candidate_where_it_wins(
    train: Callable[..., Trained], make_rows: RowMaker, labels: tuple[str, ...]
) -> None:
    # The label is the order of two words: no mean of frozen random states tells it well.
    def rows(count: int, seed: int) -> list[Example]:
        draw = np.random.default_rng(seed)
        found: list[Example] = []
        for number in range(count):
            first, second = ("card", "loan") if number % 2 else ("loan", "card")
            filler = draw.choice(["my", "the", "bank", "please", "today", "house"], 3)
            text = f"{filler[0]} {first} {filler[1]} {second} {filler[2]}"
            found.append(Example(id=str(number), input=text, target=labels[number % 2]))
        return found

    options = {"mode": "auto", "epochs": 12, "learning_rate": 5e-3}
    trained = train(train=rows(240, 0), dev=rows(80, 1), labels=labels[:2], options=options)
    assert trained.mode == "tuned"
    scores = {row["mode"]: row["dev_accuracy"] for row in trained.candidates}
    assert scores["tuned"] > scores["frozen"]


def test_auto_without_development_rows_is_frozen(train: Callable[..., Trained]) -> None:
    trained = train(dev=[], options={"mode": "auto"})
    assert trained.mode == "frozen"
    assert trained.candidates[0]["dev_accuracy"] is None
    with pytest.raises(TrainingError, match="development rows"):
        train(dev=[], options={"mode": "tuned"})


def test_soft_targets_are_learnt(train: Callable[..., Trained], make_rows: RowMaker) -> None:
    rows = make_rows(60)
    unsure = [
        replace(row, soft_target={"cards": 0.5, "loans": 0.5})
        if row.target in ("cards", "loans")
        else row
        for row in rows
    ]
    trained = train(train=unsure, dev=unsure[:30], options={"class_weight": "none"})
    logits = answers(trained.folder, [row for row in rows if row.target == "cards"])
    assert np.abs(logits[:, 0] - logits[:, 1]).mean() < np.abs(logits[:, 0] - logits[:, 2]).mean()


def test_multilabel_learns_each_label(train: Callable[..., Trained], make_rows: RowMaker) -> None:
    both = [
        Example(id=f"b{i}", input=f"{a.text} {b.text}", target=(str(a.target), str(b.target)))
        for i, (a, b) in enumerate(zip(make_rows(30), make_rows(30, 1), strict=True))
    ]
    single = [replace(row, target=(str(row.target),)) for row in make_rows(60)]
    none = [Example(id=f"n{i}", input="please help today", target=()) for i in range(10)]
    rows = [*both, *single, *none]
    for mode in ("frozen", "tuned"):
        options = {"mode": mode, "epochs": 6}
        trained = train(train=rows, dev=rows[::3], multilabel=True, options=options)
        (chosen,) = [row for row in trained.candidates if row["chosen"]]
        assert chosen["dev_accuracy"] > 0.8
        assert (answers(trained.folder, none[:1]) < 0).all()


def test_balancing_lifts_the_rare_label(train: Callable[..., Trained], make_rows: RowMaker) -> None:
    rows = [row for row in make_rows(180) if row.target != "loans" or int(row.id) < 30]
    shares = {}
    for weight in ("none", "balanced"):
        trained = train(train=rows, options={"class_weight": weight})
        logits = answers(trained.folder, make_rows(60, 300))
        shares[weight] = float((logits[:, 1] - logits[:, [0, 2]].max(axis=1)).mean())
    assert shares["balanced"] > shares["none"] + 0.2


def test_given_features_stand_for_the_embeddings(
    train: Callable[..., Trained], tiny_base: Path, make_rows: RowMaker
) -> None:
    phases: list[str] = []
    texts = [row.text for row in make_rows(60)]
    features = embed(texts, base=str(tiny_base), max_tokens=16)
    plain = train()
    expected = load_file(plain.folder / "student.safetensors")
    given = train(
        features=features,
        folder=plain.folder.with_name("again"),
        progress=lambda phase, *_: phases.append(phase),
    )
    assert "embed" not in phases
    for name, value in load_file(given.folder / "student.safetensors").items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)


def test_two_rows_are_the_least(train: Callable[..., Trained], make_rows: RowMaker) -> None:
    trained = train(train=make_rows(2), dev=make_rows(2), seed=-1)
    assert trained.rows == 2
    assert np.isfinite(answers(trained.folder, make_rows(6))).all()


def test_a_finished_training_is_not_repeated(train: Callable[..., Trained]) -> None:
    first = train()
    written = (first.folder / "student.safetensors").stat().st_mtime_ns
    assert train() == first
    assert train(options={"precision": "fp32"}) == first  # concerns the export alone
    assert (first.folder / "student.safetensors").stat().st_mtime_ns == written
    train(seed=4)
    assert (first.folder / "student.safetensors").stat().st_mtime_ns > written


@pytest.mark.parametrize("name", ["student.safetensors", "tokenizer.json", "student.json"])
def test_a_damaged_student_is_trained_again(train: Callable[..., Trained], name: str) -> None:
    trained = train()
    expected = load_file(trained.folder / "student.safetensors")
    damaged = trained.folder / name
    damaged.write_bytes(damaged.read_bytes()[:-100])
    train()
    load_student(trained.folder)
    for weight, value in load_file(trained.folder / "student.safetensors").items():
        np.testing.assert_array_equal(value, expected[weight])


def test_a_seed_fixes_everything(train: Callable[..., Trained], tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> dict[str, np.ndarray]:
        folder = tmp_path / name
        train(options={"mode": "tuned"}, seed=seed, folder=folder)
        return load_file(folder / "student.safetensors")

    one, same, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


class Killed(Exception):
    pass


@pytest.mark.parametrize("rows_done", [8 * 3, 8 * 11, 60 * 2])
def test_an_interrupted_training_goes_on_exactly(
    train: Callable[..., Trained],
    tmp_path: Path,
    rows_done: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from potstill.train import loop

    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)
    whole = train(options={"mode": "tuned"}, folder=tmp_path / "whole")
    steps: list[int] = []

    def kill(phase: str, done: int, _: int) -> None:
        if phase == "tune" and done > rows_done:
            raise Killed

    with pytest.raises(Killed):
        train(options={"mode": "tuned"}, progress=kill)
    resumed = train(
        options={"mode": "tuned"},
        progress=lambda phase, done, _: steps.append(done) if phase == "tune" else None,
    )
    assert steps[0] > rows_done
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]
    expected = load_file(whole.folder / "student.safetensors")
    for name, value in load_file(resumed.folder / "student.safetensors").items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_checkpoint_of_other_rows_is_not_gone_on_with(
    train: Callable[..., Trained], make_rows: RowMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from potstill.train import loop

    monkeypatch.setattr(loop, "_CHECKPOINT_S", 0.0)

    def kill(phase: str, done: int, _: int) -> None:
        if phase == "tune" and done > 60:
            raise Killed

    with pytest.raises(Killed):
        train(options={"mode": "tuned"}, progress=kill)
    steps: list[int] = []
    train(
        train=make_rows(63),
        options={"mode": "tuned"},
        progress=lambda phase, done, _: steps.append(done) if phase == "tune" else None,
    )
    assert steps[0] == 8


def test_a_loss_that_is_no_number_stops_the_training(
    train: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    from potstill.train import tuned

    exact = tuned.cross_entropy
    monkeypatch.setattr(tuned, "cross_entropy", lambda *given: exact(*given) / 0.0 - torch.inf)
    with pytest.raises(TrainingError, match="learning_rate"):
        train(options={"mode": "tuned"})


def test_early_stopping_ends_before_the_last_epoch(train: Callable[..., Trained]) -> None:
    trained = train(options={"mode": "tuned", "epochs": 60, "learning_rate": 0.2})
    scores = [row["dev_accuracy"] for row in trained.history]
    assert len(scores) < 60
    assert max(scores[-3:]) < max(scores)


_SCRIPT = """
import json, sys
from pathlib import Path
from potstill.data import Example
from potstill.spec.task import StudentSpec
from potstill.train import train_student, tuned
tuned._CHECKPOINT_S = 0.0
task = json.loads(Path(sys.argv[1]).read_text())
rows = [Example(**row) for row in task["rows"]]
def progress(phase, done, total):
    print(phase, done, flush=True)
train_student(rows[:60], rows[60:], labels=tuple(task["labels"]), multilabel=False,
    options=StudentSpec(**task["options"]), seed=3, folder=Path(sys.argv[2]), progress=progress)
"""


@pytest.fixture
def script(
    tmp_path: Path, tiny_base: Path, labels: tuple[str, ...], make_rows: RowMaker
) -> list[str]:
    """A command that trains sixty rows; the folder is still to be added."""
    rows = [{"id": row.id, "input": row.input, "target": row.target} for row in make_rows(84)]
    options = {
        "base": str(tiny_base),
        "mode": "tuned",
        "max_tokens": 16,
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 1e-3,
    }
    task = {"rows": rows, "labels": labels, "options": options}
    (tmp_path / "task.json").write_text(json.dumps(task))
    (tmp_path / "script.py").write_text(_SCRIPT)
    return [str(tmp_path / "script.py"), str(tmp_path / "task.json")]


@pytest.mark.slow
def test_a_killed_process_loses_nothing(script: list[str], tmp_path: Path) -> None:
    command = [sys.executable, *script]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    with subprocess.Popen(
        [*command, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        for line in victim.stdout:
            if line.startswith("tune") and int(line.split()[1]) >= 80:
                os.kill(victim.pid, signal.SIGKILL)
                break
    assert not (tmp_path / "killed" / "student.json").exists()
    again = subprocess.run(
        [*command, str(tmp_path / "killed")], check=True, capture_output=True, text=True
    )
    tuned = [int(line.split()[1]) for line in again.stdout.splitlines() if "tune" in line]
    assert tuned[0] > 8
    expected = load_file(tmp_path / "whole" / "student.safetensors")
    for name, value in load_file(tmp_path / "killed" / "student.safetensors").items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.slow
def test_two_processes_learn_as_one_does(
    script: list[str], tmp_path: Path, make_rows: RowMaker, labels: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    subprocess.run(
        [*command, str(tmp_path / "two")], check=True, capture_output=True, env=environment
    )
    assert accuracy(tmp_path / "two", make_rows(30, 90), labels) > 0.9
    history = json.loads((tmp_path / "two" / "student.json").read_text())["facts"]["history"]
    assert len(history) == 3
