from __future__ import annotations

import pytest

from potstill.data.wholes import cuts, is_whole, widened


def bounds(text: str) -> str:
    """The text with a bar wherever a value may begin or end."""
    return "".join(
        ("|" if at and not cuts(text, at) else "") + character for at, character in enumerate(text)
    )


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("ten tenancy", "ten| |tenancy"),
        ("€1,250,000.", "€|1,250,000|."),
        ("£99.5, 3", "£|99.5|,| |3"),
        ("6pm", "6pm"),
        ("Ann-Lee's", "Ann|-|Lee|'|s"),
        ("a.b,c", "a|.|b|,|c"),
        ("Jose\u0301 e\u0301a", "Jose\u0301| |e\u0301a"),
        ("नमस्ते", "नमस्ते"),
        ("王小明和A公司", "王|小|明|和|A|公|司"),
        ("がが", "が|が"),
        ("か\u3099く", "か\u3099|く"),
        ("", ""),
    ],
)
def test_where_a_value_may_begin_or_end(text: str, apart: str) -> None:
    assert bounds(text) == apart


def test_a_part_is_widened_to_the_words_that_it_cuts() -> None:
    text = "le at 13:00pm, AUG 21.2018"
    assert widened(text, 6, 11) == (6, 13)
    assert widened(text, 15, 21) == (15, 26)
    assert is_whole(text, 6, 13)
    assert not is_whole(text, 6, 11)
