"""The last stages of a run: judge the model on the frozen rows, and report.

The model is judged as it ships: loaded from its folder by the runtime, int8 and calibrated.
Beside it stand, without being asked, every recorded teacher, the majority label, and a
logistic regression on word statistics, which may learn from the development rows as well:
it has nothing to choose on them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data import Example, Input, Prediction, Predictor
from potstill.data.files import write_json, writing
from potstill.data.lineage import source_shares
from potstill.evaluate import (
    MAJORITY,
    TFIDF,
    Entry,
    Evaluation,
    FilterCount,
    Latency,
    LineageShare,
    Majority,
    Report,
    SplitCount,
    TaskFacts,
    TfidfLogistic,
    compare,
    evaluate,
    fidelity,
    measure_latency,
    usd_per_million,
    worst_mistakes,
    write_report,
)
from potstill.run.card import model_card
from potstill.run.events import Event
from potstill.run.evidence import load_answers, load_saved
from potstill.run.live import test_sample
from potstill.run.spending import teaching_facts
from potstill.runtime import Model

if TYPE_CHECKING:
    from potstill.run.stages import Stages
    from potstill.teacher import RecordedAnswers, RecordedPredictor

JUDGEMENT = "evaluation.json"
_TIMED_ROWS = 200
_TIMED_REPEATS = 3


def judge(work: Stages) -> dict[str, Any]:
    """Evaluate student, teachers and baselines on the test rows; write ``evaluation.json``."""
    task, folder = work.task, work.folder
    train, dev, test = (load_saved(work.taught(name)) for name in ("train", "dev", "test"))
    inputs = [example.input for example in test]
    # One worker: a latency is the time of one answer on one core.
    model = Model.load(work.model, workers=1)
    answered: dict[str, list[Prediction]] = {}
    asked = {example.id for example in _asked_of_teacher(work, test)}

    def on_asked(predictions: Sequence[Prediction]) -> list[Prediction]:
        return [given for given, row in zip(predictions, test, strict=True) if row.id in asked]

    def evaluated(
        predictor: Predictor,
        name: str,
        *,
        teacher: bool = False,
        outside: Sequence[Prediction] = (),
    ) -> Evaluation:
        answered[name] = predictor.predict(inputs)
        return evaluate(
            on_asked(answered[name]) if teacher else answered[name],
            [row for row in test if row.id in asked] if teacher else test,
            labels=task.label_names,
            multilabel=task.multilabel,
            seed=task.seed,
            name=name,
            outside=outside,
        )

    def entry(
        role: Any, predictor: Predictor, name: str, outside: Sequence[Prediction] = ()
    ) -> Entry:
        latency = _latency(predictor, inputs)
        return Entry(
            role=role,
            evaluation=evaluated(predictor, name, outside=outside),
            latency=latency,
            usd_per_million=usd_per_million(latency.p50_ms),
        )

    # Base models are named by folder where they are not names of ours. No two entries may
    # share a name: answers are paired by it.
    outside = model.predict([row.input for row in work.strangers("test")])
    student = entry("student", model, Path(task.student.base).name, outside)
    teachers: list[Entry] = []
    warnings: list[str] = []
    if task.teacher is not None and asked:
        answers = load_answers(work.loaded, work.test_answer_files)
        declared = task.teacher.usd_per_million
        recorded = {facts.name: facts.usd_per_million for facts in answers.facts()}
        for predictor in _teachers(answers, test, load_saved(work.file("unlabeled"))):
            name = predictor.name
            taken = name in (student.name, MAJORITY, TFIDF)
            evaluation = evaluated(predictor, f"{name} (teacher)" if taken else name, teacher=True)
            missing = evaluation.unanswered
            if missing == len(asked):
                warnings.append(f"{name} answered none of the test rows.")
                continue
            notes = [f"{len(asked)} of the test rows"] if len(asked) < len(test) else []
            notes += [f"{missing} test rows without a usable answer count as wrong"] * bool(missing)
            price = recorded.get(name)
            if name in recorded and price is None and declared is not None:
                price = declared
                notes.append("price as the task declares it")
            teachers.append(
                Entry(
                    role="teacher",
                    evaluation=evaluation,
                    latency=_recorded_latency(answers, name, test),
                    usd_per_million=price,
                    note="; ".join(notes),
                )
            )
    learnt = [*train, *dev]
    baselines = [
        entry("baseline", predictor, predictor.name)
        for predictor in (
            TfidfLogistic.fit(learnt, task.label_names, task.multilabel, task.seed),
            Majority.fit(learnt, task.label_names, task.multilabel),
        )
    ]
    if not any(example.is_gold for example in dev):
        warnings.append(
            "The development rows carry a teacher's answers, not a person's: choice of student, "
            "parity and calibration rest on them."
        )

    certificate = (model.card.get("deferral") or {}).get("certificate")
    if certificate is not None and not certificate["holds"]:
        warnings.append(certificate["statement"])

    def against(other: str, *, teacher: bool) -> Any:
        pair = [answered[student.name], answered[other]]
        one, two = map(on_asked, pair) if teacher else pair
        return compare(
            one,
            two,
            [row for row in test if row.id in asked] if teacher else test,
            labels=task.label_names,
            multilabel=task.multilabel,
            names=(student.name, other),
            seed=task.seed,
        ).without_rows()

    report = Report(
        task=TaskFacts(
            name=task.name, type=task.type, labels=task.label_names, description=task.description
        ),
        entries=(student, *teachers, *baselines),
        comparisons=(
            *(against(entry.name, teacher=True) for entry in teachers),
            against(baselines[0].name, teacher=False),
        ),
        fidelity={
            teacher.name: fidelity(
                on_asked(answered[student.name]), on_asked(answered[teacher.name]), seed=task.seed
            )
            for teacher in teachers[:1]
        },
        mistakes=worst_mistakes(
            answered[student.name],
            test,
            teacher=answered[teachers[0].name] if teachers else None,
        ),
        warnings=tuple(warnings),
        machine=_machine(),
    )
    for warning in report.all_warnings:
        folder.tell(Event(kind="warning", stage="evaluate", text=warning))
    write_json(folder.path / JUDGEMENT, report.to_json())
    _write_predictions(folder.path / "predictions.jsonl", test, answered)
    score = student.evaluation.score
    return {
        "summary": f"{student.evaluation.primary} {score.value:.3f} "
        f"[{score.low:.3f}, {score.high:.3f}] on {len(test)} rows"
    }


def _asked_of_teacher(work: Stages, test: Sequence[Example]) -> Sequence[Example]:
    """The test rows that the teacher answered: all recorded ones, or a live teacher's sample."""
    teacher = work.task.teacher
    return test_sample(work) if teacher is not None and teacher.live else test


