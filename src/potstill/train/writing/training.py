"""Train a writer: a causal language model goes on learning, on the texts of the teacher.

Reads examples; writes the writer's folder (see `potstill.train.writing.student`) and, while a
training is under way, ``checkpoint.pt`` beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from torch import nn

from potstill.data.example import Example
from potstill.errors import TrainingError
from potstill.runtime.prompt import Prompt, PromptReader
from potstill.runtime.writer import room_tokens
from potstill.spec.generation import TextSpec
from potstill.spec.task import StudentSpec, Task
from potstill.train.checkpoint import Checkpoint, identity_of
from potstill.train.encoder import Progress
from potstill.train.loop import tune
from potstill.train.training import Trained, finished
from potstill.train.writing.bases import load_start, resolve_writer
from potstill.train.writing.prompting import instruction_of, prompt_of
from potstill.train.writing.student import save_writer
from potstill.train.writing.work import NextTokens, WritingWork, mean_loss, pairs_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODE = "abstractive"
_CHECKPOINT = "checkpoint.pt"

_DEFAULTS = {"max_tokens": 512, "epochs": 3, "batch_size": 8, "learning_rate": 1e-4}
"""What a writer takes where the task says nothing: the defaults of the spec suit encoders.
Most bases have been taught to follow instructions, and need to be shown the style alone."""


def train_writer(
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    task: Task,
    options: StudentSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Trained:
    """Train a writer; with an interrupted training of the same rows in `folder`, go on with it.

    Args:
        train: the rows to learn from, each with a `Text` for its target.
        dev: the rows that decide which epoch stays.
        task: its question, its bound and its rubric become the instruction.
        options: ``writer``, and the settings of the fine-tuning.
        seed: of batches.
        folder: a private work folder.
        progress: called as (phase, done, total).

    Raises:
        TrainingError: no rows, a row without a text, or the loss is no number any more.
        SpecError: there is no such base.
        TeacherError: the package that brings the base is missing or altered.
        MissingExtraError: the package that reads GGUF files is not installed.
        StorageError: the folder may not be written, or the disk is full.
    """
    started = time.monotonic()
    seed %= 2**32  # what the random generators accept
    if not train or not dev:
        raise TrainingError(
            "a writer needs rows to learn from, and development rows that tell when to stop.",
            hint="Give the task more rows.",
        )
    options = writing_options(options)
    base = resolve_writer(options.writer)
    instruction = instruction_of(task)
    identity = identity_of(
        train,
        dev,
        labels=[instruction],
        multilabel=False,
        options=options,
        seed=seed,
        base_sha256=base.sha256,
    )
    done = finished(folder, identity)
    if done is not None:
        return done
    start = load_start(base)
    prompt = prompt_of(start.tokenizer, start.model, instruction)
    max_tokens = usable_tokens(start.model, prompt, task.text, options.max_tokens)
    reader = PromptReader(start.tokenizer_json, prompt, max_tokens=max_tokens)
    dev_pairs = pairs_of(dev, reader)
    network = NextTokens(start.model)
    untuned = mean_loss(network, dev_pairs)
    checkpoint = Checkpoint(folder / _CHECKPOINT, identity)
    history = tune(
        network,
        WritingWork(pairs_of(train, reader), dev_pairs),
        groups=learning_groups(start.model, options.learning_rate),
        options=options,
        seed=seed,
        checkpoint=checkpoint,
        phase="write",
        progress=progress,
    )
    seconds = round(time.monotonic() - started, 1)
    losses = {
        "dev_loss": -max(row["dev_accuracy"] for row in history),
        "untuned_dev_loss": untuned,
    }
    candidate = {"mode": MODE, "dev_accuracy": None, "seconds": seconds, "chosen": True, **losses}
    trained = Trained(folder, base.name, MODE, [candidate], seconds, len(train), history)
    if PartialState().is_main_process:
        save_writer(
            folder,
            start,
            prompt=prompt,
            max_tokens=max_tokens,
            facts={"identity": identity, **trained.facts},
        )
        checkpoint.clear()
    PartialState().wait_for_everyone()
    return trained


def writing_options(options: StudentSpec) -> StudentSpec:
    """The options, with a writer's own defaults for what the task leaves open."""
    unsaid = {key: value for key, value in _DEFAULTS.items() if key not in options.model_fields_set}
    return options.model_copy(update=unsaid)


def usable_tokens(model: PreTrainedModel, prompt: Prompt, text: TextSpec, most: int) -> int:
    """Tokens that a writer can read of a source, beside its instruction and its own text.

    Args:
        model: of a limited number of positions.
        prompt: the instruction.
        text: how long the written text may be.
        most: tokens that are wanted.

    Raises:
        TrainingError: nothing of a source would be read.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(positions, int):
        return most
    left = positions - len(prompt.before) - len(prompt.after) - room_tokens(text)
    if left < 1:
        raise TrainingError(
            f"the writer has {positions} positions, which its instruction and a text of "
            f"{text.max_words} words fill.",
            hint="Lower 'text.max_words', or start from a model with more positions.",
        )
    return min(most, left)


def learning_groups(model: PreTrainedModel, learning_rate: float) -> list[dict[str, Any]]:
    """The upper half of the layers learns; the lower half and the table of words stay.

    A few hundred texts teach how things are put, and no new words. Nothing is computed backwards
    through what stays, so that a step takes about two thirds of the time.

    Args:
        model: its gradients are switched on and off in place.
        learning_rate: peak rate.
    """
    model.requires_grad_(False)
    layers = _layers_of(model)
    for layer in layers[len(layers) // 2 :]:
        layer.requires_grad_(True)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    return [{"params": learning, "lr": 0.0, "peak": learning_rate, "weight_decay": 0.0}]


def _layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The stack of layers: the longest list of modules that a causal model holds."""
    stacks = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    return max(stacks, key=len)
