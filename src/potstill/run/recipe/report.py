"""What a recipe's run came to: every stage, how it was judged, and what its rows rest on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from potstill.data.files import write_json, writing
from potstill.data.lineage import source_shares
from potstill.evaluate.gates import check_gates
from potstill.evaluate.recipe_page import recipe_html
from potstill.evaluate.recipe_words import recipe_markdown
from potstill.run.recipe.comparing import changed
from potstill.run.recipe.flowchart import flowchart, reads_of, starts_from
from potstill.run.recipe.judging import load_answers
from potstill.run.recipe.places import ANSWERS, BASE, Places
from potstill.run.recipe.rows import questions_of_test, rows_of
from potstill.run.recipe.stages import leaves_weights
from potstill.spec.gates import Gate
from potstill.spec.recipe import Stage, StageSpec

_JUDGED = ("judgement", "before", "role", "beside", "also_beside", "refused")
"""Facts of a judgement that an entry repeats."""
_CHANGED = 3
"""Examples of each kind that a stage's section shows."""
_APART = ("history", "table", "summary", "weights", "held", "contaminated_by_source")
"""Facts that have their own place in a report."""


def write_report(places: Places) -> Mapping[str, Any]:
    """Write ``report.json``, ``report.html`` and ``report.md``; facts for the manifest."""
    report = make_report(places)
    folder = places.folder.path
    write_json(folder / "report.json", report)
    for name, text in (("html", recipe_html(report)), ("md", recipe_markdown(report))):
        with writing(folder / f"report.{name}") as stream:
            stream.write(text.encode("utf-8", "replace"))
    failed = [f"{gate['stage']}.{gate['name']}" for gate in report["gates"] if not gate["passed"]]
    return {"summary": f"gates failed: {', '.join(failed)}" if failed else "all gates passed"}


def make_report(places: Places) -> dict[str, Any]:
    """The content of ``report.json``."""
    recipe, done = places.recipe, places.folder.stages
    stages = [_base(places), *(_entry(places, stage) for stage in recipe.stages)]
    judge = recipe.judge.model_dump(mode="json", exclude={"rows"})
    gates = [
        gate
        for stage, entry in zip(recipe.stages, stages[1:], strict=True)
        for gate in _gates(stage, entry)
    ]
    return {
        "kind": "recipe",
        "name": recipe.name,
        "description": recipe.description,
        "run": places.folder.path.name,
        "judge": judge | {"questions": stages[0]["judgement"]["n"]},
        "stages": stages,
        "gates": gates,
        "warnings": _warnings(stages),
        "mermaid": flowchart(recipe),
        "seconds": round(sum(one["seconds"] for one in done.values()), 1),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seed": recipe.seed,
    }


def load_report(folder: Path) -> dict[str, Any]:
    """The content of a run's ``report.json``."""
    return orjson.loads((folder / "report.json").read_bytes())


def _base(places: Places) -> dict[str, Any]:
    facts = places.folder.stages[f"{BASE}.judge"]["facts"]
    return {
        "name": BASE,
        "stage": BASE,
        "seconds": places.folder.stages[BASE]["seconds"],
        "judgement": facts["judgement"],
        "beside": None,
        "refused": False,
    }


def _entry(places: Places, stage: Stage) -> dict[str, Any]:
    """What a stage did, and how good its weights are."""
    known = places.folder.stages[stage.name]
    facts = known["facts"]
    notes = facts.get("notes", {})
    entry: dict[str, Any] = {
        "name": stage.name,
        "stage": stage.stage,
        "start": starts_from(stage),
        "reads": reads_of(stage),
        "seconds": known["seconds"],
        "facts": {key: value for key, value in (facts | notes).items() if key not in _APART},
        "history": facts.get("history", []),
        "held": facts.get("held", []),
        "took": _took(facts),
    }
    learns = leaves_weights(stage)
    rows = rows_of(places, reads_of(stage) if learns else [stage.name])
    entry["lineage"] = [share.to_json() for share in source_shares(rows)]
    if learns:
        judged = places.folder.stages[f"{stage.name}.judge"]["facts"]
        entry |= {key: judged[key] for key in _JUDGED}
        entry |= {"max_drop": stage.max_drop}
        better, worse = changed(
            load_answers(places.of(stage.name) / ANSWERS),
            load_answers(places.of(entry["before"]) / ANSWERS),
            {row.id: row for row in questions_of_test(places)},
            most=_CHANGED,
        )
        entry |= {"better": better, "worse": worse}
    return orjson.loads(orjson.dumps(entry))


def _took(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each step of a stage took, and of how many."""
    steps: list[dict[str, Any]] = []
    if facts.get("contaminated"):
        by_source = facts["contaminated_by_source"]
        steps.append(_step("contaminated", None, facts["contaminated"], by_source))
    table = facts.get("table")
    if isinstance(table, Mapping):  # of rejection sampling: causes in turn
        left = table["sampled"]
        for cause, count in table.items():
            if cause not in ("sampled", "kept"):
                steps.append(_step(cause, left, count, {}))
                left -= count
        steps.append(_step("like another, or more than 'keep'", left, left - table["kept"], {}))
    elif table:  # of mixing
        steps += [
            _step(
                row["name"], sum(row["checked"].values()), sum(row["taken"].values()), row["causes"]
            )
            for row in table
        ]
    if facts.get("left_out"):
        read = facts["rows"] + facts["left_out"]
        steps.append(_step("too long, or teaching nothing", read, facts["left_out"], {}))
    return [step for step in steps if step["taken"]]


def _step(name: str, checked: int | None, taken: int, causes: Mapping[str, int]) -> dict[str, Any]:
    return {"step": name, "checked": checked, "taken": taken, "causes": dict(causes)}


def _gates(stage: StageSpec, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gates of a stage against its judgement."""
    metrics = entry["judgement"]["metrics"] if entry.get("judgement") else {}
    figures = {name: figure["value"] for name, figure in metrics.items()}
    accept: dict[str, Gate] = {str(name): gate for name, gate in stage.accept.items()}
    return [{"stage": stage.name, **gate.to_json()} for gate in check_gates(accept, figures)]


def _warnings(stages: list[dict[str, Any]]) -> list[str]:
    """What the judgements warn of, each once, and what was left out or refused."""
    told = [
        warning
        for entry in stages
        if entry.get("judgement")
        for warning in entry["judgement"]["warnings"]
    ]
    told += [
        f"{entry['name']}, {alarm['text']}"
        for entry in stages
        for alarm in entry.get("facts", {}).get("alarms", ())
    ]
    told += [
        f"{entry['name']} left out {entry['facts']['contaminated']:,} rows that hold questions by "
        "which the stages are judged."
        for entry in stages
        if entry.get("facts", {}).get("contaminated")
    ]
    return list(dict.fromkeys(told))
