"""Random numbers in random forms: the same number is right, another one is wrong."""

import random
from decimal import Decimal, localcontext
from fractions import Fraction

from potstill.verify import verifier_of

WRAPS = (
    "{}",
    "The answer is {}.",
    "$\\boxed{{{}}}$",
    "#### {}",
    "So x = {}",
    "**Answer:** ${}$",
    "\\[ {} \\]",
    "We get {}",
)


def forms(value):
    """Ways to write a fraction; those with a percent sign stand for a hundredth."""
    sign = "-" if value < 0 else ""
    over, under = abs(value).numerator, abs(value).denominator
    found = [
        f"{sign}{over}/{under}",
        f"{sign}\\frac{{{over}}}{{{under}}}",
        f"{sign}\\dfrac{{{3 * over}}}{{{3 * under}}}",
    ]
    if under == 1:
        grouped = f"{sign}{over:,}"
        found += [f"{sign}{over}", grouped, f"{sign}{over}.0"]
        found += [grouped.replace(",", "{,}"), grouped.replace(",", "\\,")]
    elif over > under:
        whole, rest = divmod(over, under)
        found += [f"{sign}{whole} {rest}/{under}", f"{sign}{whole}\\frac{{{rest}}}{{{under}}}"]
    odd = under
    for prime in (2, 5):
        while odd % prime == 0:
            odd //= prime
    if odd == 1:
        with localcontext() as context:
            context.prec = 60
            decimal = f"{Decimal(over) / Decimal(under):f}"
            percent = f"{Decimal(100 * over) / Decimal(under):f}"
        found += [sign + decimal, f"{sign}{percent}%", f"{sign}{percent}\\%"]
    return found


def test_the_same_number_is_right_and_another_is_wrong():
    verifier, draw, wrong = verifier_of("mathematics"), random.Random(11), []
    for _ in range(1500):
        under = draw.choice([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 25, 50, 100, 1000])
        value = Fraction(draw.randint(1, 20_000) * draw.choice([-1, 1]), under)
        step = Fraction(draw.choice([-5, -2, -1, 1, 2, 5]), draw.choice([1, under, 10, 100]))
        wanted = value if draw.random() < 0.5 else value + step
        said, gold = draw.choice(forms(value)), draw.choice(forms(wanted))
        answer = draw.choice(WRAPS).format(said)
        # A percent sign may be left out on one side.
        short = ("%" in said) - ("%" in gold)
        right = value == wanted or {1: value * 100 == wanted, -1: value == wanted * 100}.get(
            short, False
        )
        if verifier(answer, gold).right is not right:
            wrong.append((answer, gold, right))
    assert wrong == []
