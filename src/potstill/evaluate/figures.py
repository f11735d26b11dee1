"""Figures as text: decimals, units and bounds, the same in every form of the report."""

from __future__ import annotations

from potstill.evaluate.intervals import Interval
from potstill.evaluate.report import Fact

MINUS = "\N{MINUS SIGN}"
"""The sign that is as wide as a plus."""

COST = "flag_cost"
"""The metric that is no share."""

SMALLEST_SHOWN = 0.01
"""Milliseconds or US dollars below which no choice depends on the figure."""

_LESS = f"<{SMALLEST_SHOWN}"

# With fewer rows than this a third decimal would show nothing but noise.
_ROWS_FOR_THREE_DECIMALS = 1000


class Numbers:
    """Writes figures with the precision that the number of rows supports.

    Args:
        rows: gold rows of the report.
    """

    def __init__(self, rows: int) -> None:
        self._decimals = 2 if rows < _ROWS_FOR_THREE_DECIMALS else 3

    def share(self, value: float) -> str:
        """A share between 0 and 1."""
        # Adding a little makes a half round up, as readers expect of 0.735.
        return f"{value + 1e-9:.{self._decimals}f}"

    def signed(self, value: float) -> str:
        """A difference of shares, with its sign."""
        text = f"{value:+.{self._decimals}f}".replace("-", MINUS)
        return text if text.strip(f"+{MINUS}0.") else text[1:]

    def metric(self, key: str, value: float) -> str:
        """A metric in its own unit: a share, or a cost."""
        return cost(value) if key == COST else self.share(value)

    def metric_interval(self, key: str, interval: Interval) -> str:
        """A metric and its interval, in its own unit."""
        return f"{self.metric(key, interval.value)} {self.metric_bounds(key, interval)}"

    def metric_bounds(self, key: str, interval: Interval) -> str:
        """The interval of a metric, in its own unit."""
        return f"[{self.metric(key, interval.low)}, {self.metric(key, interval.high)}]"

    def metric_difference(self, key: str, gap: Interval) -> tuple[str, str]:
        """The difference of a metric, and its interval."""
        if key != COST:
            return self.signed(gap.value), f"[{self.signed(gap.low)}, {self.signed(gap.high)}]"
        value, low, high = (
            ("+" if one > 0 else "") + cost(one) for one in (gap.value, gap.low, gap.high)
        )
        return value, f"[{low}, {high}]"

    def bounds(self, interval: Interval) -> str:
        """The interval alone, ``[0.68, 0.80]``."""
        return f"[{self.share(interval.low)}, {self.share(interval.high)}]"

    def interval(self, interval: Interval) -> str:
        """The figure and its interval, ``0.74 [0.68, 0.80]``."""
        return f"{self.share(interval.value)} {self.bounds(interval)}"

    def signed_interval(self, interval: Interval) -> str:
        """A difference and its interval."""
        low, high = self.signed(interval.low), self.signed(interval.high)
        return f"{self.signed(interval.value)} [{low}, {high}]"


def cost(value: float) -> str:
    """A cost in the unit of the task: whole from a hundred on, else with one decimal."""
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}").replace("-", MINUS)


def milliseconds(value: float) -> str:
    """Milliseconds with two significant digits, and thousands apart; ``<0.01`` below that."""
    return _LESS if 0 < value < SMALLEST_SHOWN else exact_milliseconds(value)


def exact_milliseconds(value: float) -> str:
    """Milliseconds with two significant digits, however few: for the limits that people set."""
    if value >= 10:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def dollars(value: float) -> str:
    """US dollars with two significant digits or whole cents; ``<0.01`` below a cent."""
    return _LESS if 0 < value < SMALLEST_SHOWN else exact_dollars(value)


def exact_dollars(value: float) -> str:
    """US dollars with two significant digits, however few: for the prices that people set."""
    if value >= 1:
        return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
    return f"{float(f'{value:.2g}'):.10f}".rstrip("0").rstrip(".") or "0"


def times(value: float) -> str:
    """A factor, two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"


def p_text(value: float) -> str:
    """A p-value as ``p = 0.03`` or ``p < 0.001``."""
    text = "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def fact_text(value: Fact) -> str:
    """A fact's value for a person."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def key_text(key: str) -> str:
    """A fact's key for a person."""
    return key.replace("_", " ")
