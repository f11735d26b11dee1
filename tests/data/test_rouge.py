from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer

from potstill.data.rouge import rouge


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("users cannot scrape the website", "you must not scrape the site of the service"),
        ("The cats are running, 3.5 miles away!", "a cat runs 35 miles"),
        ("", "something"),
        ("something", ""),
        ("don't share it", "do not share it's data"),
    ],
)
def test_it_agrees_with_the_library_on_english(text: str, wanted: str) -> None:
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score(wanted, text)
    ours = rouge(text, [wanted])

    assert ours.rouge_1 == theirs["rouge1"].fmeasure
    assert ours.rouge_2 == theirs["rouge2"].fmeasure
    assert ours.rouge_l == theirs["rougeL"].fmeasure


def test_values_by_hand() -> None:
    # Longest common subsequence "a b d": precision 3/4, recall 3/5.
    assert rouge("a b x d", ["a c b d e"]).rouge_l == pytest.approx(2 * 3 / (4 + 5))


def test_the_best_reference_counts() -> None:
    assert rouge("one two", ["something else", "one two"]).rouge_2 == 1.0
    assert rouge("one two", []).rouge_1 == 0.0


@pytest.mark.parametrize("text", ["今天很好", "Привет мир", "naïve café"])
def test_other_scripts_are_read(text: str) -> None:
    assert rouge(text, [text]).rouge_l == 1.0
    assert 0.0 < rouge(text[:-2], [text]).rouge_1 < 1.0
