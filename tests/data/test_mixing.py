"""Mixing: the ratio, what each step took and why, and that nothing is lost or doubled."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from potstill.data import Example, Source, Text
from potstill.data.mixing import Mixed, mix
from potstill.errors import DataError
from potstill.spec.recipe import MixStage

_WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("n", "r", "st", "lp")]
_MODEL = Source(kind="model", name="m", contributed=("reasoning", "target"), stage="reject")
_PERSON = Source(kind="person", name="p", contributed=("target",), stage="read")


def _rows(count: int, *, side: str, words: int = 15) -> list[Example]:
    chance = random.Random(f"{side}/{count}")
    return [
        Example(
            id=f"{side}{place}",
            input=" ".join(chance.choices(_WORDS, k=words)),
            reasoning=" ".join(chance.choices(_WORDS, k=30)) if side == "r" else None,
            target=Text(str(place)),
            sources=(_MODEL,),
        )
        for place in range(count)
    ]


def _mix(
    reasoning: list[Example],
    other: list[Example],
    *,
    ratio: float = 3.0,
    evaluation: dict[str, list[Example]] | None = None,
    seed: int = 1,
) -> Mixed:
    spec = MixStage(name="mixed", reasoning=["a"], other=["b"], ratio=ratio)
    return mix(reasoning, other, spec=spec, evaluation=evaluation or {}, seed=seed)


def _count(mixed: Mixed) -> tuple[int, int]:
    thoughts = sum(row.reasoning is not None for row in mixed.rows)
    return thoughts, len(mixed.rows) - thoughts


@pytest.mark.parametrize(
    ("reasoning", "other", "ratio", "kept"),
    [
        (90, 30, 3.0, (90, 30)),
        (90, 90, 3.0, (90, 30)),
        (90, 10, 3.0, (30, 10)),
        (10, 10, 0.5, (5, 10)),
        (1, 10, 3.0, (1, 1)),
        (40, 0, 3.0, (40, 0)),
    ],
)
def test_the_ratio_is_met_and_what_is_too_many_is_said(
    reasoning: int, other: int, ratio: float, kept: tuple[int, int]
) -> None:
    mixed = _mix(_rows(reasoning, side="r"), _rows(other, side="o"), ratio=ratio)
    assert _count(mixed) == kept
    over = reasoning + other - sum(kept)
    assert [r.cause for r in mixed.rejected] == ["over_ratio"] * over
    assert len(mixed.warnings) == (over > 0)
    if over:
        assert f"{over} of " in mixed.warnings[0]
    assert mixed.table[-1].name == "ratio"
    assert sum(mixed.table[-1].taken.values()) == over


def test_order_and_choice_follow_the_seed_and_lineage_stays() -> None:
    reasoning, other = _rows(60, side="r"), _rows(60, side="o")
    one, same, another = (_mix(reasoning, other, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert [row.id for row in one.rows] != [row.id for row in another.rows]
    assert {row.id for row in one.rows} != {row.id for row in another.rows}
    kinds = [row.reasoning is None for row in one.rows]
    assert kinds != sorted(kinds)
    given = {row.id: row for row in (*reasoning, *other)}
    assert all(row == given[row.id] for row in one.rows)
    assert {row.id for row in one.rows} | {r.id for r in one.rejected} == set(given)


def test_rows_without_thought_or_answer_are_taken() -> None:
    reasoning, other = _rows(6, side="r"), _rows(4, side="o")
    reasoning[0] = replace(reasoning[0], reasoning=" ")
    reasoning[1] = replace(reasoning[1], reasoning=None)
    reasoning[2] = replace(reasoning[2], target=Text(""))
    other[0] = replace(other[0], target=None)
    other[1] = replace(other[1], target="label")
    mixed = _mix(reasoning, other, ratio=1.0)
    assert {r.id: r.cause for r in mixed.rejected} == {
        "r0": "no_thought",
        "r1": "no_thought",
        "r2": "no_answer",
        "o0": "no_answer",
    }
    assert mixed.table[0].taken == {"reasoning": 3, "other": 1}
    assert mixed.table[0].causes == {"no_thought": 2, "no_answer": 2}
    assert all(r.stage == "mixed:complete" and r.example for r in mixed.rejected)


def test_near_copies_stay_once_and_a_persons_stays_rather() -> None:
    long = _rows(3, side="r", words=60)
    copy = replace(long[0], id="copy", input=f"{long[0].text} indeed")
    again = replace(long[1], id="again", sources=(_PERSON,))
    assert again.is_gold
    mixed = _mix([*long, copy, again], [])
    assert {row.id for row in mixed.rows} == {"r0", "again", "r2"}
    assert {r.id: r.cause for r in mixed.rejected} == {"copy": "duplicate", "r1": "duplicate"}
    assert "'r0'" in next(r.detail for r in mixed.rejected if r.id == "copy")


def test_two_ways_to_one_answer_both_teach() -> None:
    row = _rows(1, side="r")[0]
    other = replace(row, id="second", reasoning=" ".join(_WORDS[:30]))
    assert len(_mix([row, other], []).rows) == 2


def test_every_evaluation_set_is_kept_out() -> None:
    reasoning, other = _rows(12, side="r"), _rows(4, side="o")
    words = other[2].text.split()
    reasoning[5] = replace(reasoning[5], group="family")
    evaluation = {
        "first": [Example(id="e1", input=f"so {reasoning[3].text}")],
        "second": [
            Example(id="e2", input=" ".join([*words[:7], "kin", *words[8:]])),
            Example(id="e3", input="something else", group="family"),
        ],
    }
    mixed = _mix(reasoning, other, evaluation=evaluation)
    taken = {r.id: r.detail for r in mixed.rejected if r.cause == "contaminated"}
    assert set(taken) == {"r3", "o2", "r5"}
    assert "'e1' of 'first'" in taken["r3"]
    assert "'family'" in taken["r5"]
    step = next(step for step in mixed.table if step.name == "decontamination")
    assert step.causes == {"second": 2, "first": 1}
    assert step.to_json()["taken"] == {"reasoning": 2, "other": 1}


def test_equal_ids_of_two_sources_are_told_apart() -> None:
    reasoning = [*_rows(2, side="r"), replace(_rows(5, side="r")[4], id="r0~2")]
    other = [replace(row, id=f"r{place}") for place, row in enumerate(_rows(2, side="o"))]
    mixed = _mix(reasoning, other, ratio=1.5)
    assert sorted(row.id for row in mixed.rows) == ["r0", "r0~2", "r0~3", "r1", "r1~2"]


def test_no_reasoning_row_left_is_an_error_that_says_where_they_went() -> None:
    rows = _rows(3, side="r")
    with pytest.raises(DataError, match="of 3: 2 by complete, 1 by decontamination"):
        _mix(
            [rows[0], *(replace(row, reasoning=None) for row in rows[1:])],
            _rows(2, side="o"),
            evaluation={"test": [replace(rows[0], reasoning=None)]},
        )
    with pytest.raises(DataError, match="no reasoning row is left of 0"):
        _mix([], [])


def test_no_other_row_left_is_said() -> None:
    other = [replace(row, target=None) for row in _rows(2, side="o")]
    mixed = _mix(_rows(5, side="r"), other)
    assert len(mixed.rows) == 5
    assert mixed.warnings == (
        "The ratio of 3 to 1 cannot be met: no other row is left; all 5 reasoning rows stay.",
    )
