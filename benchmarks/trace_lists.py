"""Healthy lists, tables and calculations that share their wording, for `make_traces.py`."""
# ruff: noqa: SIM905 - a sentence of words reads better than a list of them

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LABELS = [
    "credit_card",
    "credit_reporting",
    "debt_collection",
    "mortgages_and_loans",
    "retail_banking",
]

INTENTS = [
    "card_arrival",
    "card_linking",
    "lost_or_stolen_card",
    "card_payment_fee_charged",
    "exchange_rate",
    "transfer_timing",
    "pending_transfer",
    "top_up_failed",
    "verify_my_identity",
    "age_limit",
]

SPLITS = ("develop", "report")

Row = dict[str, Any]


def row(family: str, split: str, thought: str, faults: list[str], **more: Any) -> Row:
    return {
        "origin": "made",
        "family": family,
        "split": split,
        "thought": thought,
        "faults": faults,
        **more,
    }


def enumerations(half: int) -> Iterator[Row]:
    """Lists that share their wording and are healthy all the same."""
    split = SPLITS[half]
    spoken = [name.replace("_", " ") for name in (LABELS + INTENTS)]
    if half == 0:
        yield row(
            "each label",
            split,
            " ".join(
                f"The label {name} does not fit, because the text does not mention it."
                for name in spoken
            ),
            [],
        )
        yield row(
            "each label, listed",
            split,
            "\n".join(
                f"{n}. {name}: the customer says nothing that would point to this."
                for n, name in enumerate(spoken, 1)
            ),
            [],
        )
        yield row(
            "reasons",
            split,
            "\n".join(
                f"{n}. The bank should improve its {thing}, because customers depend on it."
                for n, thing in enumerate(
                    "website app branches letters fees cards loans hotline opening-hours security".split(),
                    1,
                )
            ),
            [],
        )
        yield row(
            "divisors",
            split,
            " ".join(
                f"391 divided by {d} is {391 / d:.3f}, which is not a whole number."
                for d in (2, 3, 5, 7, 11, 13)
            )
            + " 391 divided by 17 is 23.",
            [],
        )
        yield row("sevens", split, "\n".join(f"7 x {n} = {7 * n}" for n in range(1, 31)), [])
        yield row(
            "days",
            split,
            " ".join(
                f"On {day} the balance was {120 - 7 * n} dollars, so the customer spent 7 dollars."
                for n, day in enumerate(
                    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
                )
            ),
            [],
        )
        yield row(
            "yes or no",
            split,
            "| label | mentioned | fits |\n|---|---|---|\n"
            + "\n".join(f"| {name} | no | no |" for name in INTENTS),
            [],
        )
        yield row(
            "log",
            split,
            "\n".join(
                f"2024-03-{d:02d} 09:{d * 2:02d} card payment declined, merchant code {4000 + d * 37}"
                for d in range(1, 19)
            ),
            [],
        )
        yield row(
            "binary",
            split,
            "\n".join(
                f"{n} in binary is {n:b}, which has {bin(n).count('1')} ones." for n in range(3, 25)
            ),
            [],
        )
        yield row(
            "tests",
            split,
            "I check the function:\n```python\n"
            + "\n".join(f"assert triangle({n}) == {n * (n + 1) // 2}" for n in range(1, 22))
            + "\n```\nAll of them hold.",
            [],
        )
        yield row(
            "counting",
            split,
            "I count the letters one by one: "
            + ", ".join(
                f"{w} has {len(w)}"
                for w in "the customer wrote about fees cards loans banks letters money interest".split()
            )
            + ".",
            [],
        )
        return
    yield row(
        "fits or not",
        split,
        "\n".join(
            f"- {name}? This would fit if the message were about it, but it is about something else."
            for name in spoken
        ),
        [],
    )
    yield row(
        "option letters",
        split,
        " ".join(
            f"Option {chr(65 + n)}, {name}, can be ruled out since nothing was said about it."
            for n, name in enumerate(spoken)
        ),
        [],
    )
    yield row(
        "instalments",
        split,
        "\n".join(
            f"Month {n}: the debt is {1000 - 45 * n}, interest is {(1000 - 45 * n) * 0.01:.2f}, the payment is 45."
            for n in range(1, 20)
        ),
        [],
    )
    yield row("squares", split, ", ".join(f"{n}^2 = {n * n}" for n in range(1, 41)), [])
    yield row(
        "primes",
        split,
        " ".join(
            f"Is {n} prime? {'Yes' if all(n % d for d in range(2, n)) else 'No'}, "
            + (
                "nothing divides it."
                if all(n % d for d in range(2, n))
                else f"{next(d for d in range(2, n) if n % d == 0)} divides it."
            )
            for n in range(20, 44)
        ),
        [],
    )
    yield row(
        "scores",
        split,
        "Label | Score | Reason\n"
        + "\n".join(
            f"{name} | {n * 7 % 5 + 1} | the letter {'hints at' if n % 3 else 'never names'} {name.split()[-1]}"
            for n, name in enumerate(spoken)
        ),
        [],
    )
    yield row(
        "json",
        split,
        "The rows are:\n"
        + "\n".join(
            json.dumps(
                {"id": n, "label": INTENTS[n % 10], "score": round(0.9 - n * 0.03, 2), "kept": True}
            )
            for n in range(16)
        ),
        [],
    )
    yield row(
        "cities",
        split,
        " ".join(
            f"The branch in {city} opened in {1950 + 3 * n} and has {5 + n * 2} employees."
            for n, city in enumerate(
                "London Paris Berlin Madrid Rome Vienna Lisbon Prague Oslo Dublin Athens Warsaw".split()
            )
        ),
        [],
    )
    yield row(
        "division",
        split,
        "\n".join(
            f"{v} - {d * 17} = {v - d * 17}, bring down the next digit."
            for v, d in ((39, 2), (51, 3), (86, 5), (114, 6), (122, 7), (37, 2), (35, 2), (18, 1))
        ),
        [],
    )
    yield row(
        "dialogue",
        split,
        "\n".join(
            f"Agent: Have you tried to {a}?\nCustomer: Yes, I have tried to {a}, and it did not help."
            for a in (
                "restart the app",
                "order a new card",
                "call the branch",
                "change the PIN",
                "check the balance",
                "send us the form",
            )
        ),
        [],
    )
    yield row(
        "quarters",
        split,
        "\n".join(
            f"In quarter {q} of {y} the bank earned {y % 100 * q + 3} million and lost {q * 2 + y % 7} million."
            for y in (2020, 2021, 2022, 2023)
            for q in (1, 2, 3, 4)
        ),
        [],
    )
