"""Stability in tables and sentences: the same in Markdown, on a terminal and in a report."""

from __future__ import annotations

from collections.abc import Sequence

from potstill.evaluate.figures import MINUS, Numbers, p_text
from potstill.evaluate.intervals import Interval
from potstill.evaluate.markdown import markdown_table
from potstill.evaluate.stability import METRICS, Stability, StabilityComparison

NAMES = {
    "accuracy": "Accuracy at one sample",
    "majority": "Accuracy of the majority",
    "agreement": "Agreement",
    "format": "Well formed",
    "language": "In the language",
    "cut": "Cut",
    "loops": "With loops",
    "tokens": "Tokens, mean",
}
"""Headings of the figures."""

NOTE = (
    "Every figure is a mean over questions, brackets hold 95% intervals over questions. Accuracy "
    "at one sample is the mean over a question's samples, agreement the share of pairs of its "
    "samples that answer the same."
)

UNKNOWN = "\N{EN DASH}"

Table = tuple[list[str], list[list[str]]]
"""A header, and rows of cells."""


def stability_table(results: Sequence[Stability]) -> Table:
    """A row for each figure that one of them knows, a column for each model."""
    rows = [
        [NAMES[metric], *(_cell(one, metric) for one in results)]
        for metric in METRICS
        if any(metric in one.metrics for one in results)
    ]
    rows += [
        ["Tokens, 95th percentile", *(f"{one.tokens_p95:,.0f}" for one in results)],
        ["Questions with one answer", *(f"{one.unanimous:,} of {one.n:,}" for one in results)],
        ["Questions, samples", *(f"{one.n:,}, {one.samples:,}" for one in results)],
    ]
    return ["", *(one.name for one in results)], rows


def comparison_table(comparison: StabilityComparison) -> Table:
    """A row for each figure: first minus second, with its interval."""
    numbers = Numbers(comparison.n)
    rows = [
        [
            NAMES[metric],
            _tokens(difference, signed=True)
            if metric == "tokens"
            else numbers.signed_interval(difference),
        ]
        for metric, difference in comparison.differences.items()
    ]
    return [f"{comparison.names[0]} minus {comparison.names[1]}", "Difference"], rows


def stability_words(result: Stability) -> list[str]:
    """The findings as sentences, the most important first, then the warnings."""
    numbers, found = Numbers(result.n), result.metrics
    words: list[str] = []
    least, most = result.per_question
    asked = f"{least}" if least == most else f"{least} to {most}"
    if "accuracy" in found:
        said = f"{result.name} is right in {numbers.interval(found['accuracy'])} of its answers"
        if "majority" in found and most > 1:
            said += f", the majority of {asked} in {numbers.interval(found['majority'])}"
        words.append(f"{said}.")
    if "agreement" in found:
        words.append(
            f"Two answers to one question are the same in "
            f"{numbers.interval(found['agreement'])}; {result.unanimous:,} of {result.n:,} "
            "questions have one answer only."
        )
    words.append(
        f"An answer has {found['tokens'].value:,.0f} tokens on average, 95% have at most "
        f"{result.tokens_p95:,.0f}; {numbers.share(found['cut'].value)} are cut."
    )
    return [*words, *result.warnings]


def comparison_words(comparison: StabilityComparison) -> str:
    """Whether the first is better, as one sentence."""
    numbers = Numbers(comparison.n)
    first, second = comparison.names
    verdict = {
        "better": f"{first} is better than {second}",
        "worse": f"{first} is worse than {second}",
        "within noise": f"{first} and {second} cannot be told apart",
    }[comparison.outcome]
    return (
        f"{verdict}: {NAMES[comparison.primary].lower()} "
        f"{numbers.signed_interval(comparison.difference)}, better in {comparison.wins:,} "
        f"questions and worse in {comparison.losses:,} of {comparison.n:,} "
        f"(permutation test, {p_text(comparison.p_value)})."
    )


def stability_markdown(
    results: Sequence[Stability], comparisons: Sequence[StabilityComparison] = ()
) -> str:
    """Tables and sentences as GitHub-flavoured Markdown."""
    parts = [markdown_table("Stability", *stability_table(results)), NOTE]
    for comparison in comparisons:
        title = " against ".join(comparison.names)
        parts.append(markdown_table(title, *comparison_table(comparison), level=3))
        parts.append(comparison_words(comparison))
    parts += [f"> **Warning:** {one.name}: {word}" for one in results for word in one.warnings]
    return "\n\n".join(parts) + "\n"


def _cell(result: Stability, metric: str) -> str:
    interval = result.metrics.get(metric)
    if interval is None:
        return UNKNOWN
    return _tokens(interval) if metric == "tokens" else Numbers(result.n).interval(interval)


def _tokens(interval: Interval, *, signed: bool = False) -> str:
    shape = "+,.0f" if signed else ",.0f"
    value, low, high = (
        f"{number:{shape}}".replace("-", MINUS)
        for number in (interval.value, interval.low, interval.high)
    )
    return f"{value} [{low}, {high}]"
