"""Labelling: recorded answers turn unlabelled examples into silver ones, with their lineage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from potstill.data import Example, Rejection, Source
from potstill.errors import TeacherError
from potstill.teacher import Answer, RecordedAnswers, Verdict, reach_consensus

STAGE = "label"


@dataclass(frozen=True, slots=True)
class Labelled:
    """What came of labelling.

    Attributes:
        examples: the labelled examples, in the order given.
        rejected: rows without a usable answer, and why.
        teachers: the table of teachers, one dictionary each: ``name``, ``answered`` (rows of
            these examples that it answered usably), ``coverage`` (their share), ``agreement``
            (share of those where it said what the verdict says), ``accuracy`` and ``weight``
            (estimated without gold; None for a single teacher), and the figures of
            `potstill.teacher.TeacherFacts` over all its answers.
        warnings: sentences for a person: how many rows nobody answered.
    """

    examples: list[Example]
    rejected: list[Rejection]
    teachers: list[dict[str, Any]]
    warnings: tuple[str, ...] = ()


def label_examples(
    examples: Sequence[Example],
    answers: RecordedAnswers,
    *,
    labels: tuple[str, ...],
    multilabel: bool,
    soft_labels: bool = True,
) -> Labelled:
    """Give each example the target that the teachers agree on.

    Args:
        examples: rows to label; a target that one already has is replaced.
        answers: the recorded answers.
        labels: the taxonomy in its fixed order.
        multilabel: whether a row may have several labels.
        soft_labels: whether to keep the teachers' distribution beside the winner.

    Raises:
        TeacherError: no row was answered, or no answer is within the taxonomy.
    """
    answers.check_coverage(examples)
    given = [answers.of(example) for example in examples]
    consensus = reach_consensus(given, labels=labels, multilabel=multilabel)
    kept: list[Example] = []
    rejected: list[Rejection] = []
    for example, said, verdict in zip(examples, given, consensus.verdicts, strict=True):
        if verdict is None:
            rejected.append(_rejection(example, said, known=answers.knows_id(example.id)))
        else:
            kept.append(
                _labelled(example, said, verdict, consensus.weights, answers.terms, soft_labels)
            )
    if examples and not kept:
        _explain_unusable(given, labels)
    rows = _table(answers, given, consensus.verdicts)
    for row in rows:
        row["accuracy"] = consensus.accuracy.get(row["name"])
        row["weight"] = consensus.weights.get(row["name"])
    return Labelled(kept, rejected, rows, _unanswered(examples, rejected, answers))


def _labelled(
    example: Example,
    said: Sequence[Answer],
    verdict: Verdict,
    weights: Mapping[str, float],
    terms: str | None,
    soft_labels: bool,
) -> Example:
    """The example with the verdict, one thought for it, and a source for each teacher heard."""
    voters = [answer for answer in said if answer.target is not None]
    thinkers = [a for a in voters if a.reasoning and a.target == verdict.target]
    thinker = max(thinkers, key=lambda a: weights.get(a.teacher, 0.0), default=None)
    sources = {
        (answer.teacher, answer.request): Source(
            kind="model",
            name=answer.teacher,
            contributed=("target", "reasoning") if answer is thinker else ("target",),
            stage=STAGE,
            terms=terms,
            revision=answer.revision,
            endpoint=answer.endpoint,
            request=answer.request,
        )
        # The thinker last, so that of a teacher's votes without request ids its source stands.
        for answer in sorted(voters, key=lambda a: a is thinker)
    }
    order = {answer.teacher: place for place, answer in enumerate(voters)}
    rules = dict.fromkeys(answer.rule for answer in voters if answer.rule is not None)
    return replace(
        example,
        target=verdict.target,
        soft_target=verdict.soft if soft_labels else None,
        reasoning=thinker.reasoning if thinker else None,
        sources=(
            *example.sources,
            *sorted(sources.values(), key=lambda s: order[s.name]),
            *(
                Source(kind="rule", name=rule, contributed=("target",), stage=STAGE)
                for rule in rules
            ),
        ),
        cost_usd=_paid(said),
    )


def _rejection(example: Example, said: Sequence[Answer], *, known: bool) -> Rejection:
    if not said:
        cause = "not_answered"
        detail = (
            "an answer is recorded under its id, but for another text"
            if known
            else "no answer is recorded for its id or its text"
        )
    else:
        faults = Counter(answer.fault for answer in said)
        ((most, _),) = faults.most_common(1)
        cause = "outside_taxonomy" if "outside_taxonomy" in faults else str(most)
        told = next((a.detail for a in said if a.fault == cause and a.detail), None)
        if told is not None:
            detail = told
        elif cause == "outside_taxonomy":
            words = [f"{a.teacher} said {a.raw[:80]!r}" for a in said if a.fault == cause]
            detail = f"not a label of the task: {'; '.join(words[:3])}"
        else:
            detail = {
                "cut_off": "the answer was cut off at the token limit",
                "failed": "the request failed",
                "no_answer": "the answer is empty",
            }.get(cause, f"the request ended in {cause.replace('_', ' ')}")
    return Rejection(
        id=example.id,
        stage=STAGE,
        cause=cause,
        detail=detail,
        cost_usd=_paid(said) if said else 0.0,
        example=example,
    )


def _unanswered(
    examples: Sequence[Example], rejected: Sequence[Rejection], answers: RecordedAnswers
) -> tuple[str, ...]:
    missing = [rejection.id for rejection in rejected if rejection.cause == "not_answered"]
    if not missing:
        return ()
    known = sum(map(answers.knows_id, missing))
    under_id = f"; {known} of their ids are recorded, but for other texts" if known else ""
    return (f"{len(missing)} of {len(examples)} rows have no recorded answer{under_id}",)


def _paid(said: Sequence[Answer]) -> float | None:
    """The price of all answers to a row; one unknown price makes the sum unknown."""
    prices = [answer.cost_usd for answer in said]
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def _explain_unusable(given: Sequence[Sequence[Answer]], labels: tuple[str, ...]) -> None:
    words = Counter(a.raw[:60] for said in given for a in said if a.fault == "outside_taxonomy")
    said = ", ".join(repr(word) for word, _ in words.most_common(3)) or "nothing"
    raise TeacherError(
        f"none of the answers is a label of the task; the teachers said {said}.",
        hint=f"The labels are {', '.join(labels[:5])}{', …' if len(labels) > 5 else ''}: "
        "add what is missing, or map the answers to them.",
    )


def _table(
    answers: RecordedAnswers,
    given: Sequence[Sequence[Answer]],
    verdicts: Sequence[Verdict | None],
) -> list[dict[str, Any]]:
    answered: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for said, verdict in zip(given, verdicts, strict=True):
        voters = {answer.teacher for answer in said if answer.target is not None}
        answered.update(voters)
        if verdict is not None:
            agreed.update({a.teacher for a in said if a.target == verdict.target})
    return [
        {
            "name": facts.name,
            "answered": answered[facts.name],
            "coverage": answered[facts.name] / len(given) if given else 0.0,
            "agreement": agreed[facts.name] / answered[facts.name]
            if answered[facts.name]
            else None,
            "answers": facts.answers,
            "unusable": dict(facts.unusable),
            "outside": dict(facts.outside),
            "seconds": facts.seconds,
            "cost_usd": facts.cost_usd,
            "usd_per_million": facts.usd_per_million,
        }
        for facts in answers.facts()
    ]
