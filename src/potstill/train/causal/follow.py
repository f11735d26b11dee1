"""On-policy distillation: the student writes, the teacher says how it would have gone on.

Agarwal et al. 2024, "On-Policy Distillation of Language Models" (arXiv:2306.13649), equation 5
with all data the student's own and the reverse Kullback-Leibler divergence: at each token that the
student wrote its distribution is drawn to the teacher's. Both must therefore have the very same
tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.distillation_trainer import DistillationTrainer

from potstill.data import Example
from potstill.errors import SpecError, TrainingError
from potstill.spec.recipe import DistilStage, TemplateSpec
from potstill.train.causal.start import load_model
from potstill.train.causal.training import Learnt, Silent, halved, learn, owner_of, settings
from potstill.train.causal.turns import Turns, positions_of
from potstill.train.encoder import Progress

_SHOWN = 3
"""Differing tokens that an error names."""


class _Trainer(Silent, DistillationTrainer):
    """TRL's, silent."""


def follow(
    start: Path,
    teacher: Path,
    rows: Sequence[Example],
    *,
    stage: DistilStage,
    template: TemplateSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> Learnt:
    """Teach a model by a teacher's opinion of each token that it writes.

    Args:
        start: folder of the student's first weights.
        teacher: folder of the teacher's.
        rows: their questions alone are read.
        stage: its settings; a completion has the tokens that `max_tokens` leaves beside the
            longest question.
        template: its system turn goes before each question.
        seed: of order and completions.
        folder: gets ``weights/``; an interrupted training of the same rows is gone on with.
        progress: called as (`follow`, steps done, in all).

    Returns:
        A row of the history has `step`, `loss` (nats a token), `rate`, `tokens` (mean of a
        completion), `cut` (share that was cut), `entropy` (of the student, nats a token).

    Raises:
        SpecError: the two have different tokens.
        TrainingError: too few questions fit, the loss is no number any more, or memory is too
            small.
        StorageError: the disk is full, or the folder may not be written.
    """
    turns = Turns.load(start, template)
    _same_tokens(turns, Turns.load(teacher, template), start, teacher)
    room = min(stage.max_tokens, positions_of(start), positions_of(teacher))
    lengths = {row.id: len(turns.prompt(row.text)) for row in rows}
    # A question that takes more than half of the room leaves too little for an answer.
    fitting = [row for row in rows if lengths[row.id] <= room // 2]
    if len(fitting) < stage.batch_size:
        raise TrainingError(
            f"{len(fitting)} of {len(rows)} questions fit into half of {room} tokens, fewer than "
            f"a step takes ({stage.batch_size}).",
            hint="Lower 'batch_size', raise 'max_tokens', or give more questions.",
        )
    longest = max(lengths[row.id] for row in fitting)
    asked = [{"prompt": turns.messages(row.text)} for row in fitting]

    def make() -> _Trainer:
        config = DistillationConfig(
            **settings(
                stage,
                rows_a_step=stage.batch_size,
                folder=folder,
                seed=seed,
                final_rate=stage.final_rate,
                long_memory=True,
            ),
            max_completion_length=room - longest,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            min_p=None,
            repetition_penalty=1.0,
            beta=1.0,  # the reverse divergence
            disable_dropout=True,
            shuffle_dataset=True,
            pad_to_multiple_of=None,
            remove_unused_columns=False,
            use_vllm=False,
            log_completions=False,
        )
        return _Trainer(
            model=load_model(start),
            teacher_model=load_model(teacher),
            args=config,
            train_dataset=Dataset.from_list(asked),
            processing_class=turns.tokenizer,
        )

    history, seconds = learn(
        make,
        folder=folder,
        owner=owner_of([start, teacher], stage, seed, asked),
        phase="follow",
        lower=halved(stage, "device_batch_size", "max_tokens"),
        tokenizer=turns.tokenizer,
        row_of=_row_of,
        progress=progress,
    )
    return Learnt(
        steps=len(history),
        rows=len(fitting),
        left_out=len(rows) - len(fitting),
        seconds=round(seconds, 1),
        history=history,
    )


def _same_tokens(ours: Turns, theirs: Turns, start: Path, teacher: Path) -> None:
    found = _otherwise(ours, theirs)
    if found is not None:
        raise SpecError(
            f"the student cannot follow its teacher token by token: {found} "
            f"({start} and {teacher}).",
            hint="Take a student of the teacher's family, or set 'on_policy' to false.",
        )


def _otherwise(ours: Turns, theirs: Turns) -> str | None:
    """In what a student's tokens differ from its teacher's, in words; None where they are equal."""
    mine, other = (_by_number(turns) for turns in (ours, theirs))
    if mine != other:
        differing = [at for at in sorted({*mine, *other}) if mine.get(at) != other.get(at)]
        shown = "; ".join(
            f"token {at} is {_quoted(mine.get(at))} and {_quoted(other.get(at))}"
            for at in differing[:_SHOWN]
        )
        return (
            f"it has {len(mine):,} tokens and the teacher {len(other):,}, of which "
            f"{len(differing):,} differ: {shown}"
        )
    if ours.end != theirs.end:
        return f"its turns end with {mine[ours.end]!r}, the teacher's with {other[theirs.end]!r}"
    asked, prompt = (
        turns.tokenizer.decode(turns.prompt("1+1="), skip_special_tokens=False)
        for turns in (ours, theirs)
    )
    return None if asked == prompt else f"its question reads {asked!r}, the teacher's {prompt!r}"


def _by_number(turns: Turns) -> dict[int, str]:
    return {number: token for token, number in turns.tokenizer.get_vocab().items()}


def _quoted(token: str | None) -> str:
    return "missing" if token is None else repr(token)


def _row_of(log: Mapping[str, Any]) -> dict[str, float]:
    return {
        "step": log["step"],
        "loss": log["loss"],
        "rate": log["learning_rate"],
        "tokens": log["completions/mean_length"],
        "cut": log["completions/clipped_ratio"],
        "entropy": log["entropy"],
    }
