"""The report of a recipe in words: the table of its stages, what became of each, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.evaluate.figures import MINUS, Numbers, fact_text, key_text
from potstill.evaluate.intervals import Interval
from potstill.evaluate.markdown import markdown_table, markdown_text
from potstill.evaluate.stability import StabilityComparison
from potstill.evaluate.stability_words import NOTE, comparison_words

HEAD = (
    "stage",
    "accuracy",
    "majority",
    "agreement",
    "tokens",
    "cut",
    "format",
    "language",
    "loops",
    "beside its start or teacher",
    "s",
)
"""Columns of the table of stages."""

_SHARES = ("cut", "format", "language", "loops")
_LINES = 12
"""Lines of a completion that a report shows."""

Entry = Mapping[str, Any]


def cells(entry: Entry) -> list[str]:
    """The row of a stage under `HEAD`."""
    found = entry.get("judgement")
    name = entry["name"] + (" (refused)" if entry.get("refused") else "")
    seconds = f"{entry['seconds']:,.0f}" if entry["seconds"] >= 10 else f"{entry['seconds']:.1f}"
    if not found:
        rows = entry.get("facts", {}).get("rows", 0)
        return [name, f"{rows:,} rows", *[""] * (len(HEAD) - 3), seconds]
    numbers, metrics = Numbers(found["n"]), found["metrics"]

    def share(metric: str) -> str:
        return numbers.share(metrics[metric]["value"]) if metric in metrics else "unknown"

    known = metrics.get("accuracy")
    return [
        name,
        numbers.interval(Interval(**known)) if known else "unknown",
        share("majority"),
        share("agreement"),
        f"{metrics['tokens']['value']:,.0f}",
        *(share(metric) for metric in _SHARES),
        gained(entry),
        seconds,
    ]


def gained(entry: Entry) -> str:
    """The difference in accuracy from the weights beside which it is judged, with its interval."""
    beside = entry.get("beside")
    if not beside or "accuracy" not in beside["differences"]:
        return ""
    return Numbers(beside["n"]).signed_interval(Interval(**beside["differences"]["accuracy"]))


def headline(report: Mapping[str, Any]) -> str:
    """What the recipe came to, in one sentence."""
    judged = [entry for entry in report["stages"] if entry.get("judgement")]
    if any("accuracy" not in one["judgement"]["metrics"] for one in judged):
        return f"{report['name']}: {len(report['stages']) - 1} stages; nobody knows what is right"
    numbers = Numbers(judged[0]["judgement"]["n"])
    shares = {
        one["name"]: numbers.share(one["judgement"]["metrics"]["accuracy"]["value"])
        for one in judged
    }
    taught = [one["name"] for one in judged[1:] if one["stage"] != "distil"]
    told = f"{report['name']}: the base is right in {shares['base']} of its answers"
    told += f", {taught[-1]} in {shares[taught[-1]]}" if taught else ""
    students = [one["name"] for one in judged if one["stage"] == "distil"]
    return told + "".join(f"; the student {name} in {shares[name]}" for name in students)


def verdict(entry: Entry) -> str:
    """Whether the weights of a stage were refused, and why or why not."""
    before, bound = entry["before"], entry["max_drop"]
    difference = (entry.get("beside") or {"differences": {}})["differences"].get("accuracy")
    if bound is None:
        return "No bound is set on what it may lose: later stages may go on from it."
    if difference is None:
        return f"It may lose at most {bound:g}, but nobody knows what is right: it is kept."
    change = f"{difference['value']:+.3f}".replace("-", MINUS)
    if entry["refused"]:
        return (
            f"Refused: its accuracy differs by {change} from that of {before}, and it may lose at "
            f"most {bound:g}. What names it goes on from {before}."
        )
    return f"Kept: its accuracy differs by {change} from that of {before}; it may lose {bound:g}."


def compared(entry: Entry) -> str:
    """The paired findings as sentences, one for each whose weights it is held against."""
    beside = entry.get("beside")
    if not beside:
        return ""
    told = [beside, *entry.get("also_beside", ())]
    said = [comparison_words(StabilityComparison.from_json(one)) for one in told]
    return " ".join([*filter(None, [_ROLES[entry["role"]].format(**entry)]), *said])


_ROLES = {
    "start": "",
    "teacher": "{name} is a student: it is judged beside its teacher, {before}.",
    "base": "{name} is a student of no stage's answers: it is judged beside the base.",
}


def facts_of(entry: Entry) -> dict[str, str]:
    """What a stage says of itself, key and value for a person."""
    told = {"starts from": entry["start"]} if entry.get("start") else {}
    if entry.get("reads"):
        told["reads"] = ", ".join(entry["reads"])
    return told | {
        key_text(key): fact_text(value)
        for key, value in entry.get("facts", {}).items()
        if isinstance(value, str | int | float) and (value or key == "rows")
    }


def gate_words(gate: Mapping[str, Any]) -> str:
    """A gate's bounds and whether they are met."""
    bounds = [
        f"at {word} {gate[key]:g}"
        for word, key in (("least", "min"), ("most", "max"))
        if gate[key] is not None
    ]
    value = "unknown" if gate["value"] is None else f"{gate['value']:.3f}"
    outcome = "met" if gate["passed"] else "FAILED"
    return f"{gate['stage']}: {gate['name']} {value}, {' and '.join(bounds)}: {outcome}"


