"""Results in words: the sentences that every form of the report shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from potstill.data import Extraction, Money, Scalar, Target, Text, labels_of
from potstill.evaluate.bill import HOURS_PER_MONTH, Bill
from potstill.evaluate.figures import (
    COST,
    MINUS,
    Numbers,
    cost,
    dollars,
    exact_dollars,
    exact_milliseconds,
    key_text,
    milliseconds,
    p_text,
    times,
)
from potstill.evaluate.metrics import Evaluation
from potstill.evaluate.paired import Comparison
from potstill.evaluate.report import Entry, Report
from potstill.evaluate.teaching_words import cost_sentence, kept_to_plan, whole_cost_usd
from potstill.spec.task import TaskType

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "micro_f1": "Micro-F1",
    "average_precision": "Average precision",
    "flag_precision": "Precision of the flag",
    "flag_recall": "Recall of the flag",
    "flag_cost": "Cost of 1,000 rows",
    "value_f1": "Value F1",
    "span_f1": "Exact-span F1",
    "document_accuracy": "Documents all right",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "invented": "Texts that invent",
    "copied": "Copied word pairs",
}

_LABEL_NOTE = (
    "Macro-F1 is the mean over the labels that occur in gold or answers; a ratio without a "
    "denominator counts as 0."
)
_FLAG_NOTE = (
    "Average precision ranks the rows by the probability of the flagged label; precision and "
    "recall are those at the threshold."
)
METRIC_NOTES: dict[TaskType, str] = {
    "classification": _LABEL_NOTE,
    "multilabel": _LABEL_NOTE,
    "extraction": (
        "Value F1 counts the pairs of field and value of each document, in capitals; exact-span "
        "F1 counts a value as right only where both of its offsets are."
    ),
    "generation": (
        "ROUGE is the F1 of words (1), word pairs (2) or the longest common subsequence (L) with "
        "the nearest reference. A text invents where a figure or a name of it stands nowhere in "
        "its source."
    ),
}
"""What the metrics mean, for a reader of the report."""

UNANSWERED = {"extraction": "Documents without any answer"}
"""Titles of the column of what was not answered at all, where it is not "Unanswered"."""

_FIELD_DECISIONS = "answers (one a document and field)"

MISTAKES = {
    "extraction": "Documents with most mistakes",
    "generation": "Texts least like what a person wrote",
}
"""Titles of the list of mistakes, where it is not that of the surest ones."""

FLAG_METRICS = ("average_precision", "flag_precision", "flag_recall", "flag_cost")
"""The metrics in the main table where a rare label is looked for."""

SHOWN_METRICS: dict[TaskType, tuple[str, ...]] = {
    # Micro-F1 of one label a row repeats its accuracy.
    "classification": ("accuracy", "macro_f1"),
    "multilabel": ("micro_f1", "macro_f1", "accuracy"),
    "extraction": ("value_f1", "span_f1", "document_accuracy"),
    "generation": ("rouge_l", "rouge_1", "rouge_2", "invented"),
}
"""The metrics in the main table, by type of task; one that an evaluation has not is left out."""

_FIGURE_NAMES = {
    **METRIC_NAMES,
    "teacher_gap": "Gap to the teacher",
    "ece": "Expected calibration error",
    "coverage": "Share of the rows that is answered",
    "answered_error": "Error among the answers",
    "latency_p95_ms": "Latency, 95th percentile",
    "usd_per_million": "Price of a million answers",
}

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One finding.

    Attributes:
        topic: what it is about, in a word or two.
        text: the finding, in a sentence or two.
        tone: whether it speaks for the student, against it, or neither.
    """

    topic: str
    text: str
    tone: Tone = "plain"


def figure_name(name: str) -> str:
    """A figure of a gate, for a person."""
    return _FIGURE_NAMES.get(name, key_text(name))


def bound(name: str, value: float) -> str:
    """A figure of a gate, in its own unit."""
    if name == "latency_p95_ms":
        return f"{exact_milliseconds(value)} ms"
    if name == COST:
        return cost(value)
    if name == "usd_per_million":
        return f"USD {exact_dollars(value)}"
    return f"{value:.3f}".replace("-", MINUS)


