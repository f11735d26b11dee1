"""The model card: ``README.md`` of a model folder, with the front matter that hubs read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from potstill.evaluate import (
    Report,
    choice_sentence,
    cost_sentence,
    rounds_sentence,
    yield_sentence,
)

_PIPELINES = {
    "classification": "text-classification",
    "multilabel": "text-classification",
    "extraction": "token-classification",
    "generation": "summarization",
}


def model_card(report: Report, model: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        report: the finished report of the run.
        model: the content of ``model.json``.
    """
    return "\n".join([*_front_matter(report, model), *_body(report, model)]) + "\n"


def _front_matter(report: Report, model: Mapping[str, Any]) -> list[str]:
    base = model.get("base", {})
    metrics = report.student.evaluation.metrics
    lines = [
        "---",
        f"pipeline_tag: {_PIPELINES[report.task.type]}",
        "library_name: potstill",
        f"base_model: {_quoted(base.get('name', report.student.name))}",
    ]
    licences = sorted({share.terms for share in report.lineage if share.terms})
    lines.append(f"license: {_quoted(base.get('licence') or 'unknown')}")
    lines += ["datasets:", *(f"- {_quoted(s.name)}" for s in report.lineage if s.kind == "dataset")]
    lines += [
        "model-index:",
        f"- name: {_quoted(report.task.name)}",
        "  results:",
        f"  - task: {{type: {_PIPELINES[report.task.type]}}}",
        f"    dataset: {{name: {_quoted(report.task.name + ' test split')}, type: private}}",
        "    metrics:",
    ]
    lines += [f"    - {{type: {name}, value: {m.value:.4f}}}" for name, m in metrics.items()]
    lines += [f"terms: [{', '.join(_quoted(licence) for licence in licences)}]", "---", ""]
    return lines


def _body(report: Report, model: Mapping[str, Any]) -> list[str]:
    evaluation = report.student.evaluation
    teacher = report.teacher
    lines = [
        f"# {report.task.name}",
        "",
        report.task.description or "A model for one narrow task.",
        "",
        _answers(report),
        "",
        "```python",
        "from potstill import load",
        "",
        'load("this folder").predict("…")',
        "```",
        "",
        "## How good it is",
        "",
        f"On {evaluation.n} rows that a person answered and that nothing was trained or tuned on, "
        "with 95% intervals:",
        "",
        "| | value | interval |",
        "|---|---|---|",
        *(
            f"| {name} | {m.value:.3f} | {m.low:.3f} to {m.high:.3f} |"
            for name, m in evaluation.metrics.items()
        ),
        "",
    ]
    if teacher is not None:
        score = teacher.evaluation.score
        lines += [
            f"Its teacher, {teacher.name}, reaches {score.value:.3f} "
            f"({score.low:.3f} to {score.high:.3f}) on the same rows.",
            "",
        ]
    lines += ["## What it learned from", "", "| source | kind | gave | terms | share of rows |"]
    lines += ["|---|---|---|---|---|"]
    lines += [
        f"| {s.name} | {s.kind} | {', '.join(s.contributed)} | {s.terms or 'unknown'} | {s.share:.1%} |"
        for s in report.lineage
    ]
    lines += [
        "",
        "Each row's sources are in `lineage.json`.",
        "",
        *_taught(report),
        *_deferral(report, model),
        "## Limits",
        "",
        *_forced(report, model),
        _reads(report, model),
        "- Its confidence was calibrated on development rows like those of its training; on other "
        "text it means less.",
        *(f"- {warning}" for warning in report.all_warnings),
        "",
        "## Gates",
        "",
        *(f"- {gate.name}: {'met' if gate.passed else gate.reason}" for gate in report.gates),
        *(["None were set."] if not report.gates else []),
    ]
    return lines


def _answers(report: Report) -> str:
    """What an answer consists of, in a sentence."""
    if report.task.type == "generation":
        return "It answers with a short text."
    names = ", ".join(f"`{name}`" for name in report.task.labels[:20])
    names += " …" if len(report.task.labels) > 20 else ""
    if report.task.type == "extraction":
        return f"It answers with the values of {len(report.task.labels)} fields: {names}."
    some = "some of" if report.task.type == "multilabel" else "one of"
    return f"It answers with {some} {len(report.task.labels)} labels: {names}."


def _reads(report: Report, model: Mapping[str, Any]) -> str:
    """How much of an input it reads."""
    tokens = model.get("max_tokens", "?")
    if report.task.type == "extraction":
        return (
            f"- It reads documents of any length, in windows of {tokens} tokens; what one window "
            "cannot tell without the others it does not know."
        )
    if report.task.type == "generation":
        return f"- It reads {tokens} tokens at once, and says `truncated` where it read no further."
    return f"- It reads the first {tokens} tokens of a text and says `truncated` where there were more."


def _deferral(report: Report, model: Mapping[str, Any]) -> list[str]:
    """When it does not answer, and what is promised of its answers."""
    facts = model.get("deferral")
    if facts is None:
        return []
    certificate = facts.get("certificate")
    lines = ["## When it does not answer", ""]
    if certificate is not None:
        lines += [certificate["statement"], ""]
    lines += [facts["scope_statement"], ""]
    found = report.student.evaluation.selective
    if found is not None and found.answered:
        lines += [
            f"On the {found.n} test rows it answered {found.coverage.value:.1%} "
            f"({found.coverage.low:.1%} to {found.coverage.high:.1%}); "
            f"{found.error.value:.1%} of these answers ({found.error.low:.1%} to "
            f"{found.error.high:.1%}) were wrong.",
            "",
        ]
    return lines


def _forced(report: Report, model: Mapping[str, Any]) -> list[str]:
    scoped = (model.get("deferral") or {}).get("scope") is not None
    if scoped or report.task.type not in ("classification", "multilabel"):
        return []
    one = "some or none of them" if report.task.type == "multilabel" else "one of them"
    return [
        f"- It knows its {len(report.task.labels)} labels and takes every text for {one}: it was "
        "not taught how a text looks that fits none."
    ]


def _taught(report: Report) -> list[str]:
    """Who taught it, how it was asked, under which terms, and for how much."""
    facts = report.teaching
    if facts is None:
        return []
    where = f"at {facts.endpoint}" if facts.endpoint else "in the process that made this model"
    lines = [
        "## Who taught it",
        "",
        f"- Teacher: {facts.model}, {where}.",
        f"- Terms of its answers: {facts.terms or 'unknown'}.",
    ]
    if facts.audition is not None:
        lines.append(f"- How it was asked: {choice_sentence(facts.audition)}")
    if facts.synthesis is not None:
        lines.append(f"- What it wrote: {yield_sentence(facts.synthesis)}")
    if len(facts.rounds) > 1:
        lines.append(f"- Rounds: {rounds_sentence(facts.rounds)}")
    if facts.spending is not None:
        lines.append(f"- What it cost: {cost_sentence(facts)}")
    return [*lines, ""]


def _quoted(text: str) -> str:
    """A YAML scalar that cannot be taken for anything but text."""
    import json

    return json.dumps(text, ensure_ascii=False)
