"""Prices, upper bounds and the cap."""

from __future__ import annotations

import pytest

from potstill.spec.teacher import Price
from potstill.teacher.budget import Account, Budget, cost_of, most_of
from stub_teacher import question, reply

PRICE = Price(input_usd_per_million=2.0, output_usd_per_million=8.0)
FREE = Price(input_usd_per_million=0.0, output_usd_per_million=0.0)


def test_a_reply_costs_its_tokens() -> None:
    assert cost_of(reply(), PRICE) == pytest.approx((100 * 2.0 + 10 * 8.0) / 1e6)


def test_cached_tokens_have_a_price_of_their_own() -> None:
    dear = PRICE.model_copy(update={"cached_usd_per_million": 0.5})
    given = reply(cached_tokens=60)
    assert cost_of(given, dear) == pytest.approx((40 * 2.0 + 60 * 0.5 + 10 * 8.0) / 1e6)
    assert cost_of(given, PRICE) == cost_of(reply(), PRICE)


@pytest.mark.parametrize("missing", ["prompt_tokens", "completion_tokens"])
def test_missing_usage_is_unknown_and_not_nothing(missing: str) -> None:
    assert cost_of(reply(**{missing: None}), PRICE) is None
    assert cost_of(reply(**{missing: None}), FREE) == 0.0
    assert cost_of(reply(), None) is None


@pytest.mark.parametrize("text", ["a", "é", "漢字かな", "🙂" * 50, "word " * 300])
def test_the_upper_bound_holds_for_a_token_a_byte(text: str) -> None:
    request = question(text, max_tokens=50)
    sent = len(request.messages[0]["content"].encode())
    worst = reply(prompt_tokens=sent, completion_tokens=50)
    bound, cost = most_of(request, PRICE), cost_of(worst, PRICE)
    assert bound is not None
    assert cost is not None
    assert bound > cost


def test_a_schema_makes_the_prompt_longer() -> None:
    schema = {"enum": ["label"] * 100}
    plain, formed = most_of(question(0), PRICE), most_of(question(0, schema=schema), PRICE)
    assert plain is not None
    assert formed is not None
    assert formed > plain
    assert most_of(question(0), None) is None


def test_what_is_in_flight_counts() -> None:
    budget = Budget(1.0, Account(0.25))
    assert budget.reserve(0.5)
    assert not budget.reserve(0.5)
    assert budget.reserve(0.25)
    assert budget.account.reserved_usd == 0.75


def test_a_settled_call_frees_what_it_did_not_cost() -> None:
    budget = Budget(1.0, Account(0.0))
    assert budget.reserve(1.0)
    budget.settle(1.0, 0.25)
    assert (budget.account.spent_usd, budget.account.reserved_usd) == (0.25, 0.0)
    assert budget.reserve(0.75)


def test_an_unknown_cost_is_all_that_was_set_aside() -> None:
    budget = Budget(1.0, Account(0.0))
    assert budget.reserve(0.5)
    budget.settle(0.5, None)
    assert budget.account.spent_usd == 0.5


def test_without_a_cap_everything_fits() -> None:
    assert Budget(None, Account(1e9)).reserve(1e9)


def test_two_budgets_share_an_account() -> None:
    account = Account(0.0)
    teacher, judge = Budget(1.0, account), Budget(1.0, account)
    assert teacher.reserve(0.75)
    assert not judge.reserve(0.5)
    teacher.settle(0.75, 0.5)
    assert judge.reserve(0.5)
