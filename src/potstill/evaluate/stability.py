"""How good and how stable a model's answers are when it is asked the same question several times.

A model that reasons is sampled, since greedy decoding repeats itself and varies between runs
(DeepSeek-AI 2025, "DeepSeek-R1", arXiv:2501.12948v2, section on evaluation): accuracy at one
sample is the mean over a question's samples. Samples of one question are no independent rows, so
that every interval resamples questions, and every question weighs the same however many samples
it has. What is not known (an answer that no verifier could judge) is left out and counted.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from potstill.errors import DataError
from potstill.evaluate.intervals import (
    FEW_ROWS,
    FloatArray,
    Interval,
    difference_interval,
    percentile_intervals,
    ratio,
    resampled_sums,
)
from potstill.evaluate.metrics import RESAMPLES
from potstill.evaluate.paired import SIGNIFICANCE, Outcome
from potstill.evaluate.record import Record

METRICS = (
    "accuracy",
    "majority",
    "agreement",
    "format",
    "language",
    "cut",
    "loops",
    "tokens",
)
"""Names of the figures, in the order of tables; all but `tokens` are shares."""

_EXACT_QUESTIONS = 14
_FLIPS = 10_000
_FLIPS_AT_A_TIME = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer to one question.

    Attributes:
        question: id of the question.
        answer: what was answered, so normalised that equal answers are equal texts; None where
            none could be read.
        tokens: length of the completion in tokens.
        cut: whether it was cut at the limit.
        right: whether the answer is right; None where nobody could judge.
        well_formed: whether it has exactly one closed thought with an answer behind it.
        language: share of the thought that is in the wanted language, 0 to 1; None is unknown.
        loops: whether the thought goes round in circles; None is unknown.
    """

    question: str
    answer: str | None
    tokens: int
    cut: bool
    right: bool | None
    well_formed: bool
    language: float | None = None
    loops: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredQuestion(Record):
    """A question and its samples, summed up; means are over the samples where they are known.

    Attributes:
        id: the question's id.
        samples: how many there are.
        answers: distinct answers that could be read.
        figures: each of `METRICS` that is known of it. `majority` is 1 where the most frequent
            answer is right, and the share of right ones where several are equally frequent;
            `agreement` is the share of pairs of samples that answer the same.
    """

    id: str
    samples: int
    answers: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability(Record):
    """A model's sampled answers, judged.

    Attributes:
        name: the model.
        n: questions.
        samples: answers to all of them.
        per_question: fewest and most answers to one question.
        metrics: of each of `METRICS` that is known its mean over questions, with an interval.
        tokens_p95: 95th percentile of the length of all answers, in tokens.
        unanimous: questions to which all samples, at least two, give one answer.
        unjudged: samples of which it is not known whether they are right.
        warnings: sentences about what these figures cannot show.
        questions: every question; empty in a report.
    """

    name: str
    n: int
    samples: int
    per_question: tuple[int, int]
    metrics: dict[str, Interval]
    tokens_p95: float
    unanimous: int
    unjudged: int
    warnings: tuple[str, ...] = ()
    questions: tuple[AnsweredQuestion, ...] = ()

    def without_questions(self) -> Stability:
        """The same without its questions, which a comparison needs."""
        return replace(self, questions=())


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityComparison(Record):
    """The first of two models against the second, question by question.

    Attributes:
        names: the two models.
        n: questions.
        differences: of each figure that both know, first minus second, with an interval over
            questions; of `tokens` in tokens.
        primary: what decides: accuracy, or agreement where nobody knows what is right.
        wins: questions of which the first has the higher primary figure.
        losses: questions of which the second has.
        ties: the others of which both are known.
        p_value: of the two-sided paired permutation test on the primary figure.
    """

    names: tuple[str, str]
    n: int
    differences: dict[str, Interval]
    primary: str
    wins: int
    losses: int
    ties: int
    p_value: float

    @property
    def difference(self) -> Interval:
        """Difference in the primary figure, first minus second."""
        return self.differences[self.primary]

    @property
    def outcome(self) -> Outcome:
        """Whether the first is better, worse, or not distinguishable on these questions.

        Interval and test must agree that there is a difference.
        """
        apart = self.difference.low > 0 or self.difference.high < 0
        if not apart or self.p_value >= SIGNIFICANCE:
            return "within noise"
        return "better" if self.difference.value > 0 else "worse"


