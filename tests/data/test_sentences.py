from __future__ import annotations

import pytest

from potstill.data.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("we use cookies e.g. beacons etc. here. we sell none.", 2),
        ("Acme Inc. pays Mr. Smith on Jan. 5. It does.", 2),
        ("no full stop at all", ["no full stop at all"]),
        ("第一句。第二句。", ["第一句。", "第二句。"]),
        ("A title\n\nA paragraph.", ["A title", "A paragraph."]),
        ("It costs 3.50 dollars. Cheap.", ["It costs 3.50 dollars.", "Cheap."]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences(text: str, sentences: list[str] | int) -> None:
    found = [sentence.text for sentence in split_sentences(text)]

    assert (len(found) if isinstance(sentences, int) else found) == sentences


@pytest.mark.parametrize(
    "text",
    [
        " Hi 👍🏽 there.  é́ x is a thing. \r\n\r\nA b. c ",
        "A lone \ud800 surrogate. Another \udfff one.",
        "Русский текст. 今天很好。 عربي هنا. End",
        "a",
        "line one\nline two. \u00a0 three.",
    ],
)
def test_offsets_count_characters_and_nothing_is_lost(text: str) -> None:
    found = split_sentences(text)

    assert [text[one.start : one.end] for one in found] == [one.text for one in found]
    assert "".join("".join(one.text.split()) for one in found) == "".join(text.split())


def test_a_sentence_counts_its_words() -> None:
    assert split_sentences("It costs  3.50\ndollars.")[0].words == 4
