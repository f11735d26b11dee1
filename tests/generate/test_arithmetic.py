"""Made questions: distinct over sources, right, and worked by equations that are all true."""

from __future__ import annotations

import re

import pytest

from potstill.data import Example, Text
from potstill.errors import DataError
from potstill.generate.arithmetic import made_examples
from potstill.spec.recipe import MadeSpec, Operation

_OPERATIONS: tuple[Operation, ...] = ("addition", "subtraction", "multiplication", "chain")
_LINE = re.compile(r"(\d+)([-+*])(\d+): (.+) =(\d+)")


def _value(sum_: str) -> int:
    """The value of digits and signs; nothing else is evaluated."""
    assert re.fullmatch(r"\d+([-+*]\d+)*", sum_), sum_
    return eval(re.sub(r"\b0+(?=\d)", "", sum_))


def _zeros(sign: str, factor: str) -> int:
    """The zeros that hang on a partial product."""
    return len(factor) - 1 if sign == "*" else 0


def _texts(rows: list[Example]) -> list[str]:
    return [row.text for row in rows]


def test_three_sources_share_the_ten_thousand_sums_of_two_digits() -> None:
    made = made_examples(
        {
            "start": MadeSpec(rows=2000, worked=True),
            "practice": MadeSpec(rows=3000, seed=5),
            "test": MadeSpec(rows=200),
        },
        stage="data",
    )
    assert {name: len(rows) for name, rows in made.items()} == {
        "start": 2000,
        "practice": 3000,
        "test": 200,
    }
    assert len({text for rows in made.values() for text in _texts(rows)}) == 5200


@pytest.mark.parametrize("operation", _OPERATIONS)
@pytest.mark.parametrize("digits", [1, 2, 4, 9])
def test_answers_and_every_equation_of_a_thought_are_true(
    operation: Operation, digits: int
) -> None:
    wanted = MadeSpec(operation=operation, digits=digits, rows=50, worked=True)
    for row in made_examples({"a": wanted}, stage="data")["a"]:
        assert row.text.endswith("=")
        answer = _value(row.text[:-1])
        assert answer >= 0
        assert row.target == Text(str(answer))
        assert row.reasoning is not None
        for line in row.reasoning.splitlines():
            step = _LINE.fullmatch(line)
            assert step is not None, line
            one, sign, other, columns, result = step.groups()
            assert _value(f"{one}{sign}{other}") == int(result)
            sums = [column.split("=") for column in columns.split()]
            assert all(_value(left) == int(right) for left, right in sums), line
            read = sums[-1][1][:-1] + "".join(right[-1] for _, right in reversed(sums))
            assert int(read) * 10 ** _zeros(sign, other) == int(result), line
        assert row.reasoning.endswith(f"={answer}")


def test_a_carry_is_named_in_each_column() -> None:
    wanted = MadeSpec(rows=10_000, worked=True)
    rows = {row.text: row for row in made_examples({"a": wanted}, stage="data")["a"]}
    assert rows["47+85="].reasoning == "47+85: 7+5+0=12 4+8+1=13 =132"
    assert rows["9+3="].reasoning == "9+3: 9+3+0=12 =12"


def test_a_source_keeps_its_rows_when_others_come_behind_it() -> None:
    alone = made_examples({"a": MadeSpec(rows=300)}, stage="data")
    beside = made_examples({"a": MadeSpec(rows=300), "b": MadeSpec(rows=900)}, stage="data")
    assert alone["a"] == beside["a"]
    other = made_examples({"a": MadeSpec(rows=300, seed=1)}, stage="data")
    assert _texts(other["a"]) != _texts(alone["a"])


def test_few_digits_draw_first_and_stay_apart_from_many() -> None:
    made = made_examples(
        {"two": MadeSpec(rows=9_900, seed=3), "one": MadeSpec(digits=1, rows=100)}, stage="data"
    )
    assert list(made) == ["two", "one"]
    assert len({*_texts(made["two"]), *_texts(made["one"])}) == 10_000


@pytest.mark.parametrize(
    ("operation", "count"), [("addition", 100), ("subtraction", 55), ("multiplication", 100)]
)
def test_all_questions_can_be_had_and_no_more(operation: Operation, count: int) -> None:
    wanted = MadeSpec(operation=operation, digits=1, rows=count)
    rows = made_examples({"a": wanted}, stage="data")["a"]
    assert len(set(_texts(rows))) == count
    many = {"first": wanted, "second": wanted.model_copy(update={"rows": 1})}
    with pytest.raises(DataError, match=f"'second' wants 1 .* of which {count} stand in other"):
        made_examples(many, stage="data")


def test_too_many_rows_are_an_error_that_counts() -> None:
    with pytest.raises(DataError, match="there are 10000 at all") as caught:
        made_examples({"a": MadeSpec(rows=10_001)}, stage="data")
    assert "more digits" in str(caught.value)


def test_lineage_names_the_rule_and_what_it_gave() -> None:
    worked = made_examples({"a": MadeSpec(rows=1, worked=True)}, stage="data")["a"][0]
    plain = made_examples({"a": MadeSpec(rows=1)}, stage="data")["a"][0]
    assert [(s.kind, s.stage) for s in worked.sources] == [("rule", "data")]
    assert worked.sources[0].contributed == ("input", "target", "reasoning")
    assert plain.sources[0].contributed == ("input", "target")
    assert plain.reasoning is None
    assert not worked.is_gold
