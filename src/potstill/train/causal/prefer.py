"""Preference tuning by DPO (Rafailov et al. 2023, "Direct Preference Optimization", equation 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from potstill.errors import TrainingError
from potstill.spec.recipe import PreferStage, TemplateSpec
from potstill.train.causal.start import load_model
from potstill.train.causal.training import Learnt, Silent, halved, learn, owner_of, settings
from potstill.train.causal.turns import Turns, positions_of
from potstill.train.encoder import Progress

_WARMUP = 0.1
"""Share of the steps in which the rate rises, as in the paper's appendix B (150 steps there)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one question, of which one is better.

    Attributes:
        question: what both answer.
        chosen: the whole better completion, thought and marks included.
        rejected: the whole other one.
    """

    question: str
    chosen: str
    rejected: str


class _Trainer(Silent, DPOTrainer):
    """TRL's, silent, on rows that are tokens already."""

    def _prepare_dataset(self, dataset: Any, *_: object, **__: object) -> Any:
        """TRL would render completions by the chat template; ours are tokens as sampled."""
        return dataset


def prefer(
    start: Path,
    pairs: Sequence[Pair],
    *,
    stage: PreferStage,
    template: TemplateSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Learnt:
    """Teach a model to prefer the chosen completions; the first weights are the reference.

    A pair of which one completion is too long, or whose completions are alike, is left out and
    counted.

    Args:
        start: folder of the first weights.
        pairs: in any order.
        stage: its settings.
        template: its system turn goes before each question.
        seed: of the order.
        folder: gets ``weights/``; an interrupted training of the same pairs is gone on with.
        progress: called as (`prefer`, steps done, in all).

    Returns:
        The history's `margin` is the difference of the implicit rewards, `chosen_right` the
        share of pairs in which it is positive.

    Raises:
        TrainingError: no pair fits, the loss is no number any more, or memory is too small.
        StorageError: the disk is full, or the folder may not be written.
    """
    turns = Turns.load(start, template)
    room = min(stage.max_tokens, positions_of(start))
    fitting = [row for row in _rows(pairs, turns) if _fits(row, room)]
    if not fitting:
        raise TrainingError(
            f"none of {len(pairs)} pairs can be learnt from within {room} tokens."
            if pairs
            else "there are no pairs to learn from.",
            hint="Give questions that are sometimes answered right and sometimes wrong: more "
            "'samples', or harder questions.",
        )

    def make() -> _Trainer:
        config = DPOConfig(
            **settings(
                stage,
                rows_a_step=stage.batch_size,
                folder=folder,
                seed=seed,
                final_rate=0.0,
                warmup=_WARMUP,
            ),
            beta=stage.beta,
            loss_type=["sigmoid"],
            loss_weights=None,
            label_smoothing=0.0,
            f_divergence_type="reverse_kl",
            max_length=None,
            padding_free=False,
            pad_to_multiple_of=None,
            precompute_ref_log_probs=False,
            sync_ref_model=False,
            disable_dropout=True,
            use_weighting=False,
        )
        return _Trainer(
            model=load_model(start),
            ref_model=load_model(start),
            args=config,
            train_dataset=Dataset.from_list(fitting),
            processing_class=turns.tokenizer,
        )

    history, seconds = learn(
        make,
        folder=folder,
        owner=owner_of([start], stage, seed, fitting),
        phase="prefer",
        lower=halved(stage, "device_batch_size", "max_tokens"),
        tokenizer=turns.tokenizer,
        row_of=_row_of,
        progress=progress,
    )
    return Learnt(
        steps=len(history),
        rows=len(fitting),
        left_out=len(pairs) - len(fitting),
        seconds=round(seconds, 1),
        history=history,
        notes={
            "chosen_tokens": _mean(fitting, "chosen_ids"),
            "rejected_tokens": _mean(fitting, "rejected_ids"),
        },
    )


def _rows(pairs: Sequence[Pair], turns: Turns) -> list[dict[str, list[int]]]:
    return [
        {
            "prompt_ids": turns.prompt(pair.question),
            "chosen_ids": turns.completion(pair.chosen),
            "rejected_ids": turns.completion(pair.rejected),
        }
        for pair in pairs
    ]


def _fits(row: Mapping[str, list[int]], room: int) -> bool:
    longest = max(len(row["chosen_ids"]), len(row["rejected_ids"]))
    return len(row["prompt_ids"]) + longest <= room and row["chosen_ids"] != row["rejected_ids"]


def _mean(rows: Sequence[Mapping[str, list[int]]], key: str) -> float:
    """Mean tokens: what is longer on one side alone is learnt as a preference for length."""
    return sum(len(row[key]) for row in rows) / len(rows)


def _row_of(log: Mapping[str, Any]) -> dict[str, float]:
    return {
        "step": log["step"],
        "loss": log["loss"],
        "rate": log["learning_rate"],
        "margin": log["rewards/margins"],
        "chosen_right": log["rewards/accuracies"],
    }
