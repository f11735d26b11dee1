from __future__ import annotations

import pytest

from potstill.teacher.answer import LabelReader, split_thought

LABELS = ("credit_card", "debt_collection", "none of these", "1")


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        ("credit_card", "credit_card"),
        ("  Credit-Card.\n", "credit_card"),
        ("**Debt collection**", "debt_collection"),
        ("None_of_these", "none of these"),
        ('"credit_card"', "credit_card"),
        ('{"label": "credit card", "why": "it says so"}', "credit_card"),
        ('```json\n{"label": "debt_collection"}\n```', "debt_collection"),
        ('{"product": "credit_card"}', "credit_card"),
        ('["credit_card"]', "credit_card"),
        (1, "1"),
        ("1", "1"),
        ({"label": "credit_card"}, "credit_card"),
        ("not credit_card", None),
        ("It is credit_card", None),
        ("credit_card, debt_collection", None),
        ('["credit_card", "debt_collection"]', None),
        ('{"a": "credit_card", "b": "debt_collection"}', None),
        ("auto_loan", None),
        ("", None),
        ("{", None),
        (None, None),
        ([], None),
        ({"label": {"label": "credit_card"}}, None),
    ],
)
def test_one_label(raw, target):
    assert LabelReader(LABELS, multilabel=False).read(raw) == target


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (["debt_collection", "credit_card"], ("credit_card", "debt_collection")),
        ('["Debt collection"]', ("debt_collection",)),
        ('{"labels": ["1", "credit_card", "1"]}', ("credit_card", "1")),
        ("debt collection, credit-card", ("credit_card", "debt_collection")),
        ("credit_card", ("credit_card",)),
        ([], ()),
        ("[]", ()),
        ("credit_card, auto_loan", None),
        (["credit_card", None], None),
        ("nothing", None),
    ],
)
def test_several_labels(raw, target):
    assert LabelReader(LABELS, multilabel=True).read(raw) == target


def test_labels_that_differ_in_case_alone_are_read_exactly():
    reader = LabelReader(("US", "us", "uk"), multilabel=False)
    assert [reader.read(word) for word in ("US", "us", "Us", "UK")] == ["US", "us", None, "uk"]


def test_a_label_with_a_comma_is_one_label():
    reader = LabelReader(("loans, mortgages", "cards"), multilabel=True)
    assert reader.read("Loans, mortgages") == ("loans, mortgages",)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("card", (None, "card")),
        ("<think>it may be\na card</think>\n\ncard", ("it may be\na card", "card")),
        ("no opening tag</think>card", ("no opening tag", "card")),
        ("<think></think>card", (None, "card")),
        ("<think>and on it goes", ("and on it goes", "")),
        ("", (None, "")),
    ],
)
def test_the_thought_is_split_from_the_answer(content, parts):
    assert split_thought(content) == parts
