"""What a run would ask, and what that costs, before a cent is spent: low, expected and high.

The prompts are built as the run builds them, for a few rows, and counted; how long the answers
will be is a rule of thumb until a pilot has asked some real rows. What a pilot asks stands in
the ledger and is not paid for again by the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.data.files import write_json
from potstill.errors import TeacherError
from potstill.generate.audition import VOTES
from potstill.generate.retrieval import Shown
from potstill.run.evidence import Evidence, read_evidence
from potstill.run.folder import folder_of
from potstill.run.lengths import NOTHING, Lengths, Range, guessed_lengths, measured_lengths
from potstill.run.teaching import LEDGER, Teaching
from potstill.spec import LoadedTask
from potstill.spec.task import Task
from potstill.spec.teacher import Price, TeacherSpec

if TYPE_CHECKING:
    from potstill.teacher.ledger import Ledger

PLAN = "plan.json"
ASK = "ask"
ANSWER = "answer what was written"
ROUNDS = "rounds"
JUDGE = "judge"

_TEXT_TOKENS = (25.0, 70.0, 150.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One reason to ask.

    Attributes:
        name: the stage.
        calls: requests.
        prompt_tokens: tokens sent in all.
        completion_tokens: tokens received in all, thoughts included.
        usd: money; None where the price is unknown.
        seconds: wall time at the concurrency that is set.
    """

    name: str
    calls: Range
    prompt_tokens: Range
    completion_tokens: Range
    usd: Range | None
    seconds: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would ask.

    Attributes:
        teacher: the model.
        steps: by stage.
        total: their sum.
        price: of the teacher; None is unknown.
        priced: where the price is from, and of which day.
        pilot: rows that were really asked; 0 means that the lengths are rules of thumb.
        spent_usd: what this task has cost so far, by its ledger.
    """

    teacher: str
    steps: tuple[Step, ...]
    total: Step
    price: Price | None
    priced: str
    pilot: int
    spent_usd: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {**asdict(self), "price": None if self.price is None else self.price.model_dump()}


def plan_task(
    loaded: LoadedTask,
    *,
    runs: Path,
    pilot: int = 0,
    budget_usd: float | None = None,
    prices: Path | None = None,
) -> Plan:
    """Estimate what `run` would ask of a live teacher.

    Args:
        loaded: the task.
        runs: folder of all runs, where the task's ledger lies.
        pilot: rows to ask for real, so that the range becomes narrow; such a plan is kept in the
            folder of the task's run, unless the run has begun, for the report to compare with.
        budget_usd: the most that the task's teachers may cost in all, the pilot included.
        prices: a price file that goes before the one that ships.

    Raises:
        BudgetReached: the next call of the pilot could pass the cap.
        TeacherError: the task has no live teacher, or it cannot be asked.
        PotstillError: any mistake in the task or the data.
    """
    task = loaded.task
    if task.teacher is None or not task.teacher.live:
        raise TeacherError(
            "nothing is asked: this task has no live teacher.",
            where=str(loaded.path),
            hint="Recorded answers cost nothing; name a 'model' under 'teacher' to plan for one.",
        )
    folder = folder_of(loaded, runs)
    with closing(Teaching(loaded, folder.parent / LEDGER, budget_usd, prices)) as teaching:
        plan = estimate(task, read_evidence(loaded), teaching, pilot=pilot)
        if pilot and begun(teaching.ledger, folder) is None:
            write_json(folder / PLAN, plan.to_json())
    return plan


def begun(ledger: Ledger, folder: Path) -> int | None:
    """Id of the last attempt before a run began to ask; None where it has not begun."""
    return ledger.noted(_mark(folder))


def begin(ledger: Ledger, folder: Path) -> None:
    """Note that a run begins to ask, unless it has begun before."""
    if begun(ledger, folder) is None:
        ledger.note(_mark(folder), ledger.last_attempt)


def _mark(folder: Path) -> str:
    return f"attempts before run {folder.name}"


def estimate(task: Task, evidence: Evidence, teaching: Teaching, *, pilot: int = 0) -> Plan:
    """The plan for a task with a live teacher; without a pilot nobody is asked.

    Args:
        task: the task.
        evidence: its rows.
        teaching: teachers and ledger.
        pilot: rows to ask for real.

    Raises:
        TeacherError: no row of the pilot brought an answer.
    """
    teacher = task.teacher
    assert teacher is not None, "whoever plans has seen that there is a live teacher"
    rows = [*evidence.unlabeled, *evidence.train] or list(evidence.test)
    shown = Shown.of(task, evidence.train)
    price, priced = teaching.price_of(teacher)
    asked = rows[:pilot]
    if asked:
        lengths = measured_lengths(asked, teaching.teacher, task, shown)
    else:
        lengths = guessed_lengths(rows, task, shown)
    steps = tuple(
        _step(
            name,
            calls,
            lengths,
            teaching.price_of(task.judge)[0] if task.judge and name == JUDGE else price,
            writes=name == "synthesise",
        )
        for name, calls in calls_of(task, evidence).items()
        if calls.high
    )
    return Plan(
        teacher=str(teacher.model),
        steps=steps,
        total=_sum(steps),
        price=price,
        priced=priced,
        pilot=len(asked),
        spent_usd=teaching.ledger.totals().known_usd,
    )


def calls_of(task: Task, evidence: Evidence) -> dict[str, Range]:
    """Requests by stage, as far as the task tells before the audition."""
    teacher = task.teacher
    assert teacher is not None
    votes = 1.0 if teacher.votes == "auto" else float(teacher.votes)
    most_votes = float(VOTES) if teacher.votes == "auto" else votes
    each = Range(votes, votes, most_votes)
    gold = min(teacher.audition_rows, max(len(evidence.dev), len(evidence.train)))
    tried = gold >= 10 and task.labelling
    calls = {
        "audition": _ways(teacher, most_votes).times(float(gold) if tried else 0.0),
        ASK: each.times(float(len(evidence.unlabeled))),
        "evaluate": each.times(float(min(len(evidence.test), teacher.test_rows))),
    }
    if task.generate is not None:
        extra = task.generate.extra
        written = Range(1.0, 1.0 + 0.4 * extra, 1.0 + extra).times(float(task.generate.target))
        writing = written.times(1.0 / task.generate.per_request)
        calls["synthesise"] = writing
        calls[ANSWER] = written.times(each)
    if task.judge is not None and "judge" in task.filter:
        rows = len(evidence.unlabeled) + (task.generate.target if task.generate else 0)
        orders = 1.0 if task.judge.mode == "pointwise" else 2.0
        calls[JUDGE] = Range(0.5, 0.9, 1.0).times(rows * orders)
    if task.rounds.max:
        again = float(task.rounds.rows * task.rounds.votes)
        calls[ROUNDS] = Range(1.0, min(2.0, task.rounds.max), float(task.rounds.max)).times(again)
    return calls


def _ways(teacher: TeacherSpec, most_votes: float) -> Range:
    """Calls a gold row at the audition."""
    parts = sum(value == "auto" for value in (teacher.examples, teacher.shortlist))
    ways = 1 + parts + (parts == 2)
    thought = float(teacher.reasoning == "auto")
    voted = most_votes if teacher.votes == "auto" else 0.0
    return Range(1.0 + parts, ways + thought, ways + thought + voted)


def _step(name: str, calls: Range, lengths: Lengths, price: Price | None, *, writes: bool) -> Step:
    completion = lengths.completion
    if writes:
        completion = completion.plus(Range(*_TEXT_TOKENS).times(3.0))
    sent, received = calls.times(lengths.prompt), calls.times(completion)
    usd = None
    if price is not None:
        cached = price.cached_usd_per_million
        cheapest = price.input_usd_per_million if cached is None else cached
        usd = (
            Range(
                sent.low * cheapest,
                *(tokens * price.input_usd_per_million for tokens in (sent.expected, sent.high)),
            )
            .plus(received.times(price.output_usd_per_million))
            .times(1e-6)
        )
    return Step(
        name=name,
        calls=calls,
        prompt_tokens=sent,
        completion_tokens=received,
        usd=usd,
        seconds=calls.times(lengths.seconds),
    )


def _sum(steps: Sequence[Step]) -> Step:
    def total(ranges: Iterable[Range]) -> Range:
        whole = NOTHING
        for part in ranges:
            whole = whole.plus(part)
        return whole

    known = [step.usd for step in steps if step.usd is not None]
    return Step(
        name="in all",
        calls=total(step.calls for step in steps),
        prompt_tokens=total(step.prompt_tokens for step in steps),
        completion_tokens=total(step.completion_tokens for step in steps),
        usd=total(known) if len(known) == len(steps) else None,
        seconds=total(step.seconds for step in steps),
    )
