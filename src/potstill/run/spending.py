"""What a live teacher did and cost in a run: the plan beside the ledger, and the stages' records.

The plan is laid down before the first question, in ``plan.json`` of the run folder. What was
really asked and paid is summed from the ledger, which all runs of a task share: attempts since
this run began to ask are its own, those before are a pilot's or another run's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data.files import write_json
from potstill.evaluate import (
    AuditionFacts,
    Interval,
    Planned,
    RoundFacts,
    Spending,
    SpendingStep,
    Spent,
    SynthesisFacts,
    TeachingFacts,
    Way,
    Yield,
)
from potstill.run.evidence import Evidence, load_saved
from potstill.run.planning import ANSWER, ASK, PLAN, ROUNDS, begin, begun, estimate

if TYPE_CHECKING:
    from potstill.run.stages import Stages
    from potstill.teacher.entries import Totals

_STEPS = {
    "probe": "audition",
    "pilot": ASK,
    "label": ASK,
    "ideas": "synthesise",
    "answer": ANSWER,
}
"""Purpose in the ledger -> step of the plan, where the names differ."""


def lay_down_plan(work: Stages) -> None:
    """Write the plan of a run that begins to ask, unless one lies there, as a pilot's does."""
    begin(work.teaching.ledger, work.folder.path)
    path = work.folder.path / PLAN
    if path.exists():
        return
    train, dev, test, unlabeled = (
        load_saved(work.file(name)) for name in ("gold_train", "gold_dev", "test", "unlabeled")
    )
    evidence = Evidence(
        train=train, dev=dev, test=test, unlabeled=unlabeled, outside=[], rejected=[]
    )
    write_json(path, estimate(work.task, evidence, work.teaching).to_json())


def teaching_facts(work: Stages) -> TeachingFacts | None:
    """What the live teacher did; None where answers were recorded, or there is no teacher."""
    teacher = work.task.teacher
    if teacher is None or not teacher.live:
        return None
    audition, synthesis, rounds = (
        _record(path)
        for path in (
            work.dataset / "audition.json",
            work.dataset / "synthesis.json",
            work.round_folders / "rounds.json",
        )
    )
    return TeachingFacts(
        model=_named(str(teacher.model)),
        endpoint=_host(teacher.base_url),
        terms=teacher.terms,
        audition=None if audition is None else audition_facts(audition),
        spending=_spending(work),
        synthesis=None if synthesis is None or work.task.generate is None else _written(synthesis),
        rounds=() if rounds is None or not work.task.rounds.max else _held(rounds),
    )


def _spending(work: Stages) -> Spending:
    plan: Any = _record(work.folder.path / PLAN) or {"steps": [], "total": None}
    ledger = work.teaching.ledger
    mark = begun(ledger, work.folder.path) or 0
    paid: dict[str, list[Totals]] = {step["name"]: [] for step in plan["steps"]}
    for purpose, totals in ledger.totals_by_purpose(after=mark).items():
        paid.setdefault(_step_of(purpose), []).append(totals)
    planned = {step["name"]: _planned(step) for step in plan["steps"]}
    steps = [
        SpendingStep(name=name, spent=spent_of(totals), planned=planned.get(name))
        for name, totals in paid.items()
    ]
    whole = plan["total"]
    return Spending(
        steps=tuple(steps),
        total=SpendingStep(
            name="in all",
            spent=spent_of(one for totals in paid.values() for one in totals),
            planned=None if whole is None else _planned(whole),
        ),
        earlier=spent_of(ledger.totals_by_purpose(up_to=mark).values()),
        priced=plan.get("priced", ""),
        pilot=plan.get("pilot", 0),
    )


