"""Group relative policy optimisation (Shao et al. 2024, "DeepSeekMath", 4.1), as in DeepSeek-R1.

Several completions of each question are rewarded by rule; each is pushed towards or away from by
how much better it did than the others of its group. A group in which all did alike teaches
nothing: such groups are counted, and questions that would mostly make them can be left out before.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from potstill.data import Example
from potstill.errors import MissingExtraError, SpecError, TrainingError
from potstill.spec.recipe import GrpoStage, RewardSpec, SamplingSpec, TemplateSpec
from potstill.train.causal.guard import UNDECIDED, Guard, Score, kept_apart
from potstill.train.causal.sample import sample
from potstill.train.causal.start import load_model
from potstill.train.causal.training import (
    CHECKPOINTS,
    Learnt,
    Silent,
    halved,
    learn,
    owner_of,
    settings,
)
from potstill.train.causal.turns import Turns, positions_of
from potstill.train.causal.vllm_rollouts import vllm_is_here
from potstill.train.encoder import Progress


@dataclass(frozen=True)
class _Parts:
    """The parts of a reward, each as a function that TRL calls.

    All parts of a batch come of one call of `score`: a verifier may be slow.
    """

    score: Score
    weights: Mapping[str, float]
    questions: Sequence[Example]
    held: dict[str, Sequence[float]]
    guard: Guard

    def functions(self) -> list[Callable[..., list[float | None]]]:
        """One for each part, in the order of the weights."""
        names = list(self.weights)
        return [self._function(name, first=name == names[0]) for name in names]

    def _function(self, name: str, *, first: bool) -> Callable[..., list[float | None]]:
        def part(
            completions: list[list[dict[str, str]]],
            completion_ids: list[list[int]],
            row: list[int],
            **_: Any,
        ) -> list[float | None]:
            if first:  # TRL calls them in turn
                self.held.clear()
                texts = [turns[0]["content"] for turns in completions]
                rows = [self.questions[number] for number in row]
                found = self.score(texts, rows, [len(ids) for ids in completion_ids])
                self.held.update(found)
                self.guard.see(found)
            if name not in self.held:
                raise TrainingError(
                    f"the reward has no part {name!r}, which weighs {self.weights[name]:g}; "
                    f"it has {', '.join(self.held) or 'none'}.",
                    hint=f"Set 'rewards.{name}' to 0, or let the reward tell it.",
                )
            return [float(value) for value in self.held[name]]

        part.__name__ = name
        return part


class _Trainer(Silent, GRPOTrainer):
    """TRL's, silent."""


