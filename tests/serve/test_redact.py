"""What may be kept of a request."""

from __future__ import annotations

import time

import pytest

from potstill.errors import SpecError
from potstill.serve.redact import KeepingRules
from potstill.spec.serving import Redaction, ServeSpec


def rules(*redact: str | Redaction, **spec: object) -> KeepingRules:
    given = [rule if isinstance(rule, Redaction) else Redaction(pattern=rule) for rule in redact]
    return KeepingRules(ServeSpec(redact=given, **spec))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "text", "clean"),
    [
        ("email", "write to jo.b+x@mail.example.co.uk, please", "write to <email>, please"),
        ("email", "no @ here, nor a@b", "no @ here, nor a@b"),
        ("url", "see https://x.example/a?t=1 or www.b.example!", "see <url> or <url>"),
        ("iban", "to DE89 3704 0044 0532 0130 00 today", "to <iban> today"),
        ("iban", "to GB29NWBK60161331926819.", "to <iban>."),
        ("card", "paid with 4111 1111 1111 1111 twice", "paid with <card> twice"),
        ("card", "4111-1111-1111-1111", "<card>"),
        ("card", "order 123456789012 of today", "order 123456789012 of today"),
        ("phone", "+44 20 7946 0958 or (415) 555-2671 or 030 1234567", "<phone> or <phone> or <phone>"),
        ("phone", "on 2026-11-23 I paid 1,500.00 in 12 parts", "on 2026-11-23 I paid 1,500.00 in 12 parts"),
    ],
)  # fmt: skip
def test_rules_that_ship(rule: str, text: str, clean: str) -> None:
    assert rules(rule).clean(text) == clean


def test_rules_apply_in_order_to_every_text() -> None:
    kept = rules("email", Redaction(pattern=r"\bcase \d+", replacement=r"case \1"))
    assert kept.clean("case 17 of a@b.example") == r"case \1 of <email>"
    assert kept.clean_input({"subject": "a@b.example", "body": "case 2"}) == {
        "subject": "<email>",
        "body": r"case \1",
    }
    assert kept.clean_json({"a": ["x@y.example", {"b": "case 3"}], "n": 7, "t": None}) == {
        "a": ["<email>", {"b": r"case \1"}],
        "n": 7,
        "t": None,
    }
    assert rules(Redaction(pattern="[0-9]+")).clean("room 12") == "room <redacted>"


@pytest.mark.parametrize("rule", ["email", "url", "iban", "card", "phone"])
@pytest.mark.parametrize(
    "unit", ["a", "1", "a.", "1 ", "+1", "AB12 ", "(", "a@", "0", "www.", "1-", "@a."]
)
def test_no_text_makes_a_rule_that_ships_slow(rule: str, unit: str) -> None:
    text = unit * (200_000 // len(unit))
    kept = rules(rule)
    began = time.process_time()
    kept.clean(text)
    assert time.process_time() - began < 0.5


def test_sampling_is_by_the_input_and_keeps_the_share() -> None:
    kept = rules(sample=0.25)
    chosen = [kept.sampled(f"text {number}") for number in range(4000)]
    assert chosen == [kept.sampled(f"text {number}") for number in range(4000)]
    assert 0.22 < sum(chosen) / len(chosen) < 0.28
    assert not any(rules(sample=0.0).sampled(f"{number}") for number in range(100))
    assert all(rules(sample=1.0).sampled({"a": f"{number}"}) for number in range(100))


def test_a_larger_sample_holds_the_smaller_one() -> None:
    small, large = rules(sample=0.1), rules(sample=0.5)
    texts = [f"text {number}" for number in range(500)]
    assert all(large.sampled(text) for text in texts if small.sampled(text))


@pytest.mark.parametrize(
    ("pattern", "said"), [("(", "no regular expression"), ("x*", "matches the empty text")]
)
def test_a_rule_that_cannot_be_used_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        rules("email", pattern)
    assert caught.value.where == "serve.redact.1"


def test_texts_are_kept_with_consent_alone() -> None:
    assert not rules().texts
    assert rules(consent=True).texts


def test_a_pattern_that_takes_for_ever_keeps_nothing_of_the_text():
    began = time.perf_counter()
    cleaned = rules(r"(a|aa)+$").clean("rome " + "a" * 40 + "!")
    assert time.perf_counter() - began < 5.0
    assert "rome" not in cleaned
    assert rules(r"(a|aa)+$").clean("my aaa") == "my <redacted>"


def test_a_mistyped_rule_is_no_pattern():
    with pytest.raises(SpecError, match="Did you mean 'email'"):
        rules("emial")
    assert rules("(emial)").clean("emial") == "<redacted>"
