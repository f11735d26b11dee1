"""`report.md`: the same findings and tables as the page, without the charts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from potstill.evaluate import teaching_words as told
from potstill.evaluate.figures import Numbers, dollars, fact_text, key_text, milliseconds, p_text
from potstill.evaluate.frontier import Frontier
from potstill.evaluate.intervals import Interval
from potstill.evaluate.report import Report
from potstill.evaluate.teaching import (
    AuditionFacts,
    RoundFacts,
    Spending,
    SynthesisFacts,
    TeachingFacts,
)
from potstill.evaluate.wording import (
    MISTAKES,
    UNANSWERED,
    bill_note,
    bound,
    figure_name,
    headline,
    metric_note,
    paired_test,
    shown_metrics,
    target_text,
    verdicts,
)

_UNKNOWN = "\N{EN DASH}"


def markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown."""
    evaluation = report.student.evaluation
    numbers = Numbers(evaluation.n)
    parts = [
        f"# {markdown_text(report.task.name)}: report",
        f"**{markdown_text(headline(report))}**",
    ]
    if report.task.description:
        parts.append(markdown_text(report.task.description))
    parts += [f"> **Warning:** {markdown_text(warning)}" for warning in report.all_warnings]
    found = [
        f"- **{markdown_text(one.topic)}.** {markdown_text(one.text)}" for one in verdicts(report)
    ]
    if found:
        parts.append("\n".join(found))
    parts += _results(report, numbers)
    parts += _frontier(report.frontier)
    parts += _bill(report)
    parts += _gates(report)
    parts += _labels(report, numbers)
    if report.teaching is not None:
        parts += _teaching(report.teaching)
    parts += _evidence(report)
    for title, facts in (
        ("Training", report.training),
        ("Exported model", report.export),
        ("Versions", report.versions),
    ):
        if facts:
            rows = ([key_text(name), fact_text(value)] for name, value in facts.items())
            parts.append(markdown_table(title, ["", ""], rows))
    parts.append(
        f"Brackets hold 95% intervals over {evaluation.n:,} held-out gold rows. "
        + metric_note(evaluation)
    )
    return "\n\n".join(parts) + "\n"


def _results(report: Report, numbers: Numbers) -> list[str]:
    metrics = shown_metrics(report.student.evaluation)
    rows = (
        [
            f"{entry.name} ({entry.role})",
            *(numbers.metric_interval(key, entry.evaluation.metrics[key]) for key, _ in metrics),
            str(entry.evaluation.unanswered),
            milliseconds(entry.latency.p50_ms) if entry.latency else _UNKNOWN,
            milliseconds(entry.latency.p95_ms) if entry.latency else _UNKNOWN,
            dollars(entry.usd_per_million) if entry.usd_per_million is not None else _UNKNOWN,
        ]
        for entry in report.entries
    )
    names = [name for _, name in metrics]
    missing = UNANSWERED.get(report.student.evaluation.kind, "Unanswered")
    header = ["Predictor", *names, missing, "Median, ms", "p95, ms", "USD a million"]
    parts = [markdown_table("Results", header, rows)]
    if report.comparisons:
        compared = (
            [
                " against ".join(one.names),
                *(
                    " ".join(numbers.metric_difference(key, one.differences[key]))
                    if key in one.differences
                    else _UNKNOWN
                    for key, _ in metrics
                ),
                f"{one.wins} / {one.losses} / {one.ties}",
                p_text(one.p_value),
                one.outcome,
            ]
            for one in report.comparisons
        )
        test = paired_test(report.student.evaluation)
        header = ["", *names, "Won / lost / tied", test, "Finding"]
        parts.append(markdown_table("Paired tests", header, compared))
    return parts


def _frontier(frontier: Frontier | None) -> list[str]:
    """Why this student was chosen, and what the others could do."""
    if frontier is None:
        return []
    rows = (
        [
            one.name,
            _or_dash(one.score, "{:.3f}"),
            f"{one.seconds:.0f}",
            _or_dash(one.latency_ms, "{:.2f}"),
            _or_dash(one.megabytes, "{:.1f}"),
            dollars(one.usd_per_million) if one.usd_per_million is not None else _UNKNOWN,
            one.outcome,
        ]
        for one in frontier.points
    )
    header = ["Candidate", "Development score", "Training, s", "Mean, ms", "MB", "USD a million"]
    table = markdown_table("Why this student", [*header, "Outcome"], rows)
    return [table, markdown_text(" ".join(filter(None, (frontier.reason, frontier.basis))))]


