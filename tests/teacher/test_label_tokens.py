from __future__ import annotations

import math

import pytest

from potstill.teacher.tokens import label_distribution, spelling

LABELS = ("card", "card_lost", "loan", "cash")


def logs(*tokens):
    """Alternatives from tokens: a text alone has all probability, a dictionary its shares."""
    return tuple(
        {t: math.log(p) for t, p in ({token: 1.0} if isinstance(token, str) else token).items()}
        for token in tokens
    )


def test_a_label_of_one_token():
    found = label_distribution(
        '{"label": "loan"}',
        logs('{"', "label", '":', ' "', {"loan": 0.6, "cash": 0.3, "car": 0.1}, '"}'),
        LABELS,
    )
    assert found == pytest.approx({"loan": 0.6, "cash": 0.3, "card": 0.05, "card_lost": 0.05})


def test_mass_that_leads_to_no_offered_label_counts_nothing():
    found = label_distribution(
        '{"label": "loan"}',
        logs('{"label": "', {"loan": 0.3, "cash": 0.1, "Loan": 0.5, "x": 0.1}, '"}'),
        LABELS,
    )
    assert found == pytest.approx({"loan": 0.75, "cash": 0.25, "card": 0.0, "card_lost": 0.0})


def test_a_label_that_begins_another_is_told_apart_at_its_end():
    tokens = logs(
        '{"label": "', {"ca": 0.8, "loan": 0.2}, {"rd": 0.75, "sh": 0.25}, {'"}': 0.9, "_": 0.1}
    )
    assert label_distribution('{"label": "card"}', tokens, LABELS) == pytest.approx(
        {"loan": 0.2, "cash": 0.8 * 0.25, "card": 0.8 * 0.75 * 0.9, "card_lost": 0.8 * 0.75 * 0.1}
    )
    tokens = logs('{"label": "', "card", {"_": 0.9, '"': 0.1}, "lost", '"', "}")
    found = label_distribution('{"label": "card_lost"}', tokens, LABELS)
    assert found == pytest.approx({"card_lost": 0.9, "card": 0.1, "loan": 0.0, "cash": 0.0})


@pytest.mark.parametrize(
    "tokens",
    [
        ('{"', "label", '":"', {"loan": 0.6, "cash": 0.4}, '"}'),
        ("{", '"label', '":', {'"loan': 0.6, '"cash': 0.4}, '"', "}"),
        ('{"label":', {'"loan"}': 0.6, '"cash"}': 0.4}),
        ('{"label":"', {"l": 0.6, "c": 0.4}, "oan", '"}', "<|im_end|>"),
        ("\n", '{"label":"', {"loan": 0.6, "cash": 0.4}, '"}\n'),
        ('\n{"label":"', {"loan": 0.6, "cash": 0.4}, '"}', "\n"),
    ],
)
def test_marks_merge_with_tokens_as_they_please(tokens):
    found = label_distribution('{"label":"loan"}', logs(*tokens), ("loan", "cash"))
    assert found == pytest.approx({"loan": 0.6, "cash": 0.4})


def test_the_thought_before_the_label_is_passed_over():
    text = '{"thought": "the \\"label\\": \\"cash\\" is far", "label": "loan"}'
    tokens = ['{"thought": "', 'the \\"label\\": \\"', {"cash": 0.5, "loan": 0.5}, '\\" is far"']
    tokens += [', "label": "', {"loan": 0.7, "cash": 0.3}, '"}']
    found = label_distribution(text, logs(*tokens), ("loan", "cash"))
    assert found == pytest.approx({"loan": 0.7, "cash": 0.3})


def test_a_label_with_marks_of_its_own_is_spelt_as_json():
    tokens = logs('{"label": "', {'say \\"hi\\"': 0.9, "loan": 0.1}, '"}')
    found = label_distribution('{"label": "say \\"hi\\""}', tokens, ('say "hi"', "loan"))
    assert found == pytest.approx({'say "hi"': 0.9, "loan": 0.1})


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('{"label": "loan"}', ('{"label": "', "cash", '"}')),
        ('{"label": "loan"}', ('{"label": "', "loan")),
        ('{"label": "other"}', ('{"label": "', "other", '"}')),
        ("loan", ("loan",)),
        ('{"label": "loan"}', ()),
        ('{"label": "loan"}', (' {"label": "loan', '"}')),
    ],
)
def test_what_does_not_spell_a_label_gives_none(text, tokens):
    assert label_distribution(text, logs(*tokens), LABELS) is None
    assert label_distribution(text, None, LABELS) is None


def test_the_likeliest_spelling_is_taken():
    tokens = logs({"a": 0.9, "ab": 0.1}, {"b": 0.5, "bc": 0.4}, {"c": 0.2, "d": 0.8}, "d")
    assert spelling("abcd", tokens) == [(0, 1, "a"), (1, 3, "bc"), (3, 4, "d")]
    assert spelling("ad", tokens) is None