def reinforce(
    start: Path,
    questions: Sequence[Example],
    score: Score,
    *,
    stage: GrpoStage,
    template: TemplateSpec,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Learnt:
    """Teach a model by what its own completions are worth.

    Args:
        start: folder of the first weights, which are also the first reference.
        questions: with answers that `score` knows what to do with.
        score: what completions are worth.
        stage: its settings.
        template: its system turn goes before each question.
        seed: of order and completions.
        folder: gets ``weights/``; an interrupted training of the same rows is gone on with.
        progress: called as (`probe`, completions done, in all), then (`grpo`, steps done, in all).
        tell: receives a sentence where rewards stop making sense.

    Returns:
        A row of the history has: `step`, `loss`, `rate`, `reward` (the weighted sum), each part
        by its name, `equal_groups` (share of groups whose rewards are all alike), `tokens` (mean
        of a completion), `cut` (share that was cut), `kl` (nats a token, from the reference),
        `clipped` (share of tokens whose ratio was clipped), `entropy` (nats a token), `seconds`.
        `undecided` is the share of answers that the verifier could not judge, `held_out` the
        accuracy on the questions that were kept apart, in steps after which they were asked.
        The notes have `pass_rates` by question id where the stage probes, and `alarms`.

    Raises:
        TrainingError: too few questions are left, all rewards of many steps are alike, the loss
            is no number any more, or memory is too small.
        SpecError: vLLM is asked for and is not here.
        StorageError: the disk is full, or the folder may not be written.
    """
    turns = Turns.load(start, template)
    room = min(stage.max_tokens, positions_of(start)) - stage.max_new_tokens
    fitting = [row for row in questions if len(turns.prompt(row.text)) <= room]
    asked, held = kept_apart(fitting, stage, seed)
    rates = _probe(start, asked, score, stage, template, seed, progress) if stage.probe else {}
    least, most = stage.pass_rate
    kept = [row for row in asked if row.id not in rates or least < rates[row.id] < most]
    if len(kept) < stage.questions:
        raise TrainingError(
            _too_few(questions, fitting, asked, kept, stage, room), hint=_remedy(stage)
        )
    weights = _weights(stage.rewards)
    guard = Guard(
        stage, weights, held, score=score, turns=turns, folder=folder / CHECKPOINTS, tell=tell
    )
    parts = _Parts(score, weights, kept, {}, guard)
    rows = [
        {"prompt": turns.messages(question.text), "row": number}
        for number, question in enumerate(kept)
    ]

    def make() -> _Trainer:
        guard.trainer = _Trainer(
            model=load_model(start),
            reward_funcs=[*parts.functions()],
            args=GRPOConfig(**_settings(stage, weights, folder, seed)),
            train_dataset=Dataset.from_list(rows),
            processing_class=turns.tokenizer,
            peft_config=_adapters(stage),
        )
        return guard.trainer

    history, seconds = learn(
        make,
        folder=folder,
        owner=owner_of([start], stage, seed, [[row.id, row.text] for row in kept]),
        phase="grpo",
        lower=halved(stage, "device_batch_size", "group", "questions", "max_new_tokens"),
        tokenizer=turns.tokenizer,
        row_of=lambda log: _row_of(log, weights),
        progress=progress,
        watch=guard,
    )
    return Learnt(
        steps=len(history),
        rows=len(kept),
        left_out=len(questions) - len(kept) - len(held),
        seconds=round(seconds, 1),
        history=history,
        notes={
            "too_long": len(questions) - len(fitting),
            "pass_rates": rates,
            "outside_pass_rate": len(asked) - len(kept),
            "watched": len(held),
            "alarms": guard.alarms,
            "stopped_early": guard.stopped,
            "weights_of_step": guard.kept_step,
            "equal_groups": sum(row["equal_groups"] for row in history) / len(history),
            "undecided": sum(row[UNDECIDED] for row in history) / len(history),
            "rollouts": "vllm" if _by_vllm(stage) else "transformers",
        },
    )


def _settings(
    stage: GrpoStage, weights: Mapping[str, float], folder: Path, seed: int
) -> dict[str, Any]:
    """GRPO as the paper has it; what TRL has otherwise by default is told."""
    moving = stage.kl > 0 and stage.lora_rank == 0
    return {
        **settings(
            stage,
            rows_a_step=stage.questions * stage.group,
            folder=folder,
            seed=seed,
            final_rate=stage.final_rate,
            long_memory=True,
        ),
        "max_steps": stage.steps or -1,
        "num_generations": stage.group,
        "max_completion_length": stage.max_new_tokens,
        "temperature": stage.temperature,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        # Left open, a batch is sampled for each optimiser step: what is learnt from is on-policy,
        # and no checkpoint falls between sampling and learning.
        "steps_per_generation": None,
        "num_iterations": 1,
        "epsilon": stage.clip,
        "epsilon_high": None,
        "beta": stage.kl,
        "use_bias_correction_kl": False,  # of DeepSeek-V3.2; TRL: True
        "sync_ref_model": moving,
        "ref_model_sync_steps": stage.reference_steps,
        "ref_model_mixup_alpha": 1.0,  # the reference is replaced, not blended; TRL: 0.6
        "loss_type": "grpo",  # means over completions; TRL: dapo
        "scale_rewards": "group",
        "importance_sampling_level": "token",
        "multi_objective_aggregation": "sum_then_normalize",
        "reward_weights": list(weights.values()),
        "mask_truncated_completions": False,
        "top_entropy_quantile": 1.0,
        "entropy_coef": 0.0,
        "disable_dropout": True,
        "shuffle_dataset": True,
        "pad_to_multiple_of": None,
        "remove_unused_columns": False,
        "use_vllm": _by_vllm(stage),
        "log_completions": False,
    }


def _by_vllm(stage: GrpoStage) -> bool:
    """Whether vLLM writes the completions.

    Raises:
        SpecError: it is asked for and is not here.
    """
    if stage.rollouts == "vllm" and not vllm_is_here():
        raise SpecError(
            "'rollouts: vllm' needs a GPU and the package vllm.",
            hint="Install vllm, or set 'rollouts: transformers'.",
        )
    return stage.rollouts != "transformers" and vllm_is_here()


def _adapters(stage: GrpoStage) -> Any:
    """Low-rank adapters on all linear layers; None trains all weights.

    With adapters the reference is the first weights throughout: TRL cannot replace it.

    Raises:
        MissingExtraError: peft is not installed.
    """
    if not stage.lora_rank:
        return None
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("peft", "lora")
    from peft import LoraConfig  # pyright: ignore[reportMissingImports]

    return LoraConfig(
        r=stage.lora_rank,
        lora_alpha=2 * stage.lora_rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _weights(rewards: RewardSpec) -> dict[str, float]:
    """Parts that weigh something; accuracy is always told."""
    told = {name: getattr(rewards, name) for name in ("accuracy", "format", "language", "length")}
    return {name: weight for name, weight in told.items() if weight or name == "accuracy"}


def _probe(
    start: Path,
    questions: Sequence[Example],
    score: Score,
    stage: GrpoStage,
    template: TemplateSpec,
    seed: int,
    progress: Progress | None,
) -> dict[str, float]:
    """Share of right answers of the first weights by question id."""
    spec = SamplingSpec(
        samples=stage.probe, temperature=stage.temperature, max_new_tokens=stage.max_new_tokens
    )

    def tell(_: str, done: int, total: int) -> None:
        if progress is not None:
            progress("probe", done, total)

    # The draws must not be those of a judgement with the same seed.
    found = list(
        sample(start, questions, spec=spec, template=template, seed=seed + 1, progress=tell)
    )
    rows = [question for question in questions for _ in range(stage.probe)]
    scored = score([one.text for one in found], rows, [one.tokens for one in found])
    right = [value >= 1.0 for value in scored["accuracy"]]  # NaN is not right
    return {
        question.id: sum(right[at * stage.probe : (at + 1) * stage.probe]) / stage.probe
        for at, question in enumerate(questions)
    }


def _too_few(
    questions: Sequence[Example],
    fitting: Sequence[Example],
    asked: Sequence[Example],
    kept: Sequence[Example],
    stage: GrpoStage,
    room: int,
) -> str:
    said = f"of {len(questions)} questions {len(kept)} are left, fewer than a step takes ({stage.questions})"
    if len(fitting) < len(questions):
        said += f"; {len(questions) - len(fitting)} are longer than {max(0, room)} tokens"
    if len(asked) < len(fitting):
        said += f"; {len(fitting) - len(asked)} are kept apart ('watch_rows')"
    if len(kept) < len(asked):
        least, most = stage.pass_rate
        said += (
            f"; {len(asked) - len(kept)} are answered right not between {least:g} and {most:g} "
            "of the time"
        )
    return f"{said}."


def _remedy(stage: GrpoStage) -> str:
    return "Lower 'questions' or 'max_new_tokens', give more questions" + (
        ", or widen 'pass_rate'." if stage.probe else "."
    )


def _row_of(log: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, float]:
    def told(key: str) -> float:
        value = log.get(key)
        return math.nan if value is None else value

    row = {
        "step": log["step"],
        "loss": log["loss"],
        "rate": log["learning_rate"],
        "reward": told("reward"),
        **{name: told(f"rewards/{name}/mean") for name in weights},
        "equal_groups": told("frac_reward_zero_std"),
        "tokens": told("completions/mean_length"),
        "cut": told("completions/clipped_ratio"),
        "clipped": told("clip_ratio/region_mean"),
        "entropy": told("entropy"),
        "seconds": told("step_time"),
        UNDECIDED: told(UNDECIDED),
    }
    return row | {key: told(key) for key in ("kl", "held_out") if key in log}
