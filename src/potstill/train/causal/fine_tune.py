"""Supervised fine-tuning, also for distillation by text: the loss counts the completion alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.spec.recipe import DistilStage, SftStage, TemplateSpec
from potstill.train.causal.start import load_model
from potstill.train.causal.training import Learnt, Silent, halved, learn, owner_of, settings
from potstill.train.causal.turns import Turns, completion_text, positions_of
from potstill.train.encoder import Progress

_IGNORED = -100
"""Label of a token without a loss."""
_WARMUP = 0.03
"""Share of the steps in which the rate rises; the paper does not tell."""


class _Trainer(Silent, SFTTrainer):
    """TRL's, silent."""


def fine_tune(
    start: Path,
    rows: Sequence[Example],
    *,
    stage: SftStage | DistilStage,
    template: TemplateSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Learnt:
    """Teach a model to write the rows' completions.

    The rate follows a cosine down to `stage.final_rate` of its peak, as in the paper. A row that
    is too long is left out and counted: cut, it would teach a thought without an answer.

    Args:
        start: folder of the first weights.
        rows: questions with answers, thoughts where there are any.
        stage: its settings.
        template: how completions are written.
        seed: of the order.
        folder: gets ``weights/``; an interrupted training of the same rows is gone on with.
        progress: called as (`sft`, steps done, in all).

    Raises:
        TrainingError: no row fits, the loss is no number any more, or memory is too small.
        DataError: a row's target is no text.
        StorageError: the disk is full, or the folder may not be written.
    """
    turns = Turns.load(start, template)
    room = min(stage.max_tokens, positions_of(start))
    fitting = [row for row in map_rows(rows, turns) if len(row["input_ids"]) <= room]
    if not fitting:
        raise TrainingError(
            f"none of {len(rows)} rows fits into {room} tokens." if rows else "there are no rows.",
            hint="Raise 'max_tokens', or take a model with more positions."
            if rows
            else "See what the stages before it left out.",
        )
    packing = isinstance(stage, SftStage) and stage.packing

    def make() -> _Trainer:
        config = SFTConfig(
            **settings(
                stage,
                rows_a_step=stage.batch_size,
                folder=folder,
                seed=seed,
                final_rate=stage.final_rate,
                warmup=_WARMUP,
            ),
            max_length=room if packing else None,
            packing=packing,
            packing_strategy="bfd",
            padding_free=False,
            pad_to_multiple_of=None,
            completion_only_loss=None,
            assistant_only_loss=False,
            shuffle_dataset=False,
            loss_type="nll",
        )
        return _Trainer(
            model=load_model(start),
            args=config,
            train_dataset=Dataset.from_list(fitting),
            processing_class=turns.tokenizer,
        )

    history, seconds = learn(
        make,
        folder=folder,
        owner=owner_of([start], stage, seed, fitting),
        phase="sft",
        lower=halved(stage, "device_batch_size", "max_tokens"),
        tokenizer=turns.tokenizer,
        row_of=_row_of,
        progress=progress,
    )
    tokens = sum(len(row["input_ids"]) for row in fitting)
    learnt = sum(label != _IGNORED for row in fitting for label in row["labels"])
    return Learnt(
        steps=len(history),
        rows=len(fitting),
        left_out=len(rows) - len(fitting),
        seconds=round(seconds, 1),
        history=history,
        notes={"tokens": tokens, "learnt_tokens": learnt},
    )


def map_rows(rows: Sequence[Example], turns: Turns) -> list[dict[str, list[int]]]:
    """Tokens and labels of each row: a label where there is a loss, -100 elsewhere.

    Raises:
        DataError: a row's target is no text.
    """
    made: list[dict[str, list[int]]] = []
    for row in rows:
        prompt = turns.prompt(row.text)
        completion = turns.completion(completion_text(row, turns.template))
        made.append(
            {
                "input_ids": prompt + completion,
                "labels": [_IGNORED] * len(prompt) + completion,
            }
        )
    return made


def _row_of(log: Mapping[str, Any]) -> dict[str, float]:
    return {
        "step": log["step"],
        "loss": log["loss"],
        "rate": log["learning_rate"],
        "token_accuracy": log["mean_token_accuracy"],
    }
