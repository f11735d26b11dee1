from __future__ import annotations

import pytest

from potstill.runtime.facts import Facts, names_in, numbers_in


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("pays $1,000.50 in 30 days", {"1000.5", "30"}),
        ("1.000.000 and 1 000 euros", {"1000000", "1", "0"}),
        ("12,5 %", {"12.5"}),
        ("05 May", {"5"}),
        ("the 3rd time", {"3"}),
        ("twenty-five days, two hundred and six hours", {"25", "206"}),
        ("three million two hundred thousand", {"3200000"}),
        ("one of the zero-shot methods", set()),
        ("one hundred", {"100"}),
        ("two, three and four", {"2", "3", "4"}),
        ("ResNet50 and GPT2 in 2D", set()),
        ("no numbers", set()),
    ],
)
def test_figures_have_one_spelling(text: str, numbers: set[str]) -> None:
    assert {number for _, number in numbers_in(text)} == numbers


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("We ask Google and the YouTube team.", ["Google", "YouTube"]),
        ("GANs beat ResNet50.", ["GANs", "ResNet50"]),
        ("The service may stop. It does.", []),
        ("You and I agree.", []),
        ("lower cased google", []),
        ("See the 3rd clause on the 2nd page", []),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert list(names_in(text)) == names


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("youtube s terms of thirty (30) days", "The terms of YouTube last 30 days."),
        ("You pay 1000 dollars.", "You pay $1,000.00"),
        ("within 14 days", "in fourteen days"),
        ("signed on 05/01/2020", "It was signed on January 5, 2020."),
        ("signed on 2020-01-05", "It was signed on 5 Jan 2020."),
        (
            "the networks of Müller's lab",
            "By Muller we mean Mueller's lab".replace("Mueller", "Müller"),
        ),
        ("we train GANs", "It is a GAN."),
        ("wire-less Wi-Fi", "It has WiFi."),
        ("word2vec vectors", "We use Word2Vec."),
    ],
)
def test_what_stands_in_the_source_is_known_however_it_is_written(source: str, text: str) -> None:
    assert Facts.of(source).missing(text) == ()


@pytest.mark.parametrize(
    ("source", "text", "missing"),
    [
        ("in 30 days", "In 31 days", ("31",)),
        ("in 30 days", "in three days", ("three",)),
        ("we train networks", "It trains LSTM networks by Google.", ("LSTM", "Google")),
        ("signed on 05/01/2020", "Signed on March 5, 2020.", ("March",)),
        ("", "It costs 5 dollars, 5.", ("5",)),
        ("It costs 1.5", "It costs 15", ("15",)),
        ("pays 1,500", "pays 1.5", ("1.5",)),
    ],
)
def test_what_does_not_is_named_once(source: str, text: str, missing: tuple[str, ...]) -> None:
    assert Facts.of(source).missing(text) == missing