def stability(
    samples: Iterable[Sample], *, name: str, seed: int = 0, resamples: int = RESAMPLES
) -> Stability:
    """Judge sampled answers.

    Args:
        samples: answers in any order; the questions may have different numbers of them.
        name: the model, for tables.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples of the questions.

    Raises:
        DataError: there is no answer.
    """
    answered: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        answered[sample.question].append(sample)
    if not answered:
        raise DataError(f"{name}: there is no answer to judge")
    questions = tuple(_question(key, held) for key, held in answered.items())
    everything = [sample for held in answered.values() for sample in held]
    counts = [question.samples for question in questions]
    known = [metric for metric in METRICS if any(metric in q.figures for q in questions)]
    figures = _figures(questions, known)
    unjudged = sum(sample.right is None for sample in everything)
    return Stability(
        name=name,
        n=len(questions),
        samples=len(everything),
        per_question=(min(counts), max(counts)),
        metrics=dict(zip(known, _means(figures, resamples=resamples, seed=seed), strict=True)),
        tokens_p95=float(np.percentile([sample.tokens for sample in everything], 95)),
        unanimous=sum(q.figures.get("agreement") == 1.0 for q in questions),
        unjudged=unjudged,
        warnings=tuple(_warnings(len(questions), max(counts), unjudged, len(everything))),
        questions=questions,
    )


def compare_stability(
    a: Stability, b: Stability, *, seed: int = 0, resamples: int = RESAMPLES
) -> StabilityComparison:
    """Compare two models on the same questions.

    Both are resampled with the same questions (paired bootstrap, as `compare` does it). The
    test flips the signs of the questions' differences (Fisher 1935, The Design of Experiments,
    section 21), all ways of up to 14 that differ, otherwise 10,000 at random, of which the one
    that was found is counted as one (Phipson & Smyth 2010, equation 2).

    Args:
        a: the first, with its questions.
        b: the second, with its questions.
        seed: of bootstrap and test.
        resamples: number of bootstrap resamples.

    Raises:
        DataError: the questions are not the same, or are not there.
    """
    first = {question.id: question for question in a.questions}
    second = {question.id: question for question in b.questions}
    if first.keys() != second.keys() or not first:
        missing = sorted(first.keys() ^ second.keys())
        told = f"; only one has {', '.join(map(repr, missing[:3]))}" if missing else ""
        raise DataError(
            f"{a.name} and {b.name} were not asked the same questions: "
            f"{len(first)} and {len(second)}{told}",
            hint="Compare results of one set, with their questions.",
        )
    shared = [metric for metric in METRICS if metric in a.metrics and metric in b.metrics]
    apart = _figures([first[key] for key in first], shared) - _figures(
        [second[key] for key in first], shared
    )
    # What the two know of no question in common cannot be compared.
    known = np.flatnonzero((~np.isnan(apart)).any(axis=0))
    shared = [shared[column] for column in known]
    apart = apart[:, known]
    primary = next(m for m in ("accuracy", "agreement", "format") if m in shared)
    decisive = apart[:, shared.index(primary)]
    decisive = decisive[~np.isnan(decisive)]
    return StabilityComparison(
        names=(a.name, b.name),
        n=len(first),
        differences=dict(
            zip(shared, _differences(apart, resamples=resamples, seed=seed), strict=True)
        ),
        primary=primary,
        wins=int((decisive > 0).sum()),
        losses=int((decisive < 0).sum()),
        ties=int((decisive == 0).sum()),
        p_value=permutation_p(decisive, seed=seed),
    )