def _or_dash(value: float | None, shape: str) -> str:
    return _UNKNOWN if value is None else shape.format(value)


def _bill(report: Report) -> list[str]:
    bill = report.bill
    if bill is None:
        return []
    defers = any(month.deferred_usd is not None for month in bill.months)
    rows = (
        [
            f"{month.requests:,}",
            f"{month.cores:,}",
            dollars(month.usd),
            *([dollars(month.deferred_usd or 0.0)] if defers else []),
            dollars(month.teacher_usd) if month.teacher_usd is not None else _UNKNOWN,
        ]
        for month in bill.months
    )
    teacher = bill.teacher or "teacher"
    answered = [f"{teacher} on what it defers, USD"] if defers else []
    header = ["Requests a month", "Cores", f"{report.student.name}, USD", *answered]
    header.append(f"{teacher} on everything, USD")
    return [markdown_table("Monthly bill", header, rows), bill_note(bill)]


def _gates(report: Report) -> list[str]:
    if not report.gates:
        return []
    rows = (
        [
            figure_name(gate.name),
            *(
                bound(gate.name, value) if value is not None else _UNKNOWN
                for value in (gate.value, gate.min, gate.max)
            ),
            "met" if gate.passed else "NOT MET" if gate.value is not None else "NOT KNOWN",
        ]
        for gate in report.gates
    )
    return [
        markdown_table(
            "Acceptance gates", ["Figure", "Measured", "At least", "At most", "Result"], rows
        )
    ]


def _labels(report: Report, numbers: Numbers) -> list[str]:
    evaluation = report.student.evaluation
    if not evaluation.per_label:
        return []
    what = "Field" if evaluation.kind == "extraction" else "Label"

    def cell(interval: Interval, rows: int) -> str:
        return numbers.interval(interval) if rows else _UNKNOWN

    rows = (
        [
            score.label,
            cell(score.precision, score.predicted),
            cell(score.recall, score.support),
            cell(score.f1, score.support + score.predicted),
            str(score.support),
            str(score.predicted),
        ]
        for score in evaluation.per_label
    )
    header = [what, "Precision", "Recall", "F1", "Wanted", "Answered"]
    parts = [markdown_table(f"{what}s", header, rows)]
    errors = [pair for pair in evaluation.confusion if pair.gold != pair.predicted][:20]
    if errors:
        listed = (
            [pair.gold or "nothing", pair.predicted or "nothing", str(pair.n)] for pair in errors
        )
        parts.append(markdown_table("Confused most", ["Wanted", "Answered", "Rows"], listed))
    return parts


def _teaching(facts: TeachingFacts) -> list[str]:
    where = f"at {facts.endpoint}" if facts.endpoint else "in this process"
    terms = facts.terms or "not known"
    parts = [
        "## What the teacher did, and what it cost",
        markdown_text(f"{facts.model}, {where}; terms of its answers: {terms}."),
    ]
    if facts.audition is not None:
        parts.append(markdown_text(told.choice_sentence(facts.audition)))
        parts += _ways(facts.audition)
    if facts.spending is not None:
        parts.append(markdown_text(told.cost_sentence(facts)))
        parts += [_steps(facts.spending), markdown_text(told.table_note(facts.spending))]
    if facts.synthesis is not None:
        parts += _written(facts.synthesis)
    if facts.rounds:
        parts += [markdown_text(told.rounds_sentence(facts.rounds)), _rounds(facts.rounds)]
    return parts


def _ways(held: AuditionFacts) -> list[str]:
    numbers = Numbers(held.rows)
    rows = [
        [
            f"{way.name} (taken)" if way.chosen else way.name,
            numbers.interval(way.accuracy),
            numbers.interval(way.joined) if way.joined is not None else _UNKNOWN,
            f"{way.unanswered:.0%}",
            told.row_price(way.usd_per_row),
            told.row_seconds(way.seconds_per_row),
            told.count_text(way.tokens_per_row),
        ]
        for way in held.ways
    ]
    header = ["Way of asking", "Right", "Joined with nearest gold", "Unanswered"]
    header += ["USD a thousand rows", "Seconds a row", "Tokens a row"]
    return [markdown_table("Ways of asking", header, rows, level=3)] if rows else []