def shortened(text: str) -> str:
    """A completion whose middle is left out where it is long."""
    lines = text.strip().splitlines()
    if len(lines) > _LINES:
        half = _LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]]
    return "\n".join(line if len(line) <= 400 else f"{line[:400]}…" for line in lines)


def recipe_markdown(report: Mapping[str, Any]) -> str:
    """The report as GitHub-flavoured Markdown."""
    parts = [f"# {markdown_text(headline(report))}"]
    if report["description"]:
        parts.append(markdown_text(report["description"]))
    parts.append(judged_by(report))
    rows = [cells(entry) for entry in report["stages"]]
    parts += [markdown_table("Stages", HEAD, rows), NOTE]
    parts += [f"> **Warning:** {markdown_text(warning)}" for warning in report["warnings"]]
    if report["gates"]:
        gates = "\n".join(f"- {gate_words(gate)}" for gate in report["gates"])
        parts.append(f"## Acceptance gates\n\n{gates}")
    parts.append(f"```mermaid\n{report['mermaid'].rstrip()}\n```")
    for entry in report["stages"][1:]:
        parts += _section(entry)
    return "\n\n".join(parts) + "\n"


def judged_by(report: Mapping[str, Any]) -> str:
    """How the stages were judged, in a sentence."""
    judge = report["judge"]
    return (
        f"Every stage was asked {judge['questions']:,} questions of '{judge['data']}', "
        f"{judge['samples']} times each at temperature {judge['temperature']:g}, and judged by "
        f"the verifier '{judge['verifier']}'. No stage learnt from them."
    )


def _section(entry: Entry) -> list[str]:
    parts = [f"## {entry['name']} ({key_text(entry['stage'])})"]
    told = [f"- {key}: {markdown_text(value)}" for key, value in facts_of(entry).items()]
    parts += ["\n".join(told)] if told else []
    if entry.get("judgement"):
        parts += [verdict(entry), *filter(None, [compared(entry)])]
    if entry["took"]:
        head = ("step", "reached it", "taken", "because")
        parts.append(markdown_table("What each filter took", head, took_rows(entry), level=3))
    if entry["lineage"]:
        head = ("source", "kind", "gave", "terms", "rows", "share")
        parts.append(markdown_table("Lineage of its rows", head, lineage_rows(entry), level=3))
    for key, title in (("better", "Became right"), ("worse", "Became wrong")):
        for one in entry.get(key, ()):
            parts.append(
                f"### {title}: {markdown_text(one['question'][:200])}\n\nWanted {markdown_text(one['wanted'])}; "
                f"right before {one['second_right']:.0%}, now {one['first_right']:.0%}."
            )
            parts += [
                f"{said}:\n\n{_quoted(one[text])}"
                for said, text in (("Before", "second"), ("Now", "first"))
            ]
    return parts


def _quoted(text: str) -> str:
    """An indented block, which nothing within can end."""
    return "\n".join(f"    {line}" for line in shortened(text).splitlines() or [""])


def took_rows(entry: Entry) -> Sequence[tuple[str, str, str, str]]:
    """What each step took of the rows or samples that reached it."""
    return [
        (
            key_text(step["step"]),
            "" if step["checked"] is None else f"{step['checked']:,}",
            f"{step['taken']:,}",
            ", ".join(f"{key_text(cause)} {count:,}" for cause, count in step["causes"].items()),
        )
        for step in entry["took"]
    ]


def lineage_rows(entry: Entry) -> Sequence[tuple[str, ...]]:
    """Who gave what to how many of the rows."""
    return [
        (
            share["name"],
            share["kind"],
            ", ".join(share["contributed"]),
            share["terms"] or "not known",
            f"{share['rows']:,}",
            f"{share['share']:.1%}",
        )
        for share in entry["lineage"]
    ]
