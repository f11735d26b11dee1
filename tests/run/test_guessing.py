from __future__ import annotations

from potstill.run.guessing import guessed_fields


def test_types_are_guessed_from_what_is_recorded() -> None:
    rows = [
        {"signed": "2002-10-18", "party": ["Ann", "Bob"], "price": "12.50 EUR", "copies": 5},
        {"signed": None, "party": "Cy", "price": [], "copies": "11", "term": "2 weeks"},
        {"fee": {"value": {"amount": "1", "currency": "USD"}}, "none": None},
        "nothing",
    ]
    assert guessed_fields(rows) == {
        "signed": "{type: date}",
        "party": "{type: text, many: true}",
        "price": "{type: money}",
        "copies": "{type: integer}",
        "term": "{type: duration}",
        "fee": "{type: money}",
        "none": "{type: text}",
    }
