"""One training by a trainer of TRL: settings, checkpoints, exact resume, clear errors.

    checkpoints/    TRL's own checkpoints, and whose they are; the caller may remove them when he
                    has noted that the training is finished
    weights/        written last and whole

Every setting that bears on the result is written out here or by the caller, since TRL's and
transformers' defaults differ from the paper's, and change between versions.
"""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import torch
from transformers import PrinterCallback, TrainerCallback
from transformers.trainer_callback import ProgressCallback

from potstill.data.files import sha256_of, storage_error, write_json
from potstill.errors import TrainingError
from potstill.spec.recipe import LearningSpec
from potstill.train.causal.start import full_disk, save_weights
from potstill.train.encoder import Progress, Quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

WEIGHTS, CHECKPOINTS = "weights", "checkpoints"
_OWNER, _WHOLE, _REFERENCE = "owner.json", "whole", "reference.pt"
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
_LEAST = {"group": 2, "max_tokens": 16}
_KEPT = 2
"""Checkpoints on disk: the one before the last stays until the last one is whole."""


@dataclass(frozen=True)
class Learnt:
    """What a stage did to its first weights.

    Attributes:
        steps: optimiser steps.
        rows: that were learnt from.
        left_out: rows that were not, being too long, or taught nothing.
        seconds: of this call; what a killed one had done is not in it.
        history: a row a step: `step`, `loss`, `rate`, and what the kind of training adds.
        notes: further figures of this kind of training.
    """

    steps: int
    rows: int
    left_out: int
    seconds: float
    history: list[dict[str, float]]
    notes: dict[str, Any] = field(default_factory=dict[str, Any])


class Silent:
    """A trainer of TRL that tells nobody that it ran and writes no card: ours come elsewhere."""

    def _send_telemetry(self) -> None:
        """TRL would send model and hardware to its makers."""

    def create_model_card(self, *_: object, **__: object) -> None:
        """TRL would write one beside every checkpoint."""


class StepWatch(Protocol):
    """Sees a training as it goes."""

    def __call__(self, log: Mapping[str, Any]) -> Mapping[str, Any]:
        """Look at the log of a step, which has `again` where a killed training had done it.

        Returns:
            What is added to the log; with `stop` the training ends after this step.

        Raises:
            TrainingError: there is no use in going on.
        """
        ...

    def settle(self) -> None:
        """The training has ended: the weights may still be changed."""


def settings(
    stage: LearningSpec,
    *,
    rows_a_step: int,
    folder: Path,
    seed: int,
    final_rate: float,
    warmup: float = 0.0,
    long_memory: bool = False,
) -> dict[str, Any]:
    """Arguments that all of TRL's configurations share.

    Args:
        stage: rates, batches and steps between checkpoints.
        rows_a_step: rows of an optimiser step, over all devices.
        folder: of the stage.
        seed: of everything.
        final_rate: share of the peak rate at which the cosine ends; 1 for a constant rate.
        warmup: share of the steps in which the rate rises.
        long_memory: whether Adam's second moment remembers a thousand steps rather than twenty:
            for gradients that are mostly noise.

    Raises:
        TrainingError: the rows of a step cannot be shared evenly by the devices.
    """
    gpu = torch.cuda.is_available()
    devices = int(torch.distributed.get_world_size()) if torch.distributed.is_initialized() else 1
    if rows_a_step % devices:
        raise TrainingError(
            f"{rows_a_step} rows a step cannot be shared evenly by {devices} devices.",
            hint="Choose a multiple of the number of devices.",
        )
    share = rows_a_step // devices
    # The largest that divides the share: gradients are accumulated over equal parts.
    at_once = max(n for n in range(1, min(stage.device_batch_size, share) + 1) if share % n == 0)
    return {
        "output_dir": str(folder / CHECKPOINTS),
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": share // at_once,
        "num_train_epochs": stage.epochs,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": final_rate},
        "warmup_steps": warmup,
        "optim": "adamw_torch_fused",
        "weight_decay": 0.0,
        "adam_beta1": 0.9,
        # 0.95 as in DeepSeek-V3 (arXiv:2412.19437, 4.2); the recipe's paper does not tell.
        "adam_beta2": 0.999 if long_memory else 0.95,
        "adam_epsilon": 1e-8,
        "max_grad_norm": 1.0,
        "seed": seed % 2**32,
        "data_seed": seed % 2**32,
        "use_cpu": not gpu,
        "bf16": gpu,
        "fp16": False,
        "activation_checkpointing": gpu,
        "dataloader_pin_memory": gpu,
        "dataloader_num_workers": 0,
        "save_strategy": "steps",
        "save_steps": stage.save_steps,
        "save_total_limit": _KEPT,
        "eval_strategy": "no",
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "push_to_hub": False,
        "disable_tqdm": True,
    }


