"""What a live teacher did and cost, as the report holds it: tried, planned, paid, written, asked again.

These are facts about how the training data came to be; how good the teacher is on the frozen
rows stands with the other predictors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from potstill.evaluate.intervals import Interval
from potstill.evaluate.record import Record


@dataclass(frozen=True, slots=True)
class Span(Record):
    """A figure as it was planned.

    Attributes:
        low: where all goes well.
        expected: the best guess.
        high: where much goes wrong.
    """

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Way(Record):
    """One way of asking, tried on gold.

    Attributes:
        name: the way in words.
        accuracy: share of the gold rows that the teacher has right.
        joined: the same, joined with the nearest gold; None where that was not tried.
        usd_per_row: mean price of a row; None is unknown.
        seconds_per_row: median wall time of a row; None is unknown.
        tokens_per_row: mean tokens of a row, sent and received; None is unknown.
        unanswered: share of the rows without a usable answer.
        chosen: whether the run asked in this way.
    """

    name: str
    accuracy: Interval
    joined: Interval | None = None
    usd_per_row: float | None = None
    seconds_per_row: float | None = None
    tokens_per_row: float | None = None
    unanswered: float = 0.0
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditionFacts(Record):
    """How the way of asking was found.

    Attributes:
        method: the way that was taken, in words.
        fused: whether its answers were joined with the nearest gold.
        rows: gold rows on which the ways were tried; 0 where there was too little gold.
        split: whose rows, ``dev`` or ``train``.
        ways: those that were tried, in that order.
        majority: share right of the most frequent answer; None without gold.
        nearest: share right of the nearest gold, without a teacher; None without an embedding.
    """

    method: str
    fused: bool = False
    rows: int = 0
    split: str = "dev"
    ways: tuple[Way, ...] = ()
    majority: float | None = None
    nearest: float | None = None

    @property
    def chosen(self) -> Way | None:
        """The way that was taken, where it was tried."""
        return next((way for way in self.ways if way.chosen), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Record):
    """What was planned before anything was asked.

    Attributes:
        calls: questions.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received, thoughts included.
        usd: money; None where the price was not known.
    """

    calls: Span
    prompt_tokens: Span
    completion_tokens: Span
    usd: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent(Record):
    """What was really asked and paid, by the ledger.

    Attributes:
        requests: different questions.
        attempts: calls, those that were repeated included.
        prompt_tokens: tokens sent; None where the endpoint told nothing.
        completion_tokens: tokens received, thoughts included; None likewise.
        known_usd: sum of the prices that are known.
        unknown: calls whose price is unknown.
        faults: calls that went wrong, by what was wrong.
    """

    requests: int = 0
    attempts: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    known_usd: float = 0.0
    unknown: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def usd(self) -> float | None:
        """The money in all; None as soon as the price of one call is unknown."""
        return None if self.unknown else self.known_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingStep(Record):
    """One reason to ask: what was planned for it, and what it took.

    Attributes:
        name: the step.
        spent: what it took.
        planned: what was planned; None where the plan does not hold the step.
    """

    name: str
    spent: Spent
    planned: Planned | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending(Record):
    """Plan against actual.

    Attributes:
        steps: one a reason to ask.
        total: all steps of this run.
        earlier: what the task's ledger held before this run: a pilot, and other runs of the
            task, whose answers were not paid for again.
        priced: where the price is from, and of which day; empty is not known.
        pilot: rows that were asked for the plan; 0 means that its lengths are rules of thumb.
    """

    steps: tuple[SpendingStep, ...]
    total: SpendingStep
    earlier: Spent = field(default_factory=Spent)
    priced: str = ""
    pilot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield(Record):
    """How the writing went for one label, or one difficulty.

    Attributes:
        name: the label or the difficulty.
        wanted: rows that were wanted.
        written: texts that were written.
        kept: rows that a second, independent answer confirmed.
    """

    name: str
    wanted: int
    written: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisFacts(Record):
    """What came of writing new rows.

    Attributes:
        rows: rows that were kept.
        requests: requests for texts; answering is not counted.
        rejected: texts and requests that brought nothing, by cause.
        by_label: the yield of each label.
        by_difficulty: the yield of each difficulty.
        findings: on how varied the rows are, and how near to real ones; one sentence each.
        figures: the same as figures, for people; a key is shown with spaces for ``_``.
    """

    rows: int
    requests: int
    rejected: dict[str, int] = field(default_factory=dict)
    by_label: tuple[Yield, ...] = ()
    by_difficulty: tuple[Yield, ...] = ()
    findings: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFacts(Record):
    """What one round bought.

    Attributes:
        number: from 1; 0 is the student before any round.
        asked: rows that were asked again.
        changed: those of them whose label is another one since.
        written: new rows that were written and confirmed.
        train_rows: rows that taught.
        score: mean development score.
        gain: the score less that of the best student before.
        cost_usd: what the round's calls cost; None is unknown.
        gain_per_usd: gain for a dollar; None where nothing was paid, or the cost is unknown.
        chosen: whether the student of this round ships.
    """

    number: int
    asked: int
    changed: int
    written: int
    train_rows: int
    score: float
    gain: float
    cost_usd: float | None
    gain_per_usd: float | None
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingFacts(Record):
    """What a live teacher did.

    Attributes:
        model: the teacher, as the task names it.
        endpoint: host that was asked; None in this process.
        terms: licence or terms-of-use id of its answers; None is unknown.
        audition: how the way of asking was found.
        spending: plan against actual; None where no ledger was kept.
        synthesis: what came of writing new rows; None where none were to be written.
        rounds: those that were held, the student before them first.
    """

    model: str
    endpoint: str | None = None
    terms: str | None = None
    audition: AuditionFacts | None = None
    spending: Spending | None = None
    synthesis: SynthesisFacts | None = None
    rounds: tuple[RoundFacts, ...] = ()
