"""The last stages of a run: judge the model on the frozen rows, and report.

The model is judged as it ships: loaded from its folder by the runtime, int8 and calibrated.
Beside it stand, without being asked, every recorded teacher and the baselines of the task's type
(for labels the most frequent one, and a logistic regression on word statistics), which may learn
from the development rows as well: they have nothing to choose on them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data import Example, Prediction, target_to_json
from potstill.data.files import write_json, writing
from potstill.data.lineage import source_shares
from potstill.data.places import lost_values
from potstill.evaluate import (
    FilterCount,
    LineageShare,
    Report,
    SplitCount,
    TaskFacts,
    thresholds_of,
    worst_mistakes,
    write_report,
)
from potstill.evaluate.frontier import Frontier
from potstill.run.card import model_card
from potstill.run.events import Event
from potstill.run.evidence import load_saved
from potstill.run.kinds import fields
from potstill.run.panel import Panel
from potstill.run.spending import teaching_facts
from potstill.runtime import load_model

if TYPE_CHECKING:
    from potstill.run.stages import Stages

JUDGEMENT = "evaluation.json"


def judge(work: Stages) -> dict[str, Any]:
    """Evaluate student, teachers and baselines on the test rows; write ``evaluation.json``."""
    task, folder = work.task, work.folder
    train, dev, test = (load_saved(work.taught(name)) for name in ("train", "dev", "test"))
    # One worker: a latency is the time of one answer on one core.
    model = load_model(work.model, workers=1)
    panel = Panel(work, test)
    # Base models are named by folder where they are not names of ours. No two entries may
    # share a name: answers are paired by it.
    student = panel.entry(
        "student",
        model,
        Path(str(folder.stages["train"]["facts"]["base"])).name,
        outside=model.predict([row.input for row in work.strangers("test")]),
        thresholds=thresholds_of(model.card),
    )
    baselines = [
        panel.entry("baseline", predictor, predictor.name)
        for predictor in panel.measure.baselines([*train, *dev], seed=task.seed)
    ]
    teachers, warnings = panel.teachers(taken=[student.name, *(one.name for one in baselines)])
    if not any(example.is_gold for example in dev):
        warnings.append(
            "The development rows carry a teacher's answers, not a person's: choice of student, "
            "parity and calibration rest on them."
        )
    certificate = (model.card.get("deferral") or {}).get("certificate")
    if certificate is not None and not certificate["holds"]:
        warnings.append(certificate["statement"])
    flagging = (model.card.get("calibration") or {}).get("flag")
    if flagging is not None:
        warnings.append(flagging["statement"])
    if task.type == "extraction":
        warnings += lost_values(fields.located(work), widest=task.windows.widest_value)
    report = Report(
        task=TaskFacts(
            name=task.name, type=task.type, labels=task.answer.names, description=task.description
        ),
        entries=(student, *teachers, *baselines),
        comparisons=(
            *(panel.against(student.name, one.name, teacher=True) for one in teachers),
            panel.against(student.name, baselines[0].name),
        ),
        fidelity={one.name: panel.fidelity(student.name, one.name) for one in teachers[:1]},
        mistakes=worst_mistakes(
            panel.answered[student.name],
            test,
            fault=panel.measure.fault,
            teacher=panel.answered[teachers[0].name] if teachers else None,
        ),
        warnings=tuple(warnings),
        machine=_machine(),
    )
    for warning in report.all_warnings:
        folder.tell(Event(kind="warning", stage="evaluate", text=warning))
    write_json(folder.path / JUDGEMENT, report.to_json())
    _write_predictions(folder.path / "predictions.jsonl", test, panel.answered)
    score = student.evaluation.score
    return {
        "summary": f"{student.evaluation.primary} {score.value:.3f} "
        f"[{score.low:.3f}, {score.high:.3f}] on {len(test)} rows"
    }


def _write_predictions(
    path: Path, test: Sequence[Example], answered: Mapping[str, Sequence[Prediction]]
) -> None:
    """Every predictor's answer to every test row, for whoever doubts the report."""
    with writing(path) as stream:
        for place, example in enumerate(test):
            row = {
                "id": example.id,
                "gold": target_to_json(example.target),
                "answers": {name: given[place].to_json() for name, given in answered.items()},
            }
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def report(work: Stages) -> dict[str, Any]:
    """Write the report's three files and the model's card."""
    task, folder, model_folder = work.task, work.folder, work.model
    judged = Report.from_json(orjson.loads((folder.path / JUDGEMENT).read_bytes()))
    rows = {name: load_saved(work.taught(name)) for name in ("train", "dev", "test")}
    exported = folder.stages["export"]["facts"]
    trained = folder.stages["train"]["facts"] | exported["chosen"]
    manifest = orjson.loads(folder.manifest_file.read_bytes())
    whole = replace(
        judged,
        data=tuple(_split_count(name, examples) for name, examples in rows.items()),
        filters=_filter_counts(folder.path / "rejected.jsonl"),
        lineage=tuple(LineageShare(**share.to_json()) for share in source_shares(rows["train"])),
        teaching=teaching_facts(work),
        frontier=Frontier.of(trained["candidates"], trained["reason"])
        if trained["reason"]
        else None,
        training={
            "base": trained["base"],
            "mode": trained["mode"],
            "rows": trained["rows"],
            "seconds": round(trained["seconds"], 1),
            **(_located_facts(fields.located(work)) if task.type == "extraction" else {}),
        },
        export=_export_facts(exported),
        versions={
            "potstill": manifest["potstill"],
            "code": manifest["code"],
            "python": manifest["python"],
            **manifest["libraries"],
        },
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        run=folder.path.name,
        seed=task.seed,
    ).with_gates(task.accept)
    write_report(whole, folder.path)
    card = model_card(whole, orjson.loads((model_folder / "model.json").read_bytes()))
    with writing(model_folder / "README.md") as stream:
        stream.write(card.encode())
    failed = [gate.name for gate in whole.gates if not gate.passed]
    return {"summary": f"gates failed: {', '.join(failed)}" if failed else "all gates passed"}


