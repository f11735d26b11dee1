"""What a completion is worth: named parts, each kept apart, and their weighted sum.

Rule-based throughout, as in DeepSeek-R1 (arXiv:2501.12948v2, 2.2): accuracy and format weigh
the same, language consistency is added, and no neural model judges, since a policy learns to
please those. A part that cannot be told is worth nothing, and why is counted by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from potstill.data import Example, Text
from potstill.spec.recipe import RewardSpec, TemplateSpec
from potstill.verify.base import Verdict, Verifier
from potstill.verify.choosing import verifier_of
from potstill.verify.completion import Completion, parse_completion
from potstill.verify.consistency import consistency_of
from potstill.verify.health import estimated_tokens

Part = Literal["accuracy", "format", "language", "length", "total"]
Column = NDArray[np.float64]
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Scores:
    """What completions are worth, part by part. Every value is finite.

    Attributes:
        accuracy: 1 for a right answer, else 0, ``(completion,)``.
        format: 1 for exactly one closed thought with an answer behind it, ``(completion,)``.
        language: share of the thought in the template's language, ``(completion,)``.
        length: one minus the share of the allowed tokens that was used, for right answers
            alone, ``(completion,)``.
        total: the weighted sum, ``(completion,)``.
        faults: name of a fault to how often it was met; ``format:…`` are of the form,
            ``verifier:…`` of the verifier.
        undecided: answers of which the verifier could not tell.
        reasons: why, for each completion; empty where it could tell.
        found: the final answer of each, for a person to look at.
    """

    accuracy: Column
    format: Column
    language: Column
    length: Column
    total: Column
    faults: Mapping[str, int]
    undecided: int
    found: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    def part(self, name: Part) -> Column:
        """One of the columns by its name."""
        return {
            "accuracy": self.accuracy,
            "format": self.format,
            "language": self.language,
            "length": self.length,
            "total": self.total,
        }[name]

    def means(self) -> dict[str, float]:
        """The mean of every part; 0 where there are no completions."""
        names: tuple[Part, ...] = ("accuracy", "format", "language", "length", "total")
        return {name: float(self.part(name).mean()) if self.total.size else 0.0 for name in names}


@dataclass(frozen=True)
class Reward:
    """Scores completions by the rules of a recipe.

    Attributes:
        spec: the weights.
        template: marks and language of a thought.
        max_new_tokens: tokens that a completion may have.
        verifier: says whether an answer is right.
    """

    spec: RewardSpec
    template: TemplateSpec
    max_new_tokens: int
    verifier: Verifier = field(repr=False)

    @classmethod
    def of(cls, spec: RewardSpec, template: TemplateSpec, max_new_tokens: int) -> Reward:
        """The reward that a recipe describes, with its verifier seen to be usable.

        Raises:
            MissingExtraError: the verifier's library is not installed.
            SandboxError: programs are to be tested where they cannot be confined.
        """
        verifier = verifier_of(spec.verifier, timeout_s=spec.timeout_s)
        return cls(spec, template, max_new_tokens, verifier)

    def score(
        self,
        completions: Sequence[str],
        rows: Sequence[Example],
        *,
        tokens: Sequence[int] | None = None,
    ) -> Scores:
        """What completions are worth. Never raises for what a completion says.

        Args:
            completions: what was written, decoded with the template's marks kept.
            rows: the question of each; its target's text is the right answer.
            tokens: the exact length of each; estimated otherwise.

        Raises:
            ValueError: as many rows or lengths as completions are needed.
        """
        if len(rows) != len(completions) or (tokens is not None and len(tokens) != len(rows)):
            raise ValueError(
                f"{len(completions)} completions, {len(rows)} rows and"
                f" {'no' if tokens is None else len(tokens)} lengths do not go together"
            )
        parsed = [parse_completion(text, self.template) for text in completions]
        verdicts = self._judged(parsed, rows)
        accuracy = np.array([float(verdict.right is True) for verdict in verdicts])
        form = np.array([float(one.well_formed) for one in parsed])
        language = np.array([self._language(one) for one in parsed])
        lengths = [estimated_tokens(text) for text in completions] if tokens is None else tokens
        used = np.clip(np.array(lengths, dtype=np.float64) / self.max_new_tokens, 0.0, 1.0)
        length = accuracy * (1.0 - used)
        weights = self.spec
        total = (
            weights.accuracy * accuracy
            + weights.format * form
            + weights.language * language
            + weights.length * length
        )
        faults = Counter(f"format:{one.fault}" for one in parsed if one.fault)
        faults.update(f"verifier:{verdict.fault}" for verdict in verdicts if verdict.fault)
        undecided = sum(verdict.right is None for verdict in verdicts)
        found = tuple(verdict.found for verdict in verdicts)
        reasons = tuple((one.fault or "unknown") if one.right is None else "" for one in verdicts)
        return Scores(
            accuracy, form, language, length, total, dict(faults), undecided, found, reasons
        )

    def _judged(self, parsed: Sequence[Completion], rows: Sequence[Example]) -> list[Verdict]:
        pairs = [(one.answer, wanted_of(row)) for one, row in zip(parsed, rows, strict=True)]
        # Groups repeat themselves: the same answer to the same question is judged once.
        once = list(dict.fromkeys(pairs))
        with ThreadPoolExecutor(_THREADS) as threads:
            judged = dict(zip(once, threads.map(self._verdict, once), strict=True))
        return [judged[pair] for pair in pairs]

    def _verdict(self, pair: tuple[str, str | None]) -> Verdict:
        answer, wanted = pair
        if wanted is None:
            return Verdict(None, "no_wanted", "")
        if not answer.strip():
            return Verdict(False, "no_answer")
        try:
            verdict = self.verifier(answer, wanted)
        except Exception as error:  # a verifier of a user's may raise whatever it likes
            return Verdict(None, type(error).__name__, answer[:80])
        right: Any = verdict.right
        if right is None or isinstance(right, bool):
            return verdict
        # A float or a boolean of numpy, from a verifier of a user's.
        if isinstance(right, float) and isnan(right):
            return Verdict(None, "not_a_number", verdict.found)
        return Verdict(bool(right), verdict.fault, verdict.found)

    def _language(self, completion: Completion) -> float:
        # An empty thought is in no language: to write none must not be the way to full marks.
        if not completion.thought or not self.spec.language:
            return 0.0
        return consistency_of(completion.thought, self.template.language).share


def wanted_of(row: Example) -> str | None:
    """The right answer of a row as verifiers read it; None where it has none."""
    target = row.target
    if isinstance(target, Text):
        return target.text
    if isinstance(target, tuple):
        return ", ".join(str(label) for label in target)
    return target if isinstance(target, str) else None
