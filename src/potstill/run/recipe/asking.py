"""A model that is asked the same questions several times: weights, a recipe's stage, or a student."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from potstill.data import Example, Predictor, Text
from potstill.data.example import labels_of
from potstill.evaluate.stability import Sample, Stability, stability
from potstill.run.recipe.judging import Answered, judged
from potstill.spec.recipe import JudgementSpec, TemplateSpec
from potstill.verify import verifier_of

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a model answered, judged.

    Attributes:
        stability: accuracy, agreement, lengths and their intervals.
        judge: how it was asked.
        ms: time of one answer in milliseconds; of a student the median, of weights the mean over
            all answers, which are written in batches.
        notes: what was guessed, and how figures are to be read.
    """

    stability: Stability
    judge: JudgementSpec
    ms: float
    notes: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        judge = self.judge.model_dump(mode="json", exclude={"data", "rows"})
        return {
            "stability": self.stability.to_json(),
            "judge": judge,
            "ms": self.ms,
            "notes": list(self.notes),
        }


def ask_weights(
    weights: Path,
    questions: Sequence[Example],
    *,
    name: str,
    judge: JudgementSpec,
    template: TemplateSpec,
    seed: int = 0,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Asked:
    """Sample answers of a model that writes.

    Args:
        weights: folder of weights and tokenizer, as transformers saves it.
        questions: each with an id of its own.
        name: of the model, for tables.
        judge: how many samples, how warm, how long, and who judges.
        template: how a completion should look.
        seed: of all draws.
        notes: are told beside those that arise here.
        progress: called as (`sample`, completions done, in all).

    Raises:
        TrainingError: the folder holds no model, or memory is too small.
    """
    from potstill.train.causal.sample import sample

    started = time.perf_counter()
    written = sample(
        weights, questions, spec=judge, template=template, seed=seed, progress=progress
    )
    answers: list[Answered] = list(
        judged(written, questions, template=template, verifier=judge.verifier)
    )
    ms = 1000.0 * (time.perf_counter() - started) / len(answers)
    silent = len({one.id for one in answers if one.cut and not one.tokens})
    if silent:
        notes = [*notes, f"{silent} questions leave the model no room for an answer"]
    found = stability([one.sample for one in answers], name=name, seed=seed)
    return Asked(stability=found, judge=judge, ms=ms, notes=tuple(notes))


def ask_student(
    model: Predictor,
    questions: Sequence[Example],
    *,
    judge: JudgementSpec,
    seed: int = 0,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Asked:
    """Judge a task's model by the same figures: it has one answer to a question, always the same.

    Args:
        model: a task's student.
        questions: each with an id of its own.
        judge: the number of samples, and who judges.
        seed: of the bootstrap.
        notes: are told beside those that arise here.
        progress: called as (`answer`, questions done, in all).
    """
    verify = verifier_of(judge.verifier)
    samples: list[Sample] = []
    seconds: list[float] = []
    for number, row in enumerate(questions, start=1):
        started = time.perf_counter()
        prediction = next(iter(model.predict([row.input])))
        seconds.append(time.perf_counter() - started)
        answer = _text_of(prediction.answer)
        wanted = row.target.text if isinstance(row.target, Text) else None
        verdict = None if wanted is None else verify(answer or "", wanted)
        one = Sample(
            question=row.id,
            answer=answer,
            tokens=len((answer or "").split()),
            cut=False,
            right=None if verdict is None else verdict.right,
            well_formed=answer is not None,
        )
        # Asked again it says the same: the copies make agreement what it is, 1.
        samples += [one] * max(2, judge.samples)
        if progress is not None:
            progress("answer", number, len(questions))
    told = (
        "a student has one answer to a question, in every sample the same",
        "its lengths are in words, and it writes no thought: well formed is what it answers at all",
    )
    return Asked(
        stability=stability(samples, name=model.name, seed=seed),
        judge=judge,
        ms=1000.0 * float(np.median(seconds)),
        notes=(*notes, *told),
    )


def _text_of(answer: Any) -> str | None:
    """A student's answer as a text; labels in the order of the alphabet."""
    if answer is None:
        return None
    if isinstance(answer, Text):
        return answer.text
    return ", ".join(sorted(labels_of(answer))) or None


__all__ = ["Asked", "ask_student", "ask_weights"]
