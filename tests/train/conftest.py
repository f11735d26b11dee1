"""Rows of three labels that a tiny encoder and a bag of words can tell apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from potstill.data import Example

RowMaker = Callable[..., list[Example]]

_UNSEEN = {
    "cards": ["my visa plastic", "contactless cashback today", "the plastic visa again"],
    "loans": ["my lender collateral", "the borrower foreclosure", "a collateral lender again"],
    "accounts": ["my teller overdraft", "checking withdrawal today", "the overdraft teller again"],
}

_TEXTS = {
    "cards": ["my card was again", "the merchant charge today", "a refund please statement card"],
    "loans": ["the loan rate and house", "my mortgage repayment please", "loan again today help"],
    "accounts": ["my account deposit bank", "a transfer branch the balance", "account help today"],
}
_ENDINGS = ["please", "help", "my", "the", "was", "and", "with", "again", "today", "bank"]


@pytest.fixture(scope="session")
def labels() -> tuple[str, ...]:
    return tuple(_TEXTS)


@pytest.fixture(scope="session")
def make_rows(labels: tuple[str, ...]) -> RowMaker:
    """``make_rows(count, start=0, unseen=False)``: the labels in turn, each text a little different.

    With ``unseen`` the words that tell the label are those that no other row holds.
    """

    def make(count: int, start: int = 0, *, unseen: bool = False) -> list[Example]:
        rows: list[Example] = []
        for number in range(start, start + count):
            label = labels[number % len(labels)]
            texts = (_UNSEEN if unseen else _TEXTS)[label]
            ending = _ENDINGS[number % len(_ENDINGS)]
            text = f"{texts[number // len(labels) % len(texts)]} {ending}"
            rows.append(Example(id=str(number), input=text, target=label))
        return rows

    return make
