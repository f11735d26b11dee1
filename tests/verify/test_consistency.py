# ruff: noqa: RUF001 - the signs of other languages are meant
import time

import pytest

from potstill.verify import consistency_of
from potstill.verify.consistency import plain_text

ENGLISH = "First I add the tens and then I add the ones, so the sum must be larger than eighty."
CHINESE = "首先把十位相加然后把个位相加所以总和一定大于八十"
GERMAN = "Zuerst zähle ich die Zehner zusammen und danach die Einer, also ist die Summe größer."


@pytest.mark.parametrize(
    ("thought", "language", "least", "most"),
    [
        (ENGLISH, "en", 1.0, 1.0),
        (CHINESE, "zh", 1.0, 1.0),
        (ENGLISH, "zh", 0.0, 0.0),
        (CHINESE, "en", 0.0, 0.0),
        (ENGLISH + " " + CHINESE, "en", 0.45, 0.65),
        (ENGLISH + " " + CHINESE, "zh", 0.35, 0.55),
        ("Сначала я складываю десятки, а потом единицы.", "ru", 0.9, 1.0),
        ("まず十の位を足してから一の位を足します", "ja", 1.0, 1.0),
        (CHINESE, "ja", 0.0, 0.0),
        ("먼저 십의 자리를 더하고 일의 자리를 더합니다", "ko", 1.0, 1.0),
        (GERMAN, "de", 0.9, 1.0),
        (ENGLISH, "de", 0.0, 0.1),
        ("47 + 85 = 132", "en", 1.0, 1.0),
        ("", "en", 1.0, 1.0),
        ("设 x = 2, 那么 AB = 3 和 y 成立", "zh", 1.0, 1.0),
    ],
)
def test_shares(thought, language, least, most):
    assert least <= consistency_of(thought, language).share <= most


def test_code_and_formulas_have_no_language():
    code = "```python\ndef add(first, second):\n    return first + second\n```"
    latex = r"\begin{align} first &= second \end{align} $\text{sum of things}$ \frac{a}{b}"
    assert (
        consistency_of(f"{CHINESE} {code} {latex} https://example.org/some/path", "zh").share == 1.0
    )
    assert "first" not in plain_text(code + latex)


def test_long_thoughts_are_cheap():
    thought = (ENGLISH + " ") * 350  # 30,000 letters
    begun = time.process_time()
    assert consistency_of(thought, "en").share == 1.0
    assert time.process_time() - begun < 0.5
