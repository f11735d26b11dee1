from __future__ import annotations

import pytest

from potstill.runtime.guards import guard, invented, repair, repeated
from potstill.spec.generation import TextSpec

SOURCE = "The seller Acme shall deliver within thirty days. The buyer pays 500 dollars."
SPEC = TextSpec(max_words=12)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("Acme delivers in 30 days.", ()),
        ("Acme delivers in 60 days.", ("copied",)),
        ("You pay Google.", ("copied",)),
        ("a " * 13, ("length", "repetition")),
        ("you pay you pay you pay you pay", ("repetition",)),
        ("It delivers. It pays. It delivers.", ("repetition",)),
        ("", ()),
    ],
)
def test_guards(text: str, broken: tuple[str, ...]) -> None:
    verdict = guard(text, SOURCE, SPEC)

    assert verdict.broken == broken
    assert verdict.ok == (not broken)
    assert set(verdict.details) == set(broken)


def test_details_say_what_was_wrong() -> None:
    verdict = guard(
        "Google pays 60 dollars to Google in 7 days or never to the other one.", SOURCE, SPEC
    )

    assert verdict.details["length"] == "15 words, allowed are 12"
    assert verdict.details["copied"] == "not in the source: 60, 7, Google"


def test_only_the_guards_of_the_task_stand() -> None:
    assert guard("You pay 7 dollars", SOURCE, TextSpec(guards=["length"])).ok


@pytest.mark.parametrize(
    ("text", "said", "guarded"),
    [
        ("Acme delivers in 30 days.", "Acme delivers in 30 days.", ()),
        ("Acme delivers. You pay Google.", "Acme delivers.", ("copied",)),
        ("You pay Google.", "instead", ("copied",)),
        (
            "It pays 500 dollars. " + "and so on " * 4 + "it goes.",
            "It pays 500 dollars.",
            ("length", "repetition"),
        ),
        ("It delivers. It delivers.", "It delivers.", ("repetition",)),
        ("You may not copy. You may not", "You may not copy.", ("repetition",)),
        (
            "You pay 500 dollars. You pay Google. You deliver within",
            "You pay 500 dollars.",
            ("copied",),
        ),
        ("You pay Google within", "instead", ("copied",)),
        ("賣方須交貨。買方須付款給賣方。", "賣方須交貨。", ("length",)),
        ("  ", "instead", ("length",)),
    ],
)
def test_repair_drops_a_sentence_or_asks_for_another_text(
    text: str, said: str, guarded: tuple[str, ...]
) -> None:
    mended = repair(text, SOURCE, SPEC, lambda: "instead")

    assert (mended.text, mended.guarded) == (said, guarded)


def test_a_text_longer_than_its_source_passes_if_the_task_allows_it() -> None:
    assert guard("Acme has to deliver the goods.", "Acme delivers.", SPEC).ok


def test_what_is_invented_is_named() -> None:
    assert invented("Google pays Amazon 7 dollars", SOURCE) == ("7", "Amazon")


@pytest.mark.parametrize(
    "text",
    [
        "the terms of service change and you agree to the terms of service of the other company",
        "no warranty, no liability, no refund",
        "very, very good",
        "today it rains. tomorrow it does not.",
    ],
)
def test_honest_texts_do_not_repeat(text: str) -> None:
    assert repeated(text) is None
