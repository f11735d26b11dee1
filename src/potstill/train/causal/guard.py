"""A guard over a GRPO training: are the rewards still worth what they stand for?

It sees the log of each step: `potstill.verify.watch` says which rules it holds them against. Now
and then it asks questions that were kept out of the training, by greedy completions of the
weights as they are. What it finds stands in the log of the step, so that a training that was
killed goes on with it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import torch

from potstill.data import Example
from potstill.data.files import writing
from potstill.errors import TrainingError
from potstill.spec.recipe import GrpoStage
from potstill.train.causal.sample import write_with
from potstill.train.causal.turns import Turns
from potstill.verify.reward import Part
from potstill.verify.watch import Alarm, Watch

Score = Callable[[list[str], list[Example], list[int]], Mapping[str, Sequence[float]]]
"""score(completions, rows, tokens): for each named part of the reward a value a completion, not
yet weighted; NaN where it could not be judged. Tokens count what was written, end token included.
A column `undecided:REASON` is 1 where a verifier could not tell, for that reason."""

UNDECIDED = "undecided"
PATIENCE_STEPS = 20
"""Steps in which no group teaches anything before the training is refused."""
_FEWEST = 10
"""Kept questions below which their accuracy says nothing."""
_MANY_UNDECIDED = 0.05
"""Share of answers that no verifier could judge from which a person is told."""


def kept_apart(
    questions: Sequence[Example], stage: GrpoStage, seed: int
) -> tuple[list[Example], list[Example]]:
    """Questions to learn from, and those that are asked now and then: the same ones every time."""
    rows = min(stage.watch_rows, len(questions) // 10) if stage.watch_steps else 0
    if rows < _FEWEST:
        return list(questions), []

    def drawn(row: Example) -> bytes:
        return hashlib.sha256(f"{seed}\0{row.id}".encode()).digest()

    held = {row.id for row in sorted(questions, key=drawn)[:rows]}
    return [row for row in questions if row.id not in held], [
        row for row in questions if row.id in held
    ]


class Guard:
    """Sees every step of a training; see the module.

    Args:
        stage: its settings.
        weights: the parts of the reward.
        held: questions that are asked now and then; none for no such measurement.
        score: what completions are worth.
        turns: how questions are put.
        folder: of the checkpoints, where the best weights are kept.
        tell: receives a sentence about each alarm.

    Attributes:
        trainer: whose model is asked; set by who makes it.
        alarms: what was found, in order.
    """

    def __init__(
        self,
        stage: GrpoStage,
        weights: Mapping[str, float],
        held: Sequence[Example],
        *,
        score: Score,
        turns: Turns,
        folder: Path,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._stage, self._weights, self._held = stage, weights, list(held)
        self._score, self._turns, self._tell = score, turns, tell
        self._best_file = folder / "best.pt"
        parts = tuple(name for name in get_args(Part) if weights.get(name))
        self._watch = Watch(watched=cast("tuple[Part, ...]", parts))
        self._best: tuple[float, int] | None = None
        self._taught = self._hacked = self._doubted = False
        self._nothing_judged = True
        self._answers, self._reasons = 0, Counter[str]()
        self.trainer: Any = None
        self.alarms: list[dict[str, Any]] = []

    def __call__(self, log: Mapping[str, Any]) -> Mapping[str, Any]:
        """Look at the log of a step; what is added to it, `stop` among it where it is to end.

        Raises:
            TrainingError: nothing can be learnt, or nothing is judged.
        """
        step, again = log["step"], log.get("again", False)
        row: dict[str, Any] = {} if again else self._undecided()
        log = {**log, **row}
        self._refuse(log)
        means = {name: log[f"rewards/{name}/mean"] for name in self._weights}
        found = self._watch.see_means(
            step, means | {"total": log["reward"]}, flat=log["frac_reward_zero_std"] >= 1
        )
        if self._held and (step == 1 or step % self._stage.watch_steps == 0):
            accuracy = log["held_out"] if "held_out" in log else self._measure()
            row["held_out"] = accuracy
            found += self._watch.held_out(step, accuracy, len(self._held))
            self._keep(accuracy, step, save=not again)
        told = [(alarm.kind, self._words(alarm, log)) for alarm in found if _matters(alarm)]
        for kind, words in [*told, *self._doubts(log)]:
            self.alarms.append({"kind": kind, "step": step, "text": words})
            if self._tell is not None and not again:
                self._tell(words)
            self._hacked = self._hacked or kind == "hacked"
        # Also in the step after it, where a kill came between the alarm and the end.
        return row | {"stop": True} if self.stopped else row

    def see(self, scored: Mapping[str, Sequence[float]]) -> None:
        """Count the completions of which a verifier could not tell, and why."""
        self._answers += len(next(iter(scored.values()), ()))
        for name, column in scored.items():
            if name.startswith(f"{UNDECIDED}:"):
                self._reasons[name.partition(":")[2]] += int(sum(column))

    def _undecided(self) -> dict[str, Any]:
        """What was counted since the last step."""
        share = self._reasons.total() / self._answers if self._answers else 0.0
        counts = {reason: count for reason, count in self._reasons.items() if count}
        self._answers, self._reasons = 0, Counter[str]()
        return {UNDECIDED: share, "undecided_by_reason": counts}

    def settle(self) -> None:
        """Give the model back its best weights where its reward was hacked and it was to stop."""
        if self._hacked and self._stage.on_alarm == "stop" and self._best_file.is_file():
            state = torch.load(self._best_file, map_location="cpu", weights_only=True)
            self._model().load_state_dict(state)

    @property
    def stopped(self) -> bool:
        """Whether an alarm has ended the training."""
        kinds = {alarm["kind"] for alarm in self.alarms}
        return self._stage.on_alarm == "stop" and bool(kinds & {"hacked", "flat"})

    @property
    def kept_step(self) -> int | None:
        """The step whose weights were given back; None where they are those of the last."""
        if not (self._hacked and self._stage.on_alarm == "stop" and self._best):
            return None
        return self._best[1]

    def _model(self) -> Any:
        return self.trainer.accelerator.unwrap_model(self.trainer.model)

    def _measure(self) -> float:
        """Share of the kept questions that the weights answer right."""
        written = write_with(self._model(), self._turns, self._held, self._stage.max_new_tokens)
        scored = self._score(
            [one.text for one in written], self._held, [one.tokens for one in written]
        )
        right = sum(bool(value >= 1.0) for value in scored["accuracy"])  # NaN is not right
        return right / len(self._held)

    def _keep(self, accuracy: float, step: int, *, save: bool) -> None:
        """Remember the best weights; they are written only where it may come to using them."""
        if self._best is not None and accuracy < self._best[0]:
            return
        self._best = (accuracy, step)
        if save and self._stage.on_alarm == "stop":
            with writing(self._best_file) as stream:
                torch.save(self._model().state_dict(), stream)

    def _refuse(self, log: Mapping[str, Any]) -> None:
        """Refuse to go on where no group has taught anything, or nothing was judged, so far.

        Later on groups may all become alike: then everything is learnt.
        """
        self._taught = self._taught or log["frac_reward_zero_std"] < 1
        reasons = _reasons(log)
        self._nothing_judged = self._nothing_judged and log.get(UNDECIDED, 0.0) >= 1
        if log["step"] < min(PATIENCE_STEPS, log["steps"]):
            return
        if self._nothing_judged:
            raise TrainingError(
                f"the verifier could judge no answer in {log['step']} steps ({reasons}), so that "
                "no answer was ever worth anything.",
                hint="Look at 'rewards.verifier' and 'rewards.timeout_s', or at the column of "
                "right answers: data.SOURCE.answer.",
            )
        if self._taught:
            return
        means = ", ".join(f"{name} {log[f'rewards/{name}/mean']:g}" for name in self._weights)
        form = log.get("rewards/format/mean", 1.0)
        marks = self._turns.template
        raise TrainingError(
            f"all completions of a question were worth the same in each of {log['step']} steps, "
            f"so that nothing can be learnt (means of the last one: {means}).",
            hint="Start from weights that are sometimes right (a cold start), give easier "
            "questions, or see whether the verifier understands the answers."
            + (
                f" The form was never reached either: see whether {marks.opening} and "
                f"{marks.closing} are in what is learnt before, and whether completions are cut."
                if form == 0
                else ""
            )
            if log["rewards/accuracy/mean"] < 0.5
            else "Give harder questions: the first weights answer these already.",
        )

    def _words(self, alarm: Alarm, log: Mapping[str, Any]) -> str:
        """The alarm and what to look at."""
        cut = log.get("completions/clipped_ratio", 0.0)
        marks = self._turns.template
        advice = {
            "hacked": "Look at the completions: the reward pays for something else than right "
            "answers. Lower the weights of other parts, raise 'kl', or train for fewer steps.",
            "flat": "Nothing is learnt any more: end the stage here ('steps'), give harder or "
            "easier questions, or choose them by 'probe' and 'pass_rate'.",
            "always_one": "The questions are too easy: give harder ones, or choose them by "
            "'probe' and 'pass_rate'.",
            "always_zero": {
                "accuracy": "The questions are too hard, or the verifier does not read the "
                "answers: look at some completions, and try another 'rewards.verifier'.",
                "format": f"The form is never reached: see whether {marks.opening} and "
                f"{marks.closing} are ordinary tokens, whether a stage before teaches them, and "
                f"whether 'max_new_tokens' cuts completions ({cut:.0%} of this step are).",
            }.get(alarm.part, f"See what 'rewards.{alarm.part}' measures, or set it to 0."),
        }[alarm.kind]
        return f"step {alarm.step}: {alarm.detail}. {advice}"

    def _doubts(self, log: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Once: a verifier that often cannot tell, whose answers count as wrong."""
        share = log.get(UNDECIDED, 0.0)
        if self._doubted or share <= _MANY_UNDECIDED:
            return []
        self._doubted = True
        text = (
            f"step {log['step']}: the verifier could not judge {share:.0%} of the answers "
            f"({_reasons(log)}); they count as wrong. Look at 'rewards.verifier' and "
            "'rewards.timeout_s'."
        )
        return [(UNDECIDED, text)]


def _matters(alarm: Alarm) -> bool:
    """A form or a language that is always kept is as it should be."""
    return alarm.kind != "always_one" or alarm.part == "accuracy"


def _reasons(log: Mapping[str, Any]) -> str:
    counts: Mapping[str, float] = log.get("undecided_by_reason", {})
    return ", ".join(f"{reason} {count:,.0f}" for reason, count in counts.items()) or "no reason"
