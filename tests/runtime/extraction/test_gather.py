"""Mentions become candidates: what reads alike is one, and its features say what they should."""

from __future__ import annotations

import math
import random
import time

import pytest

from potstill.data.extraction import Money, Scalar, Value
from potstill.runtime.extraction.extractor import ValueReader
from potstill.runtime.extraction.gather import FEATURES, LEAST_LOGIT, Found, gather
from potstill.runtime.extraction.mentions import Mention
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
    return Mention(field, start, start + len(words), logit)


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
        READ,
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
    (only,) = gather([Mention("party", 0, 4, 1.5)], "Nike", READ)["party"]
    assert known(only)["lead"] == 1.5 - LEAST_LOGIT
    (sure,) = gather([Mention("party", 0, 4, 30.0)], "Nike", READ)["party"]
    assert known(sure)["lead"] == 10.0


def test_what_cannot_be_read_is_no_value() -> None:
    document = "the first of never, 1 May 2020"
    found = gather(
        [
            mention(document, "the first of never", 5.0, field="signed"),
            mention(document, "1 May 2020", 1.0, field="signed"),
        ],
        document,
        READ,
    )
    assert [one.value.value for one in found["signed"]] == ["2020-05-01"]
    assert known(found["signed"][0])["lead"] == 1.0 - LEAST_LOGIT


def test_money_is_one_value_however_it_is_written() -> None:
    document = "USD 1,250.00 or $1250"
    found = gather(
        [
            mention(document, "USD 1,250.00", 1.0, field="sum"),
            mention(document, "$1250", 0.0, field="sum"),
        ],
        document,
        READ,
    )
    assert [one.value.value for one in found["sum"]] == [Money("1250.00", "USD")]


def test_of_mentions_that_overlap_the_surest_stays() -> None:
    document = "Kite Pharma Inc"
    found = gather(
        [
            mention(document, "Kite Pharma", 1.0),
            mention(document, "Pharma Inc", 2.0),
            mention(document, "Kite", 0.5),
            Mention("signed", 0, 15, 9.0),
        ],
        document,
        READ,
    )
    assert [one.value.value for one in found["party"]] == ["Pharma Inc", "Kite"]


def test_overlaps_are_found_as_by_comparing_each_with_each() -> None:
    generator = random.Random(2)
    document = "".join(generator.choices("abcdefgh", k=400))
    mentions = [
        Mention("party", start, start + generator.randrange(1, 9), generator.uniform(-6, 6))
        for start in generator.choices(range(390), k=300)
    ]
    kept: list[Mention] = []
    for one in sorted(mentions, key=lambda one: (-one.logit, one.start)):
        if all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    values: list[Scalar] = []
    for one in kept:
        said = document[one.start : one.end]
        if said not in values:
            values.append(said)
    assert [one.value.value for one in gather(mentions, document, READ)["party"]] == values


def test_a_hundred_thousand_mentions_take_seconds() -> None:
    document = " ".join(f"name{number}" for number in range(100_000))
    starts = [0, *(at + 1 for at, character in enumerate(document) if character == " ")]
    mentions = [Mention("party", start, start + 5, start % 7 - 3.0) for start in starts]
    begin = time.process_time()
    gather(mentions, document, READ)
    assert time.process_time() - begin < 10.0
