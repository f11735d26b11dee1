"""Sums that are made by rule: questions with their answers and, where wanted, worked thoughts.

All sources of one recipe are made together, so that no question stands in two of them, whatever
their seeds and numbers of rows. A question is an ordered sequence of operands: ``3+5=`` and
``5+3=`` are two.

A thought goes digit by digit from the right, as at school. Every column names its digits and the
carry, also a carry of nothing, and a sum always has two digits, of which the first is the next
carry: ``47+85: 7+5+0=12 4+8+1=13 =132``. A tiny model that reads characters thereby meets one
pattern alone, and every equation of it is true. Lines of steps are separated by line feeds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from potstill.data import Example, Source, Text
from potstill.errors import DataError
from potstill.spec.recipe import MadeSpec, Operation

Question = tuple[int | str, ...]
"""Operands and signs in turn: ``(47, "+", 85)``."""

_SIGN: dict[Operation, str] = {"addition": "+", "subtraction": "-", "multiplication": "*"}
_CHAIN_OPERANDS = (3, 4)
_SCARCE = 0.9
"""From this share of all questions on they are listed, since drawing would mostly repeat itself."""


def made_examples(sources: Mapping[str, MadeSpec], *, stage: str) -> dict[str, list[Example]]:
    """The rows of all made sources of one recipe; no question stands twice in them.

    Sources of few digits draw first, since their questions are also questions of more digits;
    among equals the order of the mapping decides. A source's rows therefore do not change with
    those that draw after it.

    Args:
        sources: what is wanted, by name.
        stage: the stage of the run that makes them, for the lineage.

    Returns:
        For each name its rows, in the order of the mapping and of each draw. The input is the
        question, ``47+85=``, and the target a text of digits.

    Raises:
        DataError: there are not enough distinct questions.
    """
    taken: dict[Operation, set[Question]] = {}
    made: dict[str, list[Example]] = {}
    for name, wanted in sorted(sources.items(), key=lambda item: item[1].digits):
        used = taken.setdefault(wanted.operation, set())
        drawn = _draw(name, wanted, used)
        used.update(drawn)
        made[name] = [_example(question, wanted, stage) for question in drawn]
    return {name: made[name] for name in sources}


def _example(question: Question, wanted: MadeSpec, stage: str) -> Example:
    written = "".join(map(str, question))
    thought, answer = _worked(question)
    contributed = ("input", "target", "reasoning") if wanted.worked else ("input", "target")
    return Example(
        id=f"{wanted.operation}-{written}",
        input=f"{written}=",
        target=Text(str(answer)),
        reasoning=thought if wanted.worked else None,
        sources=(
            Source(
                kind="rule",
                name=f"arithmetic {wanted.operation}",
                contributed=contributed,
                stage=stage,
                terms="CC0-1.0",
                revision=f"digits {wanted.digits}, seed {wanted.seed}",
            ),
        ),
    )


def _draw(name: str, wanted: MadeSpec, taken: set[Question]) -> list[Question]:
    """So many questions that are not taken, in the order of the draw."""
    chance = random.Random(f"{wanted.operation}/{wanted.digits}/{wanted.seed}")
    count = _count(wanted)
    gone = sum(1 for question in taken if _fits(question, wanted.digits))
    if count - gone < wanted.rows:
        free = f", of which {gone} stand in other sources" if gone else ""
        raise DataError(
            f"'{name}' wants {wanted.rows} questions by {wanted.operation} of up to "
            f"{wanted.digits} digits, and there are {count} at all{free}",
            hint="Give fewer rows or more digits.",
        )
    if gone + wanted.rows > _SCARCE * count:
        free_ones = [question for question in _all(wanted) if question not in taken]
        return chance.sample(free_ones, wanted.rows)
    # A dictionary is a set that keeps the order of the draw.
    drawn: dict[Question, None] = {}
    one = _one(wanted, chance)
    while len(drawn) < wanted.rows:
        question = one()
        if question not in taken:
            drawn[question] = None
    return list(drawn)


def _fits(question: Question, digits: int) -> bool:
    return all(operand < 10**digits for operand in question if isinstance(operand, int))


def _one(wanted: MadeSpec, chance: random.Random) -> Callable[[], Question]:
    """A function that draws a question, all of one length equally probable."""
    limit = 10**wanted.digits

    def pair() -> Question:
        one, other = chance.randrange(limit), chance.randrange(limit)
        if wanted.operation == "subtraction" and one < other:
            one, other = other, one
        return one, _SIGN[wanted.operation], other

    def chain() -> Question:
        while True:
            operands = [chance.randrange(limit) for _ in range(chance.choice(_CHAIN_OPERANDS))]
            signs = chance.choices("+-", k=len(operands) - 1)
            found = _joined(operands, signs)
            if found is not None:
                return found

    return chain if wanted.operation == "chain" else pair


def _count(wanted: MadeSpec) -> int:
    """How many distinct questions there are; of long chains at least so many."""
    limit = 10**wanted.digits
    if wanted.operation == "subtraction":
        return limit * (limit + 1) // 2
    if wanted.operation != "chain":
        return limit**2
    if wanted.digits == 1:
        return sum(1 for _ in _all(wanted))
    # Additions alone never fall below zero.
    return sum(limit**operands for operands in _CHAIN_OPERANDS)


def _all(wanted: MadeSpec) -> Iterator[Question]:
    numbers = range(10**wanted.digits)
    if wanted.operation == "chain":
        for length in _CHAIN_OPERANDS:
            for operands in itertools.product(numbers, repeat=length):
                for signs in itertools.product("+-", repeat=length - 1):
                    found = _joined(operands, signs)
                    if found is not None:
                        yield found
        return
    for one, other in itertools.product(numbers, repeat=2):
        if wanted.operation != "subtraction" or one >= other:
            yield one, _SIGN[wanted.operation], other


def _joined(operands: Sequence[int], signs: Sequence[str]) -> Question | None:
    """A chain as a question; None where it falls below zero on its way."""
    total = operands[0]
    parts: list[int | str] = [total]
    for sign, operand in zip(signs, operands[1:], strict=True):
        total += operand if sign == "+" else -operand
        if total < 0:
            return None
        parts += [sign, operand]
    return tuple(parts)


def _worked(question: Question) -> tuple[str, int]:
    """The thought of a question, a step a line, and its answer."""
    total, lines = int(question[0]), list[str]()
    for sign, operand in zip(question[1::2], question[2::2], strict=True):
        if sign == "*":
            steps, total = _multiplied(total, int(operand))
        else:
            step, total = _added(total, str(sign), int(operand))
            steps = [step]
        lines += steps
    return "\n".join(lines), total


def _added(one: int, sign: str, other: int) -> tuple[str, int]:
    """Addition or subtraction, column by column from the right.

    In a subtraction the upper digit stands with the ten that is lent to it, ``14-8-0=6``, and the
    next column gives it back: ``03-1-1=1``.
    """
    columns, carry = list[str](), 0
    width = max(len(str(one)), len(str(other)))
    for upper, lower in zip(*(reversed(str(n).zfill(width)) for n in (one, other)), strict=True):
        if sign == "+":
            total = int(upper) + int(lower) + carry
            columns.append(f"{upper}+{lower}+{carry}={total:02}")
            carry = total // 10
        else:
            lent = int(int(upper) < int(lower) + carry)
            left = 10 * lent + int(upper) - int(lower) - carry
            columns.append(f"{lent}{upper}-{lower}-{carry}={left}")
            carry = lent
    result = one + other if sign == "+" else one - other
    return f"{one}{sign}{other}: {' '.join(columns)} ={result}", result


def _multiplied(one: int, other: int) -> tuple[list[str], int]:
    """Long multiplication: a line for each digit of the second factor, then their sum."""
    lines, total = list[str](), 0
    for place, lower in enumerate(reversed(str(other))):
        columns, carry = list[str](), 0
        for upper in reversed(str(one)):
            product = int(upper) * int(lower) + carry
            columns.append(f"{upper}*{lower}+{carry}={product:02}")
            carry = product // 10
        partial = one * int(lower) * 10**place
        lines.append(f"{one}*{lower}{'0' * place}: {' '.join(columns)} ={partial}")
        if place:
            step, total = _added(total, "+", partial)
            lines.append(step)
        else:
            total = partial
    return lines, total
