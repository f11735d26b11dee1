"""Mentions become candidates: what reads alike is one, and its features say what they should."""

from __future__ import annotations

import math
import random
import time

import pytest

from potstill.data.extraction import Money, Scalar, Value
from potstill.runtime.extraction.gather import FEATURES, LEAST_LOGIT, Found, Gathering, gather
from potstill.runtime.extraction.mentions import Mention
from potstill.runtime.extraction.values import ValueReader
from potstill.spec.extraction import FieldSpec

READ = ValueReader(
    {
        "party": FieldSpec(many=True),
        "signed": FieldSpec(type="date"),
        "sum": FieldSpec(type="money"),
    },
    {},
)


def mention(
    document: str, words: str, logit: float, *, field: str = "party", nth: int = 0
) -> Mention:
    start = -1
    for _ in range(nth + 1):
        start = document.index(words, start + 1)
    value = READ(field, words)
    assert value is not None
    return Mention(field, start, start + len(words), logit, value)


def known(found: Found) -> dict[str, float]:
    return dict(zip(FEATURES, found.features, strict=True))


def test_mentions_that_read_as_one_value_are_one_and_cite_the_surest() -> None:
    document = "NIKE Inc and Kite. Nike  Inc\nsigned. Nike"
    found = gather(
        [
            mention(document, "NIKE Inc", 1.0),
            mention(document, "Nike  Inc", 3.0),
            mention(document, "Kite", 2.0),
            mention(document, "Nike", -1.0, nth=1),
        ],
        document,
    )
    first, second, third = found["party"]
    assert first.value == Value("Nike Inc", "Nike  Inc", 19, 28)
    assert [one.value.value for one in (second, third)] == ["Kite", "Nike"]
    assert known(first) == pytest.approx(
        {
            "logit": 3.0,
            "support": math.log(1.0 + math.exp(1.0 - 3.0)),
            "lead": 3.0 - 2.0,
            "early": 1.0,
        }
    )
    assert known(second)["early"] == 1.0 / 1.013
    assert known(second)["support"] == 0.0
    assert [known(one)["lead"] for one in (second, third)] == [2.0 - 3.0, -1.0 - 3.0]


def test_a_value_without_a_rival_leads_over_what_is_not_looked_at() -> None:
    (only,) = gather([Mention("party", 0, 4, 1.5, "Nike")], "Nike")["party"]
    assert known(only)["lead"] == 1.5 - LEAST_LOGIT
    (sure,) = gather([Mention("party", 0, 4, 30.0, "Nike")], "Nike")["party"]
    assert known(sure)["lead"] == 10.0


def test_money_is_one_value_however_it_is_written() -> None:
    document = "USD 1,250.00 or $1250"
    found = gather(
        [
            mention(document, "USD 1,250.00", 1.0, field="sum"),
            mention(document, "$1250", 0.0, field="sum"),
        ],
        document,
    )
    assert [one.value.value for one in found["sum"]] == [Money("1250.00", "USD")]


def test_of_mentions_that_overlap_the_surest_stays() -> None:
    document = "Kite Pharma Inc"
    found = gather(
        [
            mention(document, "Kite Pharma", 1.0),
            mention(document, "Pharma Inc", 2.0),
            mention(document, "Kite", 0.5),
            Mention("signed", 0, 15, 9.0, "2020-01-01"),
        ],
        document,
    )
    assert [one.value.value for one in found["party"]] == ["Pharma Inc", "Kite"]


def random_mentions(generator: random.Random, document: str) -> list[Mention]:
    starts = generator.choices(range(len(document) - 10), k=300)
    spans = [(start, start + generator.randrange(1, 9)) for start in starts]
    return [
        Mention("party", *span, generator.uniform(-6, 6), document[slice(*span)]) for span in spans
    ]


def test_window_by_window_the_same_is_found_as_at_once() -> None:
    generator = random.Random(5)
    document = "".join(generator.choices("abcd", k=400))
    mentions = random_mentions(generator, document)
    gathering = Gathering()
    for begins in range(0, 400, 7):  # narrower than the widest mention
        gathering.add([one for one in mentions if begins <= one.start < begins + 7])
    piecemeal, whole = gathering.found(document)["party"], gather(mentions, document)["party"]
    assert [one.value for one in piecemeal] == [one.value for one in whole]
    for one, other in zip(piecemeal, whole, strict=True):
        assert one.features == pytest.approx(other.features)


def test_of_very_many_values_the_surest_are_kept() -> None:
    gathering = Gathering()
    for at in range(12_000):
        gathering.add([Mention("party", at, at + 1, float(at % 100), str(at))])
    found = gathering.found("x" * 12_000)["party"]
    assert 5000 <= len(found) <= 10_000
    assert [one.features[0] for one in found[:120]] == [99.0] * 120


def test_overlaps_are_found_as_by_comparing_each_with_each() -> None:
    generator = random.Random(2)
    document = "".join(generator.choices("abcdefgh", k=400))
    mentions = random_mentions(generator, document)
    kept: list[Mention] = []
    for one in sorted(mentions, key=lambda one: (-one.logit, one.start)):
        if all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    values: list[Scalar] = []
    for one in kept:
        said = document[one.start : one.end]
        if said not in values:
            values.append(said)
    assert [one.value.value for one in gather(mentions, document)["party"]] == values


def test_a_hundred_thousand_mentions_take_seconds() -> None:
    document = " ".join(f"name{number}" for number in range(100_000))
    starts = [0, *(at + 1 for at, character in enumerate(document) if character == " ")]
    mentions = [
        Mention("party", start, start + 5, start % 7 - 3.0, document[start : start + 5])
        for start in starts
    ]
    begin = time.process_time()
    gather(mentions, document)
    assert time.process_time() - begin < 10.0