def paired_test(judged: Evaluation | Comparison) -> str:
    """The test that the p-value of a comparison is of, and of what where that is not plain."""
    if judged.flag is not None:
        return "McNemar, of rows right"
    return "Sign test" if judged.kind == "generation" else "McNemar"


def metric_note(evaluation: Evaluation) -> str:
    """What the metrics mean, for a reader of the report."""
    note = METRIC_NOTES[evaluation.kind]
    return note if evaluation.flag is None else f"{_FLAG_NOTE} {note}"


def shown_keys(kind: TaskType, flag: str | None) -> tuple[str, ...]:
    """Keys of the metrics in the main table, the deciding one first."""
    return SHOWN_METRICS[kind] if flag is None else FLAG_METRICS


def shown_metrics(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Keys and names of the metrics in the main table, the deciding one first."""
    keys = shown_keys(evaluation.kind, evaluation.flag)
    renamed = {"accuracy": "All labels right"} if evaluation.multilabel else {}
    return [(key, renamed.get(key, METRIC_NAMES[key])) for key in keys if key in evaluation.metrics]


def target_text(target: Target | None) -> str:
    """A label, or labels, the values of fields, a text, or the lack of them."""
    if target is None:
        return "no answer"
    if isinstance(target, Text):
        return target.text
    if isinstance(target, Extraction):
        named = (
            f"{name}: {', '.join(_value_text(value.value) for value in values)}"
            for name, values in target.fields.items()
            if values
        )
        return "; ".join(named) or "no value"
    return ", ".join(labels_of(target)) or "no label"


def _value_text(value: Scalar) -> str:
    if isinstance(value, Money):
        return " ".join(part for part in (value.amount, value.currency) if part)
    return str(value)


def headline(report: Report) -> str:
    """The result in one sentence, with the baseline in it wherever it is not beaten."""
    numbers = Numbers(report.student.evaluation.n)
    student, teacher = report.student, report.teacher
    evaluation = student.evaluation
    scored = numbers.interval(evaluation.score)
    if evaluation.primary == "accuracy":
        opening = f"{student.name} answers {scored} of {_rows(evaluation.n)} right"
    else:
        metric = METRIC_NAMES[evaluation.primary]
        named = metric if metric.isupper() or "ROUGE" in metric else metric[0].lower() + metric[1:]
        article = "an" if named[0] in "aeiou" else "a"
        opening = f"{student.name} reaches {article} {named} of {scored} on {_rows(evaluation.n)}"
    text = opening + _in_time(student)
    if teacher is not None:
        text += f"; {teacher.name} {numbers.share(teacher.evaluation.score.value)}"
        text += _in_time(teacher)
        compared = report.comparison_with(teacher.name)
        text += f": {_outcome(compared)}" if compared is not None else ""
    return text + "." + _baseline_clause(report, numbers)


def verdicts(report: Report) -> list[Verdict]:
    """The findings, most important first."""
    numbers = Numbers(report.student.evaluation.n)
    found = [
        _compared(report, compared, numbers)
        for compared in report.comparisons
        if compared.names[0] == report.student.name
    ]
    for finding in (
        _flagging(report, numbers),
        _faithful(report, numbers),
        _calibrated(report, numbers),
        _confident(report, numbers),
        _deferring(report),
        _speed(report),
        _price(report),
        _bill(report),
        _taught(report),
    ):
        if finding is not None:
            found.append(finding)
    return found


def _rows(count: int) -> str:
    return f"{count:,} held-out row" + ("" if count == 1 else "s")


def _in_time(entry: Entry) -> str:
    return f" in {milliseconds(entry.latency.p50_ms)} ms" if entry.latency is not None else ""


def _outcome(compared: Comparison) -> str:
    words = {"better": "the student is better", "worse": "the student is worse"}
    return words.get(compared.outcome, "within noise")


def _baseline_clause(report: Report, numbers: Numbers) -> str:
    rival = report.baseline
    compared = None if rival is None else report.comparison_with(rival.name)
    if rival is None or compared is None or compared.outcome == "better":
        return ""
    reached = numbers.share(rival.evaluation.score.value)
    if compared.outcome == "worse":
        return f" {rival.name} beats it: {reached}."
    return f" {rival.name}, at {reached}, is not beaten beyond noise."


def _compared(report: Report, compared: Comparison, numbers: Numbers) -> Verdict:
    other = compared.names[1]
    plain = report.baseline is not None and other == report.baseline.name
    metric = METRIC_NAMES[compared.primary]
    counts = f"{metric} {numbers.signed_interval(compared.difference)}"
    if compared.flag is None:
        counts += f"; {compared.wins} rows won, {compared.losses} lost, {p_text(compared.p_value)}"
    if compared.outcome == "better":
        return Verdict(f"Against {other}", f"The student is better: {counts}.", "good")
    if compared.outcome == "worse":
        advice = " Use the baseline, or give the student more and better rows."
        text = f"The student is worse: {counts}." + (advice if plain else "")
        return Verdict(f"Against {other}", text, "bad")
    text = f"Within noise: {counts}."
    if plain:
        text += " On these rows the student has not earned its place over a plain baseline."
        return Verdict(f"Against {other}", text, "bad")
    return Verdict(f"Against {other}", text)


def _flagging(report: Report, numbers: Numbers) -> Verdict | None:
    """How well a rare label is flagged at the threshold, and what the errors cost."""
    judged = report.student.evaluation
    if judged.flag is None or "flag_precision" not in judged.metrics:
        return None
    precision, recall = (judged.metrics[f"flag_{name}"] for name in ("precision", "recall"))
    text = (
        f"At its threshold {numbers.interval(precision)} of what it flags as {judged.flag} is "
        f"right, and it finds {numbers.interval(recall)} of what there is."
    )
    if judged.idle is None:
        return Verdict("Flag", text)
    spent, idle = judged.metrics[COST], judged.idle
    text += (
        f" Its errors in 1,000 rows cost {numbers.metric_interval(COST, spent)}; to flag nothing "
        f"costs {cost(idle.nothing)}, to flag all {cost(idle.everything)}."
    )
    saves = spent.high < min(idle.nothing, idle.everything)
    worse = spent.value >= min(idle.nothing, idle.everything)
    return Verdict("Flag", text, "good" if saves else "bad" if worse else "plain")


def _faithful(report: Report, numbers: Numbers) -> Verdict | None:
    if not report.fidelity:
        return None
    (first, share), *others = report.fidelity.items()
    text = f"It gives {first}'s answer, right or wrong, on {numbers.interval(share)} of the rows"
    text += "".join(f", {name}'s on {numbers.interval(other)}" for name, other in others)
    return Verdict("Fidelity", f"{text}.")


def _calibrated(report: Report, numbers: Numbers) -> Verdict | None:
    judged = report.student.evaluation.calibration
    if judged is None:
        return None
    error = f"expected calibration error {numbers.interval(judged.ece)}"
    if judged.ece.value <= judged.ece_by_chance:
        counted = _counted(report)
        text = (
            f"Confidences are honest as far as {judged.n:,} {counted} can tell: {error}, and chance "
            f"alone explains up to {numbers.share(judged.ece_by_chance)}."
        )
        return Verdict("Confidence", text, "good")
    side = "high" if judged.confidence > judged.accuracy else "low"
    text = (
        f"Confidences are too {side} on average ({numbers.share(judged.confidence)} stated, "
        f"{numbers.share(judged.accuracy)} right): {error}, of which chance explains up to "
        f"{numbers.share(judged.ece_by_chance)}."
    )
    return Verdict("Confidence", text, "bad")


def _confident(report: Report, numbers: Numbers) -> Verdict | None:
    curve = report.student.evaluation.coverage
    if not curve:
        return None
    point = min(curve, key=lambda point: abs(point.coverage - 0.8))
    text = (
        f"Of the surest {point.coverage:.0%} of the answers (confidence "
        f"{numbers.share(point.threshold)} and above) {numbers.interval(point.accuracy)} are right."
    )
    return Verdict("Coverage", text)


def _deferring(report: Report) -> Verdict | None:
    found = report.student.evaluation.selective
    if found is None:
        return None
    numbers = Numbers(found.n)
    of_fields = report.student.evaluation.kind == "extraction"
    gives = "gives" if of_fields else "answers"
    asked = f"{found.n:,} {_counted(report)}"
    if not found.answered:
        return Verdict("Deferral", f"It {gives} none of {asked}.", "bad")
    text = (
        f"It {gives} {numbers.interval(found.coverage)} of {asked} and leaves the rest to others; "
        f"of {'those that it gives' if of_fields else 'its answers'} "
        f"{numbers.interval(found.error)} are wrong."
    )
    if found.outside_deferred is not None:
        text += (
            f" Of {found.outside:,} rows that fit no label it leaves "
            f"{numbers.interval(found.outside_deferred)}"
        )
        text += (
            f"; its score tells them from the others with an AUROC of {found.auroc}."
            if found.auroc is not None
            else "."
        )
    return Verdict("Deferral", text)


def _counted(report: Report) -> str:
    """What confidences and coverage count."""
    return _FIELD_DECISIONS if report.student.evaluation.kind == "extraction" else "rows"


def _speed(report: Report) -> Verdict | None:
    student = report.student.latency
    # A committee has no time of its own; its first member that has one stands for it.
    timed = (entry for entry in report.entries if entry.role == "teacher" and entry.latency)
    teacher = next(timed, None)
    if student is None or teacher is None or teacher.latency is None:
        return None
    faster = teacher.latency.p50_ms / student.p50_ms
    text = f"Half of the answers take at most {milliseconds(student.p50_ms)} ms, 95% at most "
    text += f"{milliseconds(student.p95_ms)} ms"
    if faster > 1:
        return Verdict(
            "Speed", f"{text}: {times(faster)} times faster than {teacher.name}.", "good"
        )
    return Verdict("Speed", f"{text}: no faster than {teacher.name}.", "bad")


def _price(report: Report) -> Verdict | None:
    mine = report.student.usd_per_million
    if mine is None:
        return None
    teacher = report.priced_teacher
    theirs = teacher.usd_per_million if teacher is not None else None
    text = (
        f"A million answers cost USD {dollars(mine)}, on a core at "
        f"USD {exact_dollars(report.usd_per_core_hour)} an hour"
    )
    if teacher is None or not theirs or not mine:
        return Verdict("Price", f"{text}.")
    if theirs > mine:
        text += f", against USD {dollars(theirs)} for {teacher.name}: {times(theirs / mine)} times cheaper."
        return Verdict("Price", text, "good")
    return Verdict(
        "Price", f"{text}, against USD {dollars(theirs)} for {teacher.name}: no cheaper.", "bad"
    )


def _bill(report: Report) -> Verdict | None:
    """What a month of the largest number of requests costs."""
    bill = report.bill
    if bill is None:
        return None
    last = bill.months[-1]
    text = (
        f"{last.requests // 1_000_000} million answers a month take {_cores(last.cores)} and cost "
        f"USD {dollars(last.usd)}"
    )
    if last.teacher_usd is None:
        return Verdict("Monthly bill", f"{text}.")
    text += f", against USD {dollars(last.teacher_usd)} for {bill.teacher}"
    if last.deferred_usd is not None:
        text += (
            f"; if that teacher answered the {bill.deferred:.1%} that the student leaves to others, "
            f"USD {dollars(last.deferred_usd)} would come on top"
        )
    cheaper = last.usd + (last.deferred_usd or 0.0) < last.teacher_usd
    return Verdict("Monthly bill", f"{text}.", "good" if cheaper else "bad")


def bill_note(bill: Bill) -> str:
    """What a monthly bill rests on."""
    return (
        f"One core gives {bill.answers_per_second:,.0f} answers a second ({milliseconds(bill.ms)} ms "
        f"each, on average). Whole cores are paid for all {HOURS_PER_MONTH:.0f} hours of a month at "
        f"USD {exact_dollars(bill.usd_per_core_hour)} an hour and planned to be busy "
        f"{bill.busy:.0%} of them, which leaves room for peaks and for HTTP."
    )


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count:,} cores"


def _taught(report: Report) -> Verdict | None:
    """What the teacher cost in this run, and after how many answers that has paid off."""
    facts = report.teaching
    if facts is None or facts.spending is None:
        return None
    text = cost_sentence(facts)
    paid, teacher = whole_cost_usd(facts.spending), report.teacher
    theirs = teacher.usd_per_million if teacher is not None else None
    mine = report.student.usd_per_million
    if paid and theirs is not None and mine is not None and theirs > mine:
        answers = 1e6 * paid / (theirs - mine)
        text += f" That is earned back after {float(f'{answers:.2g}'):,.0f} answers of the student."
    kept = kept_to_plan(facts.spending)
    return Verdict("Cost of teaching", text, "bad" if kept is False else "plain")