def spent_of(totals: Iterable[Totals]) -> Spent:
    """Sums of the ledger, added up."""
    parts = list(totals)
    faults: dict[str, int] = {}
    for part in parts:
        for name, count in part.by_fault.items():
            faults[name] = faults.get(name, 0) + count
    answered = any(part.answered for part in parts)

    def tokens(counts: Iterable[int]) -> int | None:
        # No call was ever answered without a token: a sum of zero is what was not told.
        return sum(counts) or (None if answered else 0)

    return Spent(
        requests=sum(part.requests for part in parts),
        attempts=sum(part.attempts for part in parts),
        prompt_tokens=tokens(part.prompt_tokens for part in parts),
        completion_tokens=tokens(part.completion_tokens for part in parts),
        known_usd=sum(part.known_usd for part in parts),
        unknown=sum(part.unknown for part in parts),
        faults=dict(sorted(faults.items(), key=lambda item: -item[1])),
    )


def _step_of(purpose: str) -> str:
    return ROUNDS if purpose.startswith("round-") else _STEPS.get(purpose, purpose)


def _planned(step: Mapping[str, Any]) -> Planned:
    keys = ("calls", "prompt_tokens", "completion_tokens", "usd")
    return Planned.from_json({key: step[key] for key in keys})


def audition_facts(said: Mapping[str, Any]) -> AuditionFacts:
    """The report's form of ``audition.json``."""
    return AuditionFacts(
        method=said["method"]["name"],
        fused=said["fusion"] is not None,
        rows=said["rows"],
        split=said["split"],
        ways=tuple(_way(trial, said["method"]) for trial in said["trials"]),
        majority=said["majority"],
        nearest=said["nearest"],
    )


def _way(trial: Mapping[str, Any], chosen: Mapping[str, Any]) -> Way:
    sent, received = trial["prompt_tokens_per_row"], trial["completion_tokens_per_row"]
    fused = trial["fused"]
    return Way(
        name=trial["method"]["name"],
        accuracy=Interval.from_json(trial["accuracy"]),
        joined=Interval.from_json(fused["accuracy"]) if fused else None,
        usd_per_row=trial["usd_per_row"],
        seconds_per_row=trial["seconds_per_row"],
        tokens_per_row=None if sent is None or received is None else sent + received,
        unanswered=trial["unanswered"],
        chosen=trial["method"] == chosen,
    )


def _written(said: Mapping[str, Any]) -> SynthesisFacts:
    return SynthesisFacts(
        rows=said["rows"],
        requests=said["requests"],
        rejected=said["rejected"],
        by_label=tuple(Yield.from_json(row) for row in said["by_label"]),
        by_difficulty=tuple(Yield.from_json(row) for row in said["by_difficulty"]),
        findings=tuple(said.get("sentences", ())),
        figures=_figures(said.get("diversity", {})),
    )


def _figures(diversity: Mapping[str, Any]) -> dict[str, float]:
    """The figures that a person compares between two runs."""
    written, real = diversity.get("written"), diversity.get("real")
    spread, distance = diversity.get("spread"), diversity.get("distance")
    found: dict[str, float] = {}
    for n in (1, 2, 3):
        if written:
            found[f"distinct-{n}"] = written["distinct"][n - 1]
        if real:
            found[f"distinct-{n}_of_real_rows"] = real["distinct"][n - 1]
    if spread:
        found |= {"vendi_score": spread["vendi"], "nearest_cosine": spread["nearest_cosine"]}
    if distance:
        found |= {
            "coverage_of_real_rows": distance["coverage"],
            "told_apart,_AUC": distance["told_apart_auc"],
        }
    return found


def _held(said: Mapping[str, Any]) -> tuple[RoundFacts, ...]:
    return tuple(
        RoundFacts.from_json(
            {key: value for key, value in row.items() if key != "kept"}
            | {"chosen": row["number"] == said["chosen"]}
        )
        for row in said["rounds"]
    )


def _named(model: str) -> str:
    """A teacher's name without the folders of this machine."""
    kind, _, name = model.partition(":")
    return f"local:{Path(name).name}" if kind == "local" else model


def _host(base_url: str | None) -> str | None:
    """The host alone: an address may carry a user's credentials."""
    from urllib.parse import urlsplit

    return None if base_url is None else urlsplit(base_url).hostname


def _record(path: Path) -> Any:
    return orjson.loads(path.read_bytes()) if path.exists() else None