def permutation_p(differences: FloatArray, *, seed: int = 0) -> float:
    """Two-sided sign-flip test: could the two have changed places question by question?

    Args:
        differences: (question,), first minus second.
        seed: of the random flips.

    Returns:
        the p-value, 1 where nothing differs.
    """
    differing = differences[differences != 0]
    if not len(differing):
        return 1.0
    found = abs(float(differing.sum()))
    # Sums of the same numbers in another order differ in the last digits.
    least = found - 1e-9 * float(np.abs(differing).sum())
    if len(differing) <= _EXACT_QUESTIONS:
        sums = np.zeros(1)
        for one in differing:
            sums = np.concatenate([sums + one, sums - one])
        return float((np.abs(sums) >= least).mean())
    rng = np.random.default_rng(seed)
    reached, step = 0, max(1, _FLIPS_AT_A_TIME // len(differing))
    for start in range(0, _FLIPS, step):
        size = min(step, _FLIPS - start)
        signs = rng.integers(0, 2, size=(size, len(differing)), dtype=np.int8) * 2 - 1
        reached += int((np.abs(signs @ differing) >= least).sum())
    return (1 + reached) / (1 + _FLIPS)


def _question(key: str, samples: Sequence[Sample]) -> AnsweredQuestion:
    answers = Counter(sample.answer for sample in samples if sample.answer is not None)
    figures: dict[str, float] = {
        "format": _mean([sample.well_formed for sample in samples]),
        "cut": _mean([sample.cut for sample in samples]),
        "tokens": _mean([sample.tokens for sample in samples]),
    }
    optional = {
        "accuracy": [sample.right for sample in samples if sample.right is not None],
        "language": [sample.language for sample in samples if sample.language is not None],
        "loops": [sample.loops for sample in samples if sample.loops is not None],
    }
    figures |= {metric: _mean(values) for metric, values in optional.items() if values}
    if optional["accuracy"]:
        majority = _majority(samples, answers)
        if majority is not None:
            figures["majority"] = majority
    if len(samples) > 1:
        # Two answers that cannot be read are not the same answer.
        same = sum(math.comb(count, 2) for count in answers.values())
        figures["agreement"] = same / math.comb(len(samples), 2)
    return AnsweredQuestion(id=key, samples=len(samples), answers=len(answers), figures=figures)


def _majority(samples: Sequence[Sample], answers: Counter[str]) -> float | None:
    """How probably the most frequent answer is right if ties are drawn; None is unknown."""
    if not answers:
        return 0.0
    most = max(answers.values())
    judged = [
        [s.right for s in samples if s.answer == answer and s.right is not None]
        for answer, count in answers.items()
        if count == most
    ]
    if not all(judged):
        return None
    # Samples of one answer are judged alike, unless a verifier ran out of time and said no.
    return _mean([any(verdicts) for verdicts in judged])


def _figures(questions: Sequence[AnsweredQuestion], metrics: Sequence[str]) -> FloatArray:
    """(question, metric), NaN where a figure is not known."""
    rows = [
        [question.figures.get(metric, math.nan) for metric in metrics] for question in questions
    ]
    return np.array(rows, dtype=np.float64).reshape(len(questions), len(metrics))


def _means(figures: FloatArray, *, resamples: int, seed: int) -> list[Interval]:
    """The mean of each column over the questions of which it is known."""
    known = ~np.isnan(figures)
    columns = np.hstack([np.where(known, figures, 0.0), known])
    values = columns.sum(axis=0)
    sums, half = resampled_sums(columns, resamples=resamples, seed=seed), figures.shape[1]
    return percentile_intervals(
        ratio(values[:half], values[half:]), ratio(sums[:, :half], sums[:, half:]), values[half:]
    )


def _differences(apart: FloatArray, *, resamples: int, seed: int) -> list[Interval]:
    """The mean of each column of differences; each must be known of some question."""
    known = ~np.isnan(apart)
    # `difference_interval` is of shares; lengths are brought to their size and back.
    scale = np.maximum(np.nanmax(np.abs(apart), axis=0), 1.0)
    columns = np.hstack([np.where(known, apart / scale, 0.0), known])
    values = columns.sum(axis=0)
    sums, half = resampled_sums(columns, resamples=resamples, seed=seed), apart.shape[1]
    means = ratio(sums[:, :half], sums[:, half:])
    intervals: list[Interval] = []
    for column, size in enumerate(scale):
        here = means[:, column]
        value = float(values[column] / values[half + column])
        found = difference_interval(value, here[~np.isnan(here)])
        intervals.append(
            Interval(*(float(bound * size) for bound in (found.value, found.low, found.high)))
        )
    return intervals


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _warnings(questions: int, most: int, unjudged: int, samples: int) -> Iterable[str]:
    if questions < FEW_ROWS:
        yield f"Intervals over {questions} questions are rough; ask at least {FEW_ROWS}."
    if most == 1:
        yield "With one answer a question nothing can be said of agreement."
    if unjudged:
        yield f"Of {samples:,} answers {unjudged:,} could not be judged; they are left out."