def learn(
    make: Callable[[], Trainer],
    *,
    folder: Path,
    owner: str,
    phase: str,
    lower: str,
    tokenizer: PreTrainedTokenizerBase,
    row_of: Callable[[Mapping[str, Any]], dict[str, float]],
    progress: Progress | None,
    watch: StepWatch | None = None,
) -> tuple[list[dict[str, float]], float]:
    """Train, or go on with a training that was killed, and write the weights.

    Args:
        make: the trainer; only called where there is something left to do.
        folder: of the stage.
        owner: identity of the training; checkpoints of another one are thrown away.
        phase: named to `progress`.
        lower: settings whose lowering saves memory, for the error.
        tokenizer: is written beside the weights.
        row_of: what the history keeps of a step's log.
        progress: called as (phase, steps done, steps in all).
        watch: sees the log of each step, and may refuse to go on or end the training.

    Returns:
        The history, and the seconds that this call took.

    Raises:
        TrainingError: the loss is no number any more, or memory is too small.
        StorageError: the disk is full, or the folder may not be written.
    """
    started = time.monotonic()
    last = _claim(folder / CHECKPOINTS, owner)
    with _explained(lower, folder), Quiet(), warnings.catch_warnings():
        # TRL still uses what transformers will drop in its next version.
        warnings.simplefilter("ignore", FutureWarning)
        trainer: Any = make()
        trainer.remove_callback(PrinterCallback)
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(_Watch(trainer, phase, progress, watch, last))
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        if watch is not None:
            watch.settle()
        model = trainer.accelerator.unwrap_model(trainer.model)
        if hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()
        if trainer.is_world_process_zero():
            save_weights(model, tokenizer, folder / WEIGHTS)
    history = [row_of(log) for log in trainer.state.log_history if "loss" in log]
    return history, time.monotonic() - started


def owner_of(models: Sequence[Path], stage: LearningSpec, seed: int, rows: Iterable[Any]) -> str:
    """What makes two trainings the same one, as hexadecimal digits.

    Args:
        models: folders of the first weights, and of a teacher where there is one.
        stage: its settings.
        seed: of everything.
        rows: what is learnt, as JSON can write it.
    """
    digest = hashlib.sha256()
    for model in models:
        for file in sorted(model.glob("*.safetensors")):
            digest.update(sha256_of(file).encode())
    told = stage.model_dump(mode="json", exclude={"name", "accept", "max_drop", "save_steps"})
    digest.update(orjson.dumps([told, seed], option=orjson.OPT_SORT_KEYS))
    for row in rows:
        digest.update(orjson.dumps(row))
    return digest.hexdigest()