def _teachers(
    answers: RecordedAnswers, test: Sequence[Example], unlabeled: Sequence[Example]
) -> list[RecordedPredictor]:
    """The teachers as predictors of the test rows; a committee of them stands first."""
    alone = [answers.predictor(name, test) for name in answers.teachers]
    if len(alone) < 2:
        return alone
    # How far each member is believed is estimated over all rows that they answered, as it
    # was for the training rows; no gold label is looked at.
    return [answers.committee([*test, *unlabeled]), *alone]


def _recorded_latency(
    answers: RecordedAnswers, teacher: str, test: Sequence[Example]
) -> Latency | None:
    """The wall times that were recorded with a teacher's answers to the test rows."""
    seconds = [
        answer.seconds
        for example in test
        for answer in answers.of(example)
        if answer.teacher == teacher and answer.seconds is not None
    ]
    return Latency.of_seconds(seconds) if seconds else None


def _latency(predictor: Predictor, inputs: Sequence[Input]) -> Latency:
    timed = inputs[:_TIMED_ROWS]
    return measure_latency(lambda value: predictor.predict([value]), timed, repeats=_TIMED_REPEATS)


def _write_predictions(
    path: Path, test: Sequence[Example], answered: Mapping[str, Sequence[Prediction]]
) -> None:
    """Every predictor's answer to every test row, for whoever doubts the report."""
    with writing(path) as stream:
        for place, example in enumerate(test):
            row = {
                "id": example.id,
                "gold": example.target,
                "answers": {name: given[place].to_json() for name, given in answered.items()},
            }
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def report(work: Stages) -> dict[str, Any]:
    """Write the report's three files and the model's card."""
    task, folder, model_folder = work.task, work.folder, work.model
    judged = Report.from_json(orjson.loads((folder.path / JUDGEMENT).read_bytes()))
    rows = {name: load_saved(work.taught(name)) for name in ("train", "dev", "test")}
    trained, exported = folder.stages["train"]["facts"], folder.stages["export"]["facts"]
    manifest = orjson.loads(folder.manifest_file.read_bytes())
    whole = replace(
        judged,
        data=tuple(_split_count(name, examples) for name, examples in rows.items()),
        filters=_filter_counts(folder.path / "rejected.jsonl"),
        lineage=tuple(LineageShare(**share.to_json()) for share in source_shares(rows["train"])),
        teaching=teaching_facts(work),
        training={
            "base": task.student.base,
            "mode": trained["mode"],
            "rows": trained["rows"],
            "seconds": round(trained["seconds"], 1),
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