def _located_facts(counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """How many recorded values of each field could be learnt from."""
    return {
        f"values_of_{name}_learnt": f"{one['located'] - one.get('wide', 0):,} of {one['values']:,}"
        for name, one in counts.items()
    }


def load_report(folder: Path) -> dict[str, Any]:
    """The content of a run's ``report.json``."""
    return orjson.loads((folder / "report.json").read_bytes())


def _split_count(split: Any, examples: Sequence[Example]) -> SplitCount:
    gold = sum(example.is_gold for example in examples)
    return SplitCount(split=split, rows=len(examples), gold=gold, silver=len(examples) - gold)


def _filter_counts(path: Path) -> tuple[FilterCount, ...]:
    rows: Counter[tuple[str, str]] = Counter()
    costs: dict[tuple[str, str], float | None] = {}
    for line in path.read_bytes().splitlines():
        row = orjson.loads(line)
        key = (row["stage"], row["cause"])
        rows[key] += 1
        known, paid = costs.get(key, 0.0), row["cost_usd"]
        costs[key] = None if known is None or paid is None else known + paid
    return tuple(
        FilterCount(stage=stage, cause=cause, rows=count, cost_usd=costs[stage, cause])
        for (stage, cause), count in rows.items()
    )


def _export_facts(exported: Mapping[str, Any]) -> dict[str, Any]:
    """What a person asks of an export; nested figures become ``outer inner``."""
    facts: dict[str, Any] = {}
    for key, value in exported.items():
        if isinstance(value, Mapping):
            facts |= {
                f"{key}_{name}": inner
                for name, inner in value.items()
                if isinstance(inner, (int, float, str))
            }
        elif key != "summary":
            facts[key] = value
    return facts


def _machine() -> str:
    import os
    import platform

    return f"{platform.machine()}, {os.cpu_count()} cores, one used"