class _Watch(TrainerCallback):
    """Tells progress, refuses a loss that is no number, and makes checkpoints complete."""

    def __init__(
        self,
        trainer: Any,
        phase: str,
        progress: Progress | None,
        watch: StepWatch | None,
        last: Path | None,
    ) -> None:
        self._trainer, self._phase, self._progress = trainer, phase, progress
        self._watch, self._last = watch, last

    @property
    def _moving_reference(self) -> Any:
        """The reference where it is replaced now and then: TRL's checkpoints lack it."""
        moves = getattr(self._trainer.args, "sync_ref_model", False)
        return getattr(self._trainer, "ref_model", None) if moves else None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for log in state.log_history:  # of a training that was killed
            if self._watch is not None and "loss" in log:
                self._watch({**log, "steps": state.max_steps, "again": True})
        if self._last is not None and self._moving_reference is not None:
            state = torch.load(self._last / _REFERENCE, map_location="cpu", weights_only=True)
            reference = self._trainer.accelerator.unwrap_model(self._moving_reference)
            reference.load_state_dict(state)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(float(logs.get(name, 0.0))):
                last = _last_whole(Path(args.output_dir))
                kept = f"; the checkpoint of step {_step_of(last)} stays" if last else ""
                raise TrainingError(
                    f"the {'loss' if name == 'loss' else 'gradient'} is no number any more "
                    f"(step {state.global_step} of {state.max_steps}{kept}).",
                    hint=f"Lower 'learning_rate' from {args.learning_rate:g} to "
                    f"{args.learning_rate / 10:.1g}.",
                )
        if self._watch is not None:
            found = self._watch({**logs, "step": state.global_step, "steps": state.max_steps})
            state.log_history[-1].update(found)  # checkpoints keep it
            if found.get("stop"):
                control.should_training_stop = control.should_save = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # The last step too is worth a checkpoint: what follows it may be killed.
        control.should_save = control.should_save or state.global_step >= state.max_steps
        if self._progress is not None and state.is_world_process_zero:
            self._progress(self._phase, state.global_step, state.max_steps)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        saved = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if self._moving_reference is not None:
            reference = self._trainer.accelerator.unwrap_model(self._moving_reference)
            torch.save(reference.state_dict(), saved / _REFERENCE)
        # Last of all: what a kill left half-written has no such file.
        (saved / _WHOLE).touch()


def _claim(checkpoints: Path, owner: str) -> Path | None:
    """The last whole checkpoint of this very training, after all others are thrown away."""
    known = None
    with suppress(OSError, orjson.JSONDecodeError):
        known = orjson.loads((checkpoints / _OWNER).read_bytes()).get("owner")
    if known != owner:
        shutil.rmtree(checkpoints, ignore_errors=True)
        write_json(checkpoints / _OWNER, {"owner": owner})
    for path in checkpoints.glob("checkpoint-*"):
        if not (path / _WHOLE).is_file():
            shutil.rmtree(path, ignore_errors=True)
    return _last_whole(checkpoints)


def _last_whole(checkpoints: Path) -> Path | None:
    found = [path for path in checkpoints.glob("checkpoint-*") if (path / _WHOLE).is_file()]
    return max(found, key=_step_of, default=None)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def halved(stage: LearningSpec, *names: str) -> str:
    """Which settings save memory, each from what it is to its half; for an error's hint.

    Args:
        stage: whose settings they are.
        names: the one to lower first before the others; one that cannot be halved is left out.
    """
    told = [
        f"'{name}' from {value:,} to {value // 2:,}"
        for name in names
        if (value := getattr(stage, name)) // 2 >= _LEAST.get(name, 1)
    ]
    return ", or ".join(told) or "the size of the model, since nothing else can be"


class _explained:  # noqa: N801 - reads as a verb where it is used
    """Turns what a trainer raises into errors with a remedy."""

    def __init__(self, lower: str, folder: Path) -> None:
        self._lower, self._folder = lower, folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MemoryError | RuntimeError) and (
            isinstance(error, MemoryError | torch.OutOfMemoryError)
            or any(words in str(error).lower() for words in _MEMORY)
        ):
            raise TrainingError(
                f"memory is too small for this training{_asked_for(error)}.",
                hint=f"Lower {self._lower}; run again to go on.",
            ) from error
        full = None if error is None else full_disk(error)
        if full is not None:
            raise storage_error(full, self._folder) from error
        if isinstance(error, OSError) and not isinstance(error, TrainingError):
            raise storage_error(error, self._folder) from error


def _asked_for(error: BaseException) -> str:
    """How much memory the last request was for, where the error says it."""
    found = re.search(r"(?:allocate|allocate:?) (\d[\d.,]*) ?(bytes|[KMGT]iB)", str(error))
    if found is None:
        return ""
    amount, unit = found.groups()
    return (
        f" ({int(amount) / 2**20:,.0f} MiB more were asked for)"
        if unit == "bytes"
        else (f" ({amount} {unit} more were asked for)")
    )
