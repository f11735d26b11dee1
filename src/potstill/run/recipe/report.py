"""The table of all stages: how good, how stable, how long and how healthy, and what it rests on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from potstill.data.files import write_json, writing
from potstill.data.lineage import source_shares
from potstill.run.recipe.judging import Answered, first_weights, load_answers
from potstill.run.recipe.places import ANSWERS, BASE, Places
from potstill.run.recipe.rows import load_rows
from potstill.run.recipe.stages import leaves_weights
from potstill.spec.recipe import StageSpec

HEAD = (
    "stage",
    "accuracy",
    "95% interval",
    "majority",
    "agreement",
    "tokens",
    "cut",
    "format",
    "language",
    "loops",
    "beside its start",
    "s",
)
"""Columns of the table of stages."""

_CHANGED = 3
"""Examples of each kind that a stage's section shows."""


def write_report(places: Places) -> Mapping[str, Any]:
    """Write ``report.json`` and ``report.md``; facts for the manifest."""
    recipe, done = places.recipe, places.folder.stages
    stages = [_base(places)]
    gates: list[dict[str, Any]] = []
    for stage in recipe.stages:
        entry = _entry(places, stage)
        stages.append(entry)
        gates += _gates(stage, entry)
    report = {
        "kind": "recipe",
        "name": recipe.name,
        "description": recipe.description,
        "stages": stages,
        "gates": gates,
        "seconds": round(sum(one["seconds"] for one in done.values()), 1),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seed": recipe.seed,
    }
    write_json(places.folder.path / "report.json", report)
    with writing(places.folder.path / "report.md") as stream:
        stream.write(_markdown(report).encode())
    failed = [f"{gate['stage']}.{gate['name']}" for gate in gates if not gate["passed"]]
    return {"summary": f"gates failed: {', '.join(failed)}" if failed else "all gates passed"}


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


def _entry(places: Places, stage: StageSpec) -> dict[str, Any]:
    """What a stage did, and how good its weights are."""
    known = places.folder.stages[stage.name]
    kind = stage.model_dump()["stage"]
    facts = {key: value for key, value in known["facts"].items() if key != "history"}
    entry: dict[str, Any] = {
        "name": stage.name,
        "stage": kind,
        "seconds": known["seconds"],
        "facts": facts,
        "history": known["facts"].get("history", []),
    }
    if leaves_weights(stage):
        judged = places.folder.stages[f"{stage.name}.judge"]["facts"]
        entry |= {key: judged[key] for key in ("judgement", "beside", "refused")}
        before = places.owner(first_weights(stage))
        entry["changed"] = _changed(
            load_answers(places.of(stage.name) / ANSWERS), load_answers(places.of(before) / ANSWERS)
        )
    else:
        rows = load_rows(places.rows(stage.name))
        entry["lineage"] = [share.to_json() for share in source_shares(rows)]
    return entry


def _changed(after: Sequence[Answered], before: Sequence[Answered]) -> dict[str, list[Any]]:
    """Some first answers that became right, and some that became wrong."""
    first = {one.id: one for one in reversed(before)}
    pairs = [(one, first[one.id]) for one in {a.id: a for a in reversed(after)}.values()]

    def shown(kind: bool) -> list[Any]:
        found = [pair for pair in pairs if pair[0].right is kind and pair[1].right is (not kind)]
        return [
            {"id": now.id, "before": then.text, "after": now.text} for now, then in found[:_CHANGED]
        ]

    return {"became_right": shown(True), "became_wrong": shown(False)}


def _gates(stage: StageSpec, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gates of a stage against its judgement."""
    found: list[dict[str, Any]] = []
    for name, gate in stage.accept.items():
        judged = entry.get("judgement")
        value = judged["metrics"][name]["value"] if judged and name in judged["metrics"] else None
        low = gate.min is None or (value is not None and value >= gate.min)
        high = gate.max is None or (value is not None and value <= gate.max)
        found.append(
            {
                "stage": stage.name,
                "name": name,
                "value": value,
                **gate.model_dump(),
                "passed": low and high,
            }
        )
    return found


def _markdown(report: Mapping[str, Any]) -> str:
    lines = [f"# {report['name']}", "", str(report["description"]), ""]
    lines += ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(cells(entry)) + " |" for entry in report["stages"]]
    for entry in report["stages"]:
        table = entry.get("facts", {}).get("table")
        if table:
            lines += ["", f"## {entry['name']}", ""]
            lines += [f"- {name}: {count}" for name, count in _counts(table)]
        for share in entry.get("lineage", ()):
            gave = ", ".join(share["contributed"])
            terms = share["terms"] or "terms unknown"
            lines.append(
                f"- {share['rows']} rows: {gave} by {share['kind']} {share['name']} ({terms})"
            )
    return "\n".join(lines) + "\n"


def _counts(table: Any) -> list[tuple[str, Any]]:
    """What each step took: of rejection sampling a mapping, of mixing a list of steps."""
    if isinstance(table, Mapping):
        return list(table.items())
    return [(row["name"], f"{row['taken']} of {row['checked']}") for row in table]


def cells(entry: Mapping[str, Any]) -> list[str]:
    """The row of a stage under `HEAD`."""
    found = entry.get("judgement")
    name = entry["name"] + (" (refused)" if entry.get("refused") else "")
    seconds = f"{entry['seconds']:.1f}"
    if not found:
        rows = entry.get("facts", {}).get("rows", "")
        return [name, f"{rows} rows", *[""] * 9, seconds]
    metrics = found["metrics"]
    accuracy = metrics["accuracy"]
    beside = entry.get("beside")
    apart = beside["differences"][beside["primary"]] if beside else None
    shown = ("majority", "agreement", "tokens", "cut", "format", "language", "loops")
    return [
        name,
        f"{accuracy['value']:.3f}",
        f"{accuracy['low']:.3f} to {accuracy['high']:.3f}",
        *(_shown(metrics.get(key), key) for key in shown),
        f"{apart['value']:+.3f} [{apart['low']:+.3f}, {apart['high']:+.3f}]" if apart else "",
        seconds,
    ]


def _shown(figure: Mapping[str, float] | None, name: str) -> str:
    if figure is None:
        return "unknown"
    return f"{figure['value']:.0f}" if name == "tokens" else f"{figure['value']:.3f}"
