from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from potstill.errors import SpecError, StorageError
from potstill.spec.teacher import Endpoint, Price
from potstill.teacher.prices import estimate_tokens, most_tokens, price_of, quote_for

OPENAI = "https://api.openai.com/v1"
MINE = """
[[price]]
models = ["gpt-4o*", "house-model"]
input_usd_per_million = 1.0
output_usd_per_million = 4.0
batch_discount = 0.25
as_of = 2026-11-01
source = "our contract"
"""


def test_a_known_model_at_its_own_host_has_a_dated_price() -> None:
    quote = quote_for(Endpoint(model="gpt-4o-mini", base_url=OPENAI))
    assert quote is not None and quote.as_of is not None
    assert quote.price == Price(
        input_usd_per_million=0.15, cached_usd_per_million=0.075, output_usd_per_million=0.6
    )
    assert quote.as_of < date(2026, 11, 1) and quote.source.startswith("https://")


def test_a_batch_takes_the_discount_off() -> None:
    price = price_of(Endpoint(model="gpt-4o-mini", base_url=OPENAI, batch=True))
    assert price is not None
    assert price.input_usd_per_million == pytest.approx(0.075)
    assert price.cached_usd_per_million == pytest.approx(0.0375)
    assert price.output_usd_per_million == pytest.approx(0.3)


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint(model="gpt-99", base_url=OPENAI),
        Endpoint(model="gpt-4o-mini", base_url="https://gateway.example.com/v1"),
    ],
)
def test_what_is_not_certain_stays_unknown(endpoint: Endpoint) -> None:
    assert price_of(endpoint) is None


def test_the_task_goes_before_the_users_file_and_that_before_ours(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(MINE)
    mine = quote_for(Endpoint(model="GPT-4o", base_url=OPENAI, batch=True), file=file)
    assert mine is not None and mine.source == "our contract"
    assert mine.price.output_usd_per_million == pytest.approx(3.0)
    assert price_of(Endpoint(model="o4-mini", base_url=OPENAI), file=file) is not None
    own = Price(input_usd_per_million=7.0, output_usd_per_million=8.0)
    stated = quote_for(Endpoint(model="gpt-4o", base_url=OPENAI, price=own), file=file)
    assert stated is not None and (stated.price, stated.as_of) == (own, None)


@pytest.mark.parametrize("model", ["local:smollm2-135m", "python:module:function"])
def test_what_runs_in_this_process_costs_no_money(model: str) -> None:
    price = price_of(Endpoint(model=model))
    assert price is not None
    assert (price.input_usd_per_million, price.output_usd_per_million) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]", "no TOML"),
        ("[[price]]\nmodels = ['a']", "input_usd_per_million"),
        (MINE + "colour = 'red'", "colour"),
        (MINE.replace("4.0", "-4.0"), "output_usd_per_million"),
    ],
)
def test_a_broken_price_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(SpecError, match=said) as caught:
        price_of(Endpoint(model="a", base_url=OPENAI), file=file)
    assert caught.value.where == str(file)


def test_a_missing_price_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        price_of(Endpoint(model="a", base_url=OPENAI), file=tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # As the tokenizer of SmolLM2 counts them.
        ("My card was charged twice for the same payment, and nobody answers.", 14),
        ('{"label": "card_payment_not_recognised"}', 13),
        (
            "You read messages of bank customers and choose the label that fits best. Think "
            "first, in one or two sentences; then answer. If a collector is chasing a debt, "
            "choose debt_collection.",
            39,
        ),
        (
            "On 12 March 2026 I was billed $1,249.99 (ref. 88-1230-X) although I'd cancelled on "
            "2026-02-28!!",
            54,
        ),
    ],
)
def test_estimates_are_near_and_bounds_are_bounds(text: str, tokens: int) -> None:
    assert abs(estimate_tokens(text) - tokens) <= 0.2 * tokens
    assert most_tokens(text) >= tokens


def test_the_bound_counts_bytes() -> None:
    assert most_tokens("äß漢") == 7
    assert most_tokens("\ud800") == 3
    assert estimate_tokens("漢字かな") == 4
    assert estimate_tokens("") == most_tokens("") == 0
