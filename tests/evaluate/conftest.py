"""Made-up predictors and reports, of any number of rows and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from potstill.data import Example, Prediction, Source
from potstill.evaluate import (
    MAJORITY,
    TFIDF,
    AuditionFacts,
    Entry,
    FilterCount,
    Interval,
    Latency,
    LineageShare,
    Planned,
    Report,
    RoundFacts,
    Span,
    Spending,
    SpendingStep,
    Spent,
    SplitCount,
    SynthesisFacts,
    TaskFacts,
    TeachingFacts,
    Way,
    Yield,
    compare,
    evaluate,
    fidelity,
    worst_mistakes,
)
from potstill.spec.task import Gate

PERSON = Source(kind="person", name="gold.jsonl", contributed=("input", "target"), stage="load")
COMPLAINTS = (
    "credit_card",
    "credit_reporting",
    "debt_collection",
    "mortgages_and_loans",
    "retail_banking",
)
TEXTS = (
    "I was charged a late fee on my card although the payment was posted two days before the "
    "due date, and nobody on the phone could tell me why.",
    "A collector keeps calling about an account that I closed years ago <b>and paid</b> & settled.",
    "My credit report shows a loan that was never mine.",
)


class World:
    """Gold rows, and predictors of a chosen skill on them."""

    def __init__(
        self, labels: tuple[str, ...], rows: int, *, multilabel: bool = False, seed: int = 3
    ):
        self.labels = labels
        self.multilabel = multilabel
        self._rng = np.random.default_rng(seed)
        prior = 1 / (np.arange(len(labels)) + 3.0)
        if multilabel:
            self._gold = self._rng.random((rows, len(labels))) < 0.25
        else:
            picks = self._rng.choice(len(labels), rows, p=prior / prior.sum())
            self._gold = np.eye(len(labels), dtype=bool)[picks]
        self._ease = self._rng.random(rows)
        self.gold = [
            Example(
                id=f"row-{row}",
                input=TEXTS[row % len(TEXTS)],
                target=self._target(self._gold[row]),
                sources=(PERSON,),
            )
            for row in range(rows)
        ]

    def answers(
        self, skill: float, *, confident: bool = True, missing: float = 0.0, heat: float = 1.0
    ) -> list[Prediction]:
        """Answers that are right on about `skill` of the rows; rows hard for one are hard for all."""
        found: list[Prediction] = []
        for row, ease in enumerate(self._ease):
            chance = np.clip(skill + 0.5 * (ease - 0.5), 0.02, 0.99)
            right = self._rng.random() < chance
            got = self._gold[row].copy()
            if not right and self.multilabel:
                flip = self._rng.integers(len(got))
                got[flip] = ~got[flip]
            elif not right:
                place = int(got.argmax())
                got = np.roll(
                    got, 1 if self._rng.random() < 0.6 else int(self._rng.integers(1, len(got)))
                )
                assert not got[place]
            if self._rng.random() < missing:
                found.append(Prediction(None))
                continue
            stated = float(
                np.clip(0.5 + heat * (chance - 0.5) + 0.05 * self._rng.normal(), 0.0, 1.0)
            )
            found.append(Prediction(self._target(got), stated if confident else None))
        return found

    def majority(self) -> list[Prediction]:
        """The first label, always."""
        first = Prediction((self.labels[0],) if self.multilabel else self.labels[0], 0.3)
        return [first] * len(self.gold)

    def _target(self, member: np.ndarray) -> str | tuple[str, ...]:
        names = tuple(self.labels[index] for index in np.flatnonzero(member))
        return names if self.multilabel else names[0]


def make_report(
    labels: tuple[str, ...] = COMPLAINTS,
    rows: int = 200,
    *,
    multilabel: bool = False,
    skill: float = 0.74,
    teacher_skill: float = 0.75,
    tfidf_skill: float = 0.66,
    heat: float = 1.0,
) -> Report:
    """A whole report, from predictions that were never made."""
    world = World(labels, rows, multilabel=multilabel)

    def judged(name, predictions):
        return evaluate(
            predictions,
            world.gold,
            labels=labels,
            multilabel=multilabel,
            seed=7,
            resamples=500,
            name=name,
        )

    student = world.answers(skill, heat=heat)
    teacher = world.answers(teacher_skill, confident=False, missing=0.01)
    second = world.answers(teacher_skill - 0.03, confident=False)
    tfidf = world.answers(tfidf_skill)

    def against(other, name):
        return compare(
            student,
            other,
            world.gold,
            labels=labels,
            multilabel=multilabel,
            names=("minilm-l6", name),
            seed=7,
            resamples=500,
        )

    report = Report(
        task=TaskFacts(
            name="complaints",
            type="multilabel" if multilabel else "classification",
            labels=labels,
            description="Which product is this bank customer complaining about?",
        ),
        entries=(
            Entry(
                role="student",
                evaluation=judged("minilm-l6", student),
                latency=Latency(p50_ms=1.93, p95_ms=4.4, p99_ms=6.0, n=600),
                usd_per_million=0.027,
            ),
            Entry(
                role="teacher",
                evaluation=judged("deepseek-reasoner", teacher),
                latency=Latency(p50_ms=19_040, p95_ms=41_300, p99_ms=60_000, n=198, measured=False),
                usd_per_million=812.0,
            ),
            Entry(
                role="teacher",
                evaluation=judged("gpt-4o-mini", second),
                latency=Latency(p50_ms=1_437, p95_ms=2_620, p99_ms=4_000, n=200, measured=False),
                note="Price not recorded.",
            ),
            Entry(
                role="baseline",
                evaluation=judged(TFIDF, tfidf),
                latency=Latency(p50_ms=0.62, p95_ms=1.1, p99_ms=1.4, n=600),
                usd_per_million=0.0087,
            ),
            Entry(
                role="baseline",
                evaluation=judged(MAJORITY, world.majority()),
                latency=Latency(p50_ms=0.004, p95_ms=0.005, p99_ms=0.01, n=600),
                usd_per_million=0.0,
            ),
        ),
        comparisons=(
            against(teacher, "deepseek-reasoner"),
            against(second, "gpt-4o-mini"),
            against(tfidf, TFIDF),
        ),
        fidelity={
            "deepseek-reasoner": fidelity(student, teacher, resamples=500),
            "gpt-4o-mini": fidelity(student, second, resamples=500),
        },
        data=(
            SplitCount(split="train", rows=468, gold=0, silver=468),
            SplitCount(split="dev", rows=82, gold=0, silver=82),
            SplitCount(split="test", rows=rows, gold=rows, silver=0),
        ),
        filters=(
            FilterCount(stage="label", cause="outside_taxonomy", rows=3, cost_usd=0.012),
            FilterCount(stage="duplicates", cause="near_duplicate", rows=11, cost_usd=0.04),
            FilterCount(stage="noise", cause="label_noise", rows=24),
        ),
        lineage=(
            LineageShare(
                name="deepseek-reasoner",
                kind="model",
                contributed=("target", "reasoning"),
                terms="deepseek-api-2026",
                rows=468,
                share=1.0,
            ),
            LineageShare(
                name="inbox.jsonl",
                kind="dataset",
                contributed=("input",),
                terms=None,
                rows=468,
                share=1.0,
            ),
        ),
        training={"mode": "tuned", "rows": 468, "epochs": 6, "seconds": 181.3},
        export={
            "precision": "int8",
            "megabytes": 23.1,
            "disagreement_with_trained_weights": 0.0024,
            "engine": "onnxruntime",
        },
        versions={"potstill": "0.1.0", "onnxruntime": "1.32.0", "base sha256": "53aa51172d142c89…"},
        mistakes=worst_mistakes(student, world.gold, teacher=teacher, limit=4),
        created="2026-11-23 14:30 UTC",
        run="20261123-143000",
        seed=7,
        machine="AMD EPYC 9B14, 2 cores",
    )
    return report.with_gates(
        {"macro_f1": Gate(min=0.70), "teacher_gap": Gate(max=0.02), "latency_p95_ms": Gate(max=4.0)}
    )


def make_teaching() -> TeachingFacts:
    """A live teacher with a past: an audition, faults, texts, rounds, a price that is not known."""

    def around(value: float) -> Span:
        return Span(0.7 * value, value, 1.6 * value)

    def step(name: str, calls: int, usd: float, **spent: Any) -> SpendingStep:
        return SpendingStep(
            name=name,
            spent=Spent(
                requests=calls,
                attempts=calls + sum(spent.get("faults", {}).values()),
                prompt_tokens=calls * 812,
                completion_tokens=calls * 143,
                known_usd=usd,
                **spent,
            ),
            planned=Planned(
                calls=around(1.1 * calls),
                prompt_tokens=around(900.0 * calls),
                completion_tokens=around(120.0 * calls),
                usd=around(1.2 * usd),
            ),
        )

    def way(name: str, right: float, joined: float, usd: float, **more: Any) -> Way:
        return Way(
            name=name,
            accuracy=Interval(right, right - 0.12, min(right + 0.09, 1.0)),
            joined=Interval(joined, joined - 0.11, min(joined + 0.08, 1.0)),
            usd_per_row=usd,
            **more,
        )

    asked = step("ask", 4000, 6.1, faults={"rate_limited": 41, "cut_off": 7}, unknown=2)
    judged = SpendingStep(name="judge", spent=Spent(requests=40, attempts=40, known_usd=0.02))
    steps = (
        step("audition", 420, 0.61),
        asked,
        step("evaluate", 200, 0.3),
        step("synthesise", 310, 0.9),
        step("rounds", 600, 1.4, faults={"timed_out": 3}),
        judged,
    )
    total = step("in all", 5530, 9.33, faults={"rate_limited": 41, "cut_off": 7, "timed_out": 3})
    labels = ("credit_card", "credit_reporting", "debt_collection", "mortgages_and_loans")
    return TeachingFacts(
        model="deepseek-reasoner",
        endpoint="api.example.com",
        terms="deepseek-api-2026",
        audition=AuditionFacts(
            method="6 examples + reasoning",
            fused=True,
            rows=60,
            ways=(
                way("bare", 0.72, 0.78, 0.0009, seconds_per_row=1.42, tokens_per_row=431.0),
                way("shortlist of 3", 0.70, 0.77, 0.0007, seconds_per_row=1.3, tokens_per_row=300),
                way("6 examples", 0.80, 0.83, 0.0011, seconds_per_row=1.5, tokens_per_row=912.0),
                way(
                    "6 examples + reasoning",
                    0.87,
                    0.88,
                    0.0024,
                    seconds_per_row=11.3,
                    tokens_per_row=1840.0,
                    unanswered=0.017,
                    chosen=True,
                ),
                way("6 examples + reasoning + 3 votes", 0.88, 0.9, 0.0071, seconds_per_row=34.0),
            ),
            majority=0.31,
            nearest=0.68,
        ),
        spending=Spending(
            steps=steps,
            total=replace(total, spent=replace(total.spent, unknown=2)),
            earlier=Spent(requests=20, attempts=21, known_usd=0.03, faults={"empty": 1}),
            priced="https://api.example.com/pricing, as of 2026-11-01",
            pilot=20,
        ),
        synthesis=SynthesisFacts(
            rows=361,
            requests=140,
            rejected={"intended_otherwise": 44, "near_duplicate": 12},
            by_label=tuple(Yield(name=name, wanted=100, written=118, kept=90) for name in labels),
            by_difficulty=(
                Yield(name="plain", wanted=280, written=310, kept=270),
                Yield(name="hard", wanted=120, written=162, kept=91),
            ),
            findings=("361 texts in 2,210 different words.", "71% of their word pairs differ."),
            figures={"distinct-2": 0.71, "vendi_score": 48.2, "told_apart_AUC": 0.83},
        ),
        rounds=(
            RoundFacts(
                number=0,
                asked=0,
                changed=0,
                written=0,
                train_rows=468,
                score=0.731,
                gain=0.0,
                cost_usd=0.0,
                gain_per_usd=None,
            ),
            RoundFacts(
                number=1,
                asked=100,
                changed=31,
                written=20,
                train_rows=482,
                score=0.756,
                gain=0.025,
                cost_usd=0.7,
                gain_per_usd=0.0357,
                chosen=True,
            ),
            RoundFacts(
                number=2,
                asked=100,
                changed=12,
                written=18,
                train_rows=495,
                score=0.744,
                gain=-0.012,
                cost_usd=None,
                gain_per_usd=None,
            ),
        ),
    )


@pytest.fixture(scope="session")
def teaching_facts() -> TeachingFacts:
    return make_teaching()


@pytest.fixture(scope="session")
def world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def report_of() -> Callable[..., Report]:
    return make_report
