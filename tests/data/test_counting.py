from __future__ import annotations

import pytest

from potstill.data.counting import count_words, first_words


@pytest.mark.parametrize(
    ("text", "words", "first_three"),
    [
        ("", 0, ""),
        ("you  pay a - fee", 5, "you pay a"),
        ("\u4f60\u5fc5\u9808\u4ed8\u6b3e\u3002", 5, "\u4f60\u5fc5\u9808"),
        ("A\u516c\u53f8 pays", 4, "A\u516c\u53f8"),
        ("\u3002 yes", 2, "\u3002 yes"),
    ],
)
def test_words_are_counted_in_any_script(text: str, words: int, first_three: str) -> None:
    assert count_words(text) == words
    assert first_words(text, 3) == first_three
