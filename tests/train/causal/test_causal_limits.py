"""What a training says where memory or the disk ends, or its loss: the setting, and to what."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.recipe import GrpoStage, SftStage, TemplateSpec
from potstill.train.causal.fine_tune import fine_tune
from potstill.train.causal.start import load_model
from potstill.train.causal.training import halved

_CHILD = """
import resource, signal, sys
from dataclasses import replace
from pathlib import Path
from potstill.data import Example, Text
from potstill.errors import PotstillError
from potstill.spec.recipe import ScratchSpec, SftStage, TemplateSpec
from potstill.train.causal.fine_tune import fine_tune
from potstill.train.causal.start import make_scratch
from potstill.train.causal.turns import all_texts

kind, folder, template = sys.argv[1], Path(sys.argv[2]), TemplateSpec()
rows = [
    Example(id=f"{a}+{b}", input=f"{a}+{b}=", target=Text(str(a + b)), reasoning=f"{a} and {b}")
    for a in range(30) for b in range(30)
]
start = folder / "start"
spec = ScratchSpec(hidden=256 if kind == "memory" else 128, layers=2, heads=2, positions=64)
make_scratch(spec, all_texts(rows), template=template, seed=1, folder=start)
few = kind == "disk"
stage = SftStage(
    name="sft", data=["rows"], epochs=2, batch_size=32 if few else 900,
    device_batch_size=32 if few else 900, max_tokens=64, save_steps=2, learning_rate=1e-3,
)
def limit(phase, done, total):
    if few and done == 3:  # the checkpoint of step 2 is whole
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
if not few:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 200 * 2**20,) * 2)
try:
    fine_tune(start, rows[:200] if few else rows, stage=stage, template=template, seed=1,
              folder=folder, progress=limit)
except PotstillError as error:
    print(type(error).__name__, error, error.exit_code, sep="|")
"""


def child(kind: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, kind, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().split("|")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_an_allocation_that_fails_names_settings_with_numbers(tmp_path: Path) -> None:
    kind, told, code = child("memory", tmp_path)
    assert (kind, code) == ("TrainingError", "2")
    assert "memory is too small for this training" in told
    assert "MiB more were asked for" in told
    assert "Lower 'device_batch_size' from 900 to 450, or 'max_tokens' from 64 to 32" in told
    assert not (tmp_path / "weights").exists()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs such a limit")
def test_a_disk_that_is_full_costs_no_checkpoint(tmp_path: Path) -> None:
    kind, told, code = child("disk", tmp_path)
    assert (kind, code) == ("StorageError", "2")
    assert "the disk is full, or a quota is reached" in told
    assert "finished work is kept" in told
    whole = [path.parent.name for path in (tmp_path / "checkpoints").glob("*/whole")]
    assert whole == ["checkpoint-2"]
    assert not (tmp_path / "weights").exists()


def test_a_gpu_that_is_full_names_how_much(
    start: Path,
    sums: list[Example],
    plain: TemplateSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")

    monkeypatch.setattr("transformers.Trainer.training_step", full)
    stage = SftStage(name="sft", data=["rows"], batch_size=8, device_batch_size=8, max_tokens=64)
    wanted = r"training \(2.50 GiB more were asked for\).*'device_batch_size' from 8 to 4"
    with pytest.raises(TrainingError, match=wanted):
        fine_tune(start, sums[:8], stage=stage, template=plain, seed=1, folder=tmp_path)


def test_halves_are_told_of_what_can_be_halved() -> None:
    def told(**changes: Any) -> str:
        stage = GrpoStage(name="g", data=["q"], **changes)
        return halved(stage, "device_batch_size", "group", "max_new_tokens")

    assert told(device_batch_size=8, group=16, max_new_tokens=4096) == (
        "'device_batch_size' from 8 to 4, or 'group' from 16 to 8, or 'max_new_tokens' from 4,096 "
        "to 2,048"
    )
    assert told(device_batch_size=1, group=2, max_new_tokens=3) == "'max_new_tokens' from 3 to 1"
    assert "size of the model" in told(device_batch_size=1, group=3, max_new_tokens=1)


def test_a_loss_that_becomes_no_number_leaves_the_last_good_checkpoint(
    start: Path,
    sums: list[Example],
    plain: TemplateSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import Trainer

    real, calls = Trainer.training_step, []

    def spoilt(*given: Any, **named: Any) -> Any:
        calls.append(1)
        loss = real(*given, **named)
        return loss * math.nan if len(calls) == 4 else loss

    monkeypatch.setattr(Trainer, "training_step", spoilt)
    stage = SftStage(
        name="sft",
        data=["rows"],
        epochs=3,
        batch_size=8,
        device_batch_size=8,
        max_tokens=64,
        save_steps=2,
        learning_rate=6e-3,
    )
    wanted = (
        r"the loss is no number any more \(step 4 of 6; the checkpoint of step 2 stays\)\. "
        r"Lower 'learning_rate' from 0\.006 to 0\.0006\."
    )
    with pytest.raises(TrainingError, match=wanted):
        fine_tune(start, sums[:16], stage=stage, template=plain, seed=1, folder=tmp_path)
    saved = tmp_path / "checkpoints" / "checkpoint-2"
    assert all(bool(weight.isfinite().all()) for weight in load_model(saved).parameters())
