"""Labelling: recorded answers turn unlabelled examples into silver ones, with their lineage.

What is called a label here may be the values of fields or a text: the answers know.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from potstill.data import Example, Rejection, Source, Text
from potstill.errors import TeacherError
from potstill.runtime.guards import guard
from potstill.teacher import Answer, Form, RecordedAnswers, Verdict
from potstill.teacher.form import TextForm

STAGE = "label"


@dataclass(frozen=True, slots=True)
class Labelled:
    """What came of labelling.

    Attributes:
        examples: the labelled examples, in the order given.
        rejected: rows without a usable answer, and why.
        lost: single values of fields that an answer gave and that cannot be used, each under the
            id of its row, which is among the examples: the field is unsure there, or as the
            other answers have it.
        teachers: the table of teachers, one dictionary each: ``name``, ``answered`` (rows of
            these examples that it answered usably), ``coverage`` (their share), ``agreement``
            (share of those where it said what the verdict says; of fields the mean share that
            it said so, of texts the mean ROUGE-L), ``accuracy`` and ``weight``
            (estimated without gold; None for a single teacher), and the figures of
            `potstill.teacher.TeacherFacts` over all its answers.
        warnings: sentences for a person: how many rows nobody answered.
    """

    examples: list[Example]
    rejected: list[Rejection]
    teachers: list[dict[str, Any]]
    lost: list[Rejection] = field(default_factory=list[Rejection])
    warnings: tuple[str, ...] = ()


def label_examples(
    examples: Sequence[Example], answers: RecordedAnswers, *, soft_labels: bool = True
) -> Labelled:
    """Give each example the target that the teachers agree on.

    Args:
        examples: rows to label; a target that one already has is replaced.
        answers: the recorded answers.
        soft_labels: whether to keep the teachers' distribution beside the winner.

    Raises:
        TeacherError: no row was answered, or no answer can be used.
    """
    answers.check_coverage(examples)
    given = [_passing(example, answers.of(example), answers.form) for example in examples]
    consensus = answers.form.agree(given)
    kept: list[Example] = []
    rejected: list[Rejection] = []
    lost: list[Rejection] = []
    for example, said, verdict in zip(examples, given, consensus.verdicts, strict=True):
        if verdict is None:
            rejected.append(_rejection(example, said, answers))
        else:
            target = verdict if soft_labels else replace(verdict, soft=None)
            kept.append(_labelled(example, said, target, consensus.weights, answers))
            lost += _lost_values(example, said)
    if examples and not kept:
        raise _unusable(given, rejected, answers.form)
    rows = _table(answers, given, consensus.verdicts)
    for row in rows:
        row["accuracy"] = consensus.accuracy.get(row["name"])
        row["weight"] = consensus.weights.get(row["name"])
    return Labelled(kept, rejected, rows, lost, _unanswered(examples, rejected, answers))


def _passing(example: Example, said: list[Answer], form: Form) -> list[Answer]:
    """The answers, of several texts with those alone usable that pass the guards, if any does.

    Where none does, which of them was best is told by the filter that rejects it.
    """
    if not isinstance(form, TextForm) or len(said) < 2:
        return said
    verdicts = [
        guard(answer.target.text, example.text, form.text)
        if isinstance(answer.target, Text)
        else None
        for answer in said
    ]
    if not any(verdict is not None and verdict.ok for verdict in verdicts):
        return said
    return [
        answer
        if verdict is None or verdict.ok
        else replace(
            answer,
            target=None,
            fault="guard_broken",
            detail="; ".join(verdict.details.values()),
        )
        for answer, verdict in zip(said, verdicts, strict=True)
    ]


def _labelled(
    example: Example,
    said: Sequence[Answer],
    verdict: Verdict,
    weights: Mapping[str, float],
    answers: RecordedAnswers,
) -> Example:
    """The example with the verdict, one thought for it, and a source for each teacher heard."""
    voters = [answer for answer in said if answer.target is not None]
    thinkers = [a for a in voters if a.reasoning and _likeness(a, verdict, answers.form) == 1.0]
    thinker = max(thinkers, key=lambda a: weights.get(a.teacher, 0.0), default=None)
    sources = {
        (answer.teacher, answer.request): Source(
            kind="model",
            name=answer.teacher,
            contributed=("target", "reasoning") if answer is thinker else ("target",),
            stage=STAGE,
            terms=answers.terms,
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
        soft_target=verdict.soft,
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


def _likeness(answer: Answer, verdict: Verdict, form: Form) -> float:
    return 0.0 if answer.target is None else form.likeness(answer.target, verdict.target)


def _lost_values(example: Example, said: Sequence[Answer]) -> list[Rejection]:
    """The values that answers to a row gave in vain; each once, however often it was given."""
    losses = dict.fromkeys(loss for answer in said for loss in answer.lost)
    return [
        Rejection(
            id=example.id,
            stage=STAGE,
            cause=loss.cause,
            detail=f"{loss.field}: {loss.detail}",
            cost_usd=0.0,
        )
        for loss in losses
    ]


def _rejection(example: Example, said: Sequence[Answer], answers: RecordedAnswers) -> Rejection:
    form = answers.form
    if not said:
        cause = "not_answered"
        detail = (
            "an answer is recorded under its id, but for another text"
            if answers.knows_id(example.id)
            else "no answer is recorded for its id or its text"
        )
    else:
        faults = Counter(answer.fault for answer in said)
        ((most, _),) = faults.most_common(1)
        cause = str(form.unreadable if form.unreadable in faults else most)
        told = next((a.detail for a in said if a.fault == cause and a.detail), None)
        if told is not None:
            detail = told
        elif cause == form.unreadable and cause != "no_answer":
            words = [f"{a.teacher} said {a.raw[:80]!r}" for a in said if a.fault == cause]
            detail = f"not {form.wanted}: {'; '.join(words[:3])}"
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


def _unusable(
    given: Sequence[Sequence[Answer]], rejected: Sequence[Rejection], form: Form
) -> TeacherError:
    """What to tell where not one row has a usable answer."""
    words = Counter(a.raw[:60] for said in given for a in said if a.fault == form.unreadable)
    if words or not form.names:
        said = ", ".join(repr(word) for word, _ in words.most_common(3)) or "nothing"
        message = f"none of the answers is {form.wanted}; the teachers said {said}."
    else:
        causes = Counter(rejection.cause for rejection in rejected)
        listed = ", ".join(f"{cause} ({rows})" for cause, rows in causes.most_common(3))
        message = f"none of the answers can be used: {listed}; {rejected[0].detail}."
    names = f"{', '.join(form.names[:5])}{', …' if len(form.names) > 5 else ''}"
    return TeacherError(
        message,
        hint=f"The task has {names}: add what is missing, or map the answers to them."
        if form.names
        else f"A text stands under {form.columns[0]!r}.",
    )


def _table(
    answers: RecordedAnswers,
    given: Sequence[Sequence[Answer]],
    verdicts: Sequence[Verdict | None],
) -> list[dict[str, Any]]:
    answered: Counter[str] = Counter()
    agreed: defaultdict[str, float] = defaultdict(float)
    for said, verdict in zip(given, verdicts, strict=True):
        voters = {answer.teacher for answer in said if answer.target is not None}
        answered.update(voters)
        if verdict is not None:
            for teacher in voters:
                own = (answer for answer in said if answer.teacher == teacher)
                agreed[teacher] += max(_likeness(a, verdict, answers.form) for a in own)
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