def _steps(spending: Spending) -> str:
    rows: list[list[str]] = []
    for step in (*spending.steps, spending.total):
        spent, plan = step.spent, step.planned
        rows.append(
            [
                step.name,
                told.count_text(spent.requests),
                told.planned_counts(plan.calls) if plan else _UNKNOWN,
                told.count_text(spent.attempts),
                told.count_text(sum(spent.faults.values())),
                told.count_text(spent.prompt_tokens),
                told.count_text(spent.completion_tokens),
                told.money_text(spent),
                told.planned_money(plan.usd) if plan and plan.usd else _UNKNOWN,
            ]
        )
    header = ["Step", "Questions", "Planned", "Calls", "Gone wrong", "Tokens in", "Tokens out"]
    return markdown_table("Plan and actual", [*header, "USD", "USD planned"], rows, level=3)


def _written(made: SynthesisFacts) -> list[str]:
    parts = ["### What it wrote", markdown_text(told.yield_sentence(made))]
    if made.findings:
        parts.append("\n".join(f"- {markdown_text(finding)}" for finding in made.findings))
    for title, rows in (("Label", made.by_label), ("Difficulty", made.by_difficulty)):
        if rows:
            counts = ([row.name, str(row.wanted), str(row.written), str(row.kept)] for row in rows)
            header = [title, "Wanted", "Written", "Kept"]
            parts.append(markdown_table(f"Yield by {title.lower()}", header, counts, level=4))
    return parts


def _rounds(rounds: Sequence[RoundFacts]) -> str:
    rows = (
        [
            (str(one.number) if one.number else "before") + (" (ships)" if one.chosen else ""),
            told.count_text(one.asked),
            told.count_text(one.changed),
            told.count_text(one.written),
            told.count_text(one.train_rows),
            f"{one.score:.3f}",
            told.gain(one),
            told.round_price(one),
            told.gain_price(one),
        ]
        for one in rounds
    )
    header = ["Round", "Rows asked again", "Labels changed", "Rows written", "Rows that taught"]
    header += ["Development score", "Gain", "USD", "Gain a dollar"]
    return markdown_table("What the rounds bought", header, rows, level=3)


def _evidence(report: Report) -> list[str]:
    parts: list[str] = []
    if report.data:
        counts = ([one.split, str(one.rows), str(one.gold), str(one.silver)] for one in report.data)
        parts.append(markdown_table("Rows by split", ["Split", "Rows", "Gold", "Silver"], counts))
    if report.filters:
        taken = (
            [
                key_text(one.stage),
                key_text(one.cause),
                str(one.rows),
                dollars(one.cost_usd) if one.cost_usd is not None else "not known",
            ]
            for one in report.filters
        )
        parts.append(markdown_table("Rows rejected", ["Stage", "Cause", "Rows", "USD lost"], taken))
    if report.lineage:
        sources = (
            [
                one.name,
                one.kind,
                ", ".join(one.contributed),
                one.terms or "not known",
                f"{one.rows:,}",
                f"{one.share:.1%}",
            ]
            for one in report.lineage
        )
        header = ["Source", "Kind", "Gave", "Terms", "Rows", "Share"]
        parts.append(markdown_table("Sources of the training rows", header, sources))
    if report.mistakes:
        lines = [
            f"- {markdown_text(one.text)}  \n  wanted **{markdown_text(target_text(one.gold))}**, "
            f"answered **{markdown_text(target_text(one.predicted))}** (row {markdown_text(one.id)})"
            for one in report.mistakes
        ]
        title = MISTAKES.get(report.student.evaluation.kind, "Mistakes it was surest of")
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    return parts


def markdown_table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, level: int = 2
) -> str:
    """A table under a heading of a level."""
    lines = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    body = "\n".join(
        "| " + " | ".join(cell if cell == "---" else markdown_text(cell) for cell in line) + " |"
        for line in lines
    )
    return f"{'#' * level} {title}\n\n{body}"


def markdown_text(text: str) -> str:
    """User text that cannot break a table or become markup."""
    flat = " ".join(text.split())
    for mark in "\\`*_[]<>|#":
        flat = flat.replace(mark, "\\" + mark)
    return flat
