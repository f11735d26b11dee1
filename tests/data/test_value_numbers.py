import pytest

from potstill.data import Money
from potstill.data.values import find_values, read_value, same_value
from potstill.spec.extraction import FieldSpec

INTEGER, MONEY, DURATION = (FieldSpec(type=kind) for kind in ("integer", "money", "duration"))
SMALL_IN_ORDER = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
SMALL = SMALL_IN_ORDER.split()
TENS_IN_ORDER = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS = TENS_IN_ORDER.split()


def spelt(number):
    """A number in English words, by the textbook."""
    if number < 20:
        return SMALL[number]
    if number < 100:
        ten, one = divmod(number, 10)
        return TENS[ten - 2] + (f"-{SMALL[one]}" if one else "")
    for size, name in (
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if number >= size:
            many, rest = divmod(number, size)
            joint = " and " if size == 100 else " "
            return f"{spelt(many)} {name}" + (f"{joint}{spelt(rest)}" if rest else "")
    raise AssertionError


@pytest.mark.parametrize("step", [1, 37, 4_999, 1_234_567])
def test_numbers_in_words_and_in_digits_are_the_same(step):
    for number in range(0, 200 * step, step):
        words = spelt(number)
        assert read_value(words, INTEGER) == number, words
        assert read_value(f"{words.upper()} ({number:,})", INTEGER) == number
        assert read_value(f"{number:,}", INTEGER) == number
        assert read_value(f"about {number} (that is {words})", INTEGER) == number


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("12,34,567", 1234567),
        ("1'250'000", 1250000),
        ("1.250.000", 1250000),
        ("3 million", 3_000_000),
        ("2.5 million", 2_500_000),
        ("-7", -7),
        ("a dozen", 12),
        ("two dozen", 24),
        ("a hundred and four", 104),
        ("a thousand", 1000),
        ("a man", None),
        ("a dozenth", None),
        ("twelve hundred", 1200),
        ("one\nhundred\neighty (180)", 180),
        ("\u0663\u0664", 34),
        ("1.5", None),
        ("31st", None),
        ("11:30", None),
        ("3/4/2005", None),
        ("seats: 5", 5),
        ("5 adults and 1 child", None),
        ("anyone", None),
        ("a1b2", None),
        ("", None),
    ],
)
def test_integers(said, value):
    assert read_value(said, INTEGER) == value


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("two (2) years", "2 years"),
        ("TWO  (2)\nYEARS", "2 years"),
        ("twelve months", "12 months"),
        ("[twelve (12)] months", "12 months"),
        ("twelve-month period", "12 months"),
        ("the 18 month term", "18 months"),
        ("18 (eighteen) months", "18 months"),
        ("one year", "1 year"),
        ("one (1) additional year", "1 year"),
        ("55.5 months", "55.5 months"),
        ("one and one-half (1 1/2) years", "1.5 years"),
        ("2\u00bd years", "2.5 years"),
        ("ninety (90) calendar days", "90 days"),
        ("three (3) Business Days", "3 business days"),
        ("the second anniversary of the date hereof", "2 years"),
        ("third (3rd) anniversary", "3 years"),
        ("1 year and 12 months", None),
        ("many years", None),
        ("2 yearlings", None),
        ("1.2.3 years", None),
    ],
)
def test_durations(said, value):
    assert read_value(said, DURATION) == value


@pytest.mark.parametrize(
    ("said", "amount", "currency"),
    [
        ("$1,250,000.00", "1250000.00", "USD"),
        ("US$ 5,000", "5000.00", "USD"),
        ("$1.25 million", "1250000.00", "USD"),
        ("$3m", "3000000.00", "USD"),
        ("USD 1,000", "1000.00", "USD"),
        ("1,000 USD", "1000.00", "USD"),
        ("1.250.000,50 EUR", "1250000.50", "EUR"),
        ("\u20ac430", "430.00", "EUR"),
        ("430 euros", "430.00", "EUR"),
        ("\u00a312.5k", "12500.00", "GBP"),
        ("CAD $40", "40.00", "CAD"),
        ("five hundred thousand dollars ($500,000)", "500000.00", "USD"),
        ("Five Hundred Dollars ($500.00)", "500.00", "USD"),
        ("a million dollars", "1000000.00", "USD"),
        ("ten Canadian dollars", "10.00", "CAD"),
        ("$0.125", "0.125", "USD"),
        ("1,250", "1250.00", None),
        ("two thousand", "2000.00", None),
    ],
)
def test_money(said, amount, currency):
    assert read_value(said, MONEY) == Money(amount, currency)


@pytest.mark.parametrize("said", ["$", "no charge", "$5 or $6", "dollars", ""])
def test_what_is_no_sum(said):
    assert read_value(said, MONEY) is None


def test_sums_of_a_text_with_their_places():
    text = "Fees: $5,000 a year,\r\nthen EUR 20 (twenty) or \U0001f4b6 7 pounds; 12 men."
    found = find_values(text, MONEY)
    assert [(v.value, v.text) for v in found] == [
        (Money("5000.00", "USD"), "$5,000"),
        (Money("20.00", "EUR"), "EUR 20 (twenty)"),
        (Money("7.00", "GBP"), "7 pounds"),
    ]
    assert all(text[v.start : v.end] == v.text for v in found)


def test_sums_are_the_same_whatever_their_zeros_and_not_whatever_their_currency():
    assert same_value(Money("5.00", "USD"), Money("5", "USD"))
    assert not same_value(Money("5.00", "USD"), Money("5.00", "EUR"))
    assert same_value("Nike  Inc.", "NIKE Inc.")
    assert not same_value("2 years", "24 months")
