"""From several answers about the fields of a document to one: agreement value by value.

Every value that anybody gave is a question of its own, answered by all who spoke of its field:
given, or not. How far a teacher is believed follows from these questions as it does from labels
(see `potstill.teacher.committee`), and the share of a value is the linear opinion pool of the
votes on it. What is most often said stands; where less than half says so, or where all who
answered lost a value of the field, the field is unsure.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from potstill.data import Extraction, Value
from potstill.spec.extraction import FieldSpec
from potstill.teacher.answer import Answer
from potstill.teacher.committee import Votes, estimate
from potstill.teacher.consensus import Consensus, Verdict
from potstill.teacher.evidence import key_of

_ENOUGH = 0.5


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one answer says of one field.

    Attributes:
        teacher: who answered.
        say: the answer's part of its teacher's say on the document.
        values: each value that it gives, by its key.
        complete: whether it lost none, so that what it does not give it denies.
    """

    teacher: str
    say: float
    values: Mapping[str, Value]
    complete: bool

    def on(self, key: str) -> bool | None:
        """Whether it gives a value; None where nobody can tell."""
        return True if key in self.values else False if self.complete else None


def agree_on_fields(
    answers: Sequence[Sequence[Answer]], fields: Mapping[str, FieldSpec]
) -> Consensus:
    """Join the answers about every document into a verdict.

    Its ``soft`` holds for each field the share of the answers that say what the verdict says;
    None where the document was answered once, since that says nothing about its certainty.

    Args:
        answers: the answers about each document, their evidence looked up, usable or not.
        fields: the fields by name.
    """
    rows = [[answer for answer in given if answer.target is not None] for given in answers]
    opinions = [{name: _opinions(row, name, spec) for name, spec in fields.items()} for row in rows]
    accuracy, weights = _believed(
        each for row in opinions for each in row.values() if len(each) > 1
    )
    verdicts = [
        _verdict(row, fields, weights, alone=len(given) == 1) if given else None
        for given, row in zip(rows, opinions, strict=True)
    ]
    return Consensus(verdicts, accuracy, weights)


def likeness(one: Extraction, other: Extraction, fields: Mapping[str, FieldSpec]) -> float:
    """Share of the fields of which two extractions say the same, 0 to 1.

    Fields that one of them is not sure of, and those that neither holds, do not count.
    """
    unsure = {*one.unsure, *other.unsure}
    names = [name for name in {**one.fields, **other.fields} if name not in unsure]
    same = (
        _by_key(one, name, fields[name]).keys() == _by_key(other, name, fields[name]).keys()
        for name in names
    )
    return statistics.fmean(same) if names else 1.0


def _by_key(extraction: Extraction, name: str, spec: FieldSpec) -> dict[str, Value]:
    return {key_of(value.value, spec): value for value in extraction.of(name)}


def _opinions(row: Sequence[Answer], name: str, spec: FieldSpec) -> list[_Opinion]:
    answered = Counter(answer.teacher for answer in row)
    return [
        _Opinion(
            teacher=answer.teacher,
            say=1.0 / answered[answer.teacher],
            values=_by_key(answer.target, name, spec),
            complete=name not in answer.target.unsure,
        )
        for answer in row
        if isinstance(answer.target, Extraction)
    ]


def _believed(
    questions: Iterable[Sequence[_Opinion]],
) -> tuple[dict[str, float], dict[str, float]]:
    """Each teacher's estimated accuracy and its weight; nothing for a single teacher."""
    teachers: dict[str, int] = {}
    votes: list[tuple[int, int, int, float]] = []
    number = 0
    for opinions in questions:
        for opinion in opinions:
            teachers.setdefault(opinion.teacher, len(teachers))
        for key in _given(opinions):
            for opinion in opinions:
                given = opinion.on(key)
                if given is not None:
                    votes.append((number, teachers[opinion.teacher], int(given), opinion.say))
            number += 1
    if len(teachers) < 2:
        return {}, {}
    fit = estimate(Votes.of(votes, (number, len(teachers), 2)))
    accuracy, weights = map(float, fit.accuracy), map(float, fit.weights)
    return dict(zip(teachers, accuracy, strict=True)), dict(zip(teachers, weights, strict=True))


def _verdict(
    row: Mapping[str, Sequence[_Opinion]],
    fields: Mapping[str, FieldSpec],
    weights: Mapping[str, float],
    *,
    alone: bool,
) -> Verdict:
    found: dict[str, tuple[Value, ...]] = {}
    unsure: list[str] = []
    soft: dict[str, float] = {}
    for name, opinions in row.items():
        held, agreement = _decide(opinions, weights, many=fields[name].many)
        soft[name] = agreement
        if agreement <= _ENOUGH or not any(opinion.complete for opinion in opinions):
            unsure.append(name)
        values = [
            replace(_usual(opinions, key), confidence=None if alone else share)
            for key, share in held.items()
        ]
        if values:
            found[name] = tuple(sorted(values, key=lambda value: value.start or 0))
    return Verdict(Extraction(found, tuple(unsure)), None if alone else soft)


def _decide(
    opinions: Sequence[_Opinion], weights: Mapping[str, float], *, many: bool
) -> tuple[dict[str, float], float]:
    """The values of a field with their shares, and how far the answers agree on the field."""

    def pool(votes: Iterable[tuple[_Opinion, bool | None]]) -> float:
        heard = [(each.say * weights.get(each.teacher, 1.0), vote) for each, vote in votes]
        total = sum(say for say, vote in heard if vote is not None)
        return sum(say for say, vote in heard if vote) / total if total else 0.0

    shares = {key: pool((each, each.on(key)) for each in opinions) for key in _given(opinions)}
    if many:
        held = {key: share for key, share in shares.items() if share >= _ENOUGH}
        agreed = [max(share, 1.0 - share) for share in shares.values()]
        return held, statistics.fmean(agreed) if agreed else 1.0
    absent = pool(
        (each, not each.values if each.values or each.complete else None) for each in opinions
    )
    best = max(shares, key=shares.__getitem__, default=None)
    if best is None or shares[best] < absent:
        return {}, absent
    return {best: shares[best]}, shares[best]


def _given(opinions: Iterable[_Opinion]) -> dict[str, None]:
    return dict.fromkeys(key for opinion in opinions for key in opinion.values)


def _usual(opinions: Iterable[_Opinion], key: str) -> Value:
    """A value as most answers have it, one with a place before one without."""
    ways = Counter(opinion.values[key] for opinion in opinions if key in opinion.values)
    return max(ways, key=lambda value: (value.start is not None, ways[value]))
