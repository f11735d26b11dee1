"""The report as data: everything that its pages show, and nothing about how.

A `Report` goes to `report.json` and back without loss, so that its pages can be written
again, in another style or by a later version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from potstill.data import Split
from potstill.data.example import SourceKind
from potstill.errors import DataError
from potstill.evaluate.bill import Bill, monthly_bill
from potstill.evaluate.frontier import Frontier
from potstill.evaluate.gates import GateResult, check_gates
from potstill.evaluate.intervals import Interval
from potstill.evaluate.latency import USD_PER_CORE_HOUR, Latency
from potstill.evaluate.metrics import Evaluation
from potstill.evaluate.mistakes import Mistake
from potstill.evaluate.paired import Comparison
from potstill.evaluate.record import Record
from potstill.evaluate.teaching import TeachingFacts
from potstill.spec.task import Gate, TaskType

FORMAT = 1
"""Version of `report.json`."""

Fact = str | int | float | bool | None

_GATED = (
    "accuracy",
    "macro_f1",
    "micro_f1",
    "average_precision",
    "flag_precision",
    "flag_recall",
    "flag_cost",
    "span_f1",
    "value_f1",
    "rouge_l",
    "invented",
)
"""Metrics that a gate may bound, of all types of task."""
Role = Literal["student", "teacher", "baseline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts(Record):
    """What was wanted.

    Attributes:
        name: short name of the task.
        type: kind of task.
        description: the question, in one sentence.
        labels: the labels in their one fixed order; the fields of an extraction.
    """

    name: str
    type: TaskType
    labels: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Record):
    """One predictor: a row of the main table.

    Attributes:
        role: what it is to this task.
        evaluation: how good it is, on the same gold rows as every other entry.
        latency: time of one answer; None where it is not known.
        usd_per_million: price of a million answers; None where it is not known.
        note: a remark for the reader, e.g. why a figure is missing.
    """

    role: Role
    evaluation: Evaluation
    latency: Latency | None = None
    usd_per_million: float | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """The predictor's name."""
        return self.evaluation.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCount(Record):
    """Rows of one split.

    Attributes:
        split: train, dev or test.
        rows: rows that remained after filtering.
        gold: those whose target a person gave.
        silver: those whose target a teacher gave.
    """

    split: Split
    rows: int
    gold: int
    silver: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCount(Record):
    """Rows that one cause took.

    Attributes:
        stage: the stage, or the filter, that rejected them.
        cause: why.
        rows: how many.
        cost_usd: money that was paid for them and is lost; None is unknown.
    """

    stage: str
    cause: str
    rows: int
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageShare(Record):
    """What one source gave to the training rows.

    Attributes:
        name: the source.
        kind: a person, a model, a data set or a rule.
        contributed: which parts came from it.
        terms: licence or terms-of-use id; None is unknown.
        rows: training rows that it contributed to.
        share: their share of all training rows; shares may sum to more than one.
    """

    name: str
    kind: SourceKind
    contributed: tuple[str, ...]
    terms: str | None
    rows: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Record):
    """How good a student is, against whom, at what price, and what it learned from.

    Only `task` and `entries` are required; the pages leave out what is missing.

    Attributes:
        task: what was wanted.
        entries: student, teachers and baselines, in the order of the tables. The first
            student is the report's subject, the first teacher its yardstick.
        comparisons: paired tests, the student first in each.
        fidelity: share of a teacher's answers that the student gives too, by teacher.
        gates: the acceptance gates (see `with_gates`).
        data: rows by split.
        filters: rows rejected, by cause.
        lineage: sources of the training rows.
        teaching: what a live teacher did and cost; None where its answers were recorded.
        frontier: what the candidates of ``base: auto`` can do and cost; None without a choice.
        training: facts of the training, for people; a key is shown with spaces for `_`.
        export: facts of the exported model.
        versions: versions and hashes that this run depended on.
        mistakes: rows that the student has wrong (see `worst_mistakes`).
        warnings: sentences for the reader; those of the student's evaluation come by
            themselves.
        created: date and time, ISO 8601.
        run: id of the run.
        seed: of every random choice.
        machine: where latency was measured.
        usd_per_core_hour: price of a core that `usd_per_million` of what runs here rests on.
    """

    task: TaskFacts
    entries: tuple[Entry, ...]
    comparisons: tuple[Comparison, ...] = ()
    fidelity: dict[str, Interval] = field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()
    data: tuple[SplitCount, ...] = ()
    filters: tuple[FilterCount, ...] = ()
    lineage: tuple[LineageShare, ...] = ()
    teaching: TeachingFacts | None = None
    training: dict[str, Fact] = field(default_factory=dict)
    frontier: Frontier | None = None
    export: dict[str, Fact] = field(default_factory=dict)
    versions: dict[str, Fact] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[str, ...] = ()
    created: str = ""
    run: str = ""
    seed: int | None = None
    machine: str = ""
    usd_per_core_hour: float = USD_PER_CORE_HOUR

    def __post_init__(self) -> None:
        if self._first("student") is None:
            raise DataError("a report needs an entry with the role 'student'")
        # A live teacher is asked about a sample, since every answer costs money; its entry says so.
        rows = self.student.evaluation.n
        sizes = {e.evaluation.n for e in self.entries if e.role != "teacher"}
        sizes |= {e.evaluation.n for e in self.entries if e.evaluation.n > rows}
        if sizes != {rows}:
            raise DataError(f"the entries were evaluated on different rows: {sorted(sizes)}")

    @property
    def student(self) -> Entry:
        """The subject of the report."""
        found = self._first("student")
        assert found is not None
        return found

    @property
    def teacher(self) -> Entry | None:
        """The yardstick: the first teacher."""
        return self._first("teacher")

    @property
    def baseline(self) -> Entry | None:
        """The most telling baseline: the first one."""
        return self._first("baseline")

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The report's own warnings, after those of the student's evaluation."""
        return tuple(dict.fromkeys(self.student.evaluation.warnings + self.warnings))

    @property
    def priced_teacher(self) -> Entry | None:
        """The first teacher whose price is known: a committee has none, its members do."""
        priced = (e for e in self.entries if e.role == "teacher" and e.usd_per_million)
        return next(priced, None)

    @property
    def bill(self) -> Bill | None:
        """What a month of answers costs; None where the student was not timed."""
        latency, chosen = self.student.latency, self.student.evaluation.selective
        if latency is None or not latency.measured:
            return None
        teacher = self.priced_teacher
        return monthly_bill(
            latency.mean_ms if latency.mean_ms is not None else latency.p50_ms,
            usd_per_core_hour=self.usd_per_core_hour,
            teacher=teacher.name if teacher is not None else None,
            teacher_usd_per_million=teacher.usd_per_million if teacher is not None else None,
            deferred=1.0 - chosen.coverage.value if chosen is not None else 0.0,
        )

    def comparison_with(self, name: str) -> Comparison | None:
        """The paired test of the student against the predictor of that name."""
        found = (one for one in self.comparisons if one.names == (self.student.name, name))
        return next(found, None)

    def figures(self) -> dict[str, float | None]:
        """The figures that gates bound; None is not known.

        `teacher_gap` is the teacher's primary metric minus the student's, on the rows that both
        answered: above 0 the student is behind.
        """
        student, teacher = self.student, self.teacher
        metrics = student.evaluation.metrics
        judged = student.evaluation.calibration
        chosen = student.evaluation.selective
        gap = None
        if teacher is not None:
            paired = self.comparison_with(teacher.name)
            gap = teacher.evaluation.score.value - student.evaluation.score.value
            if paired is not None and teacher.evaluation.n < student.evaluation.n:
                gap = -paired.difference.value
        return {
            **{name: metrics[name].value if name in metrics else None for name in _GATED},
            "teacher_gap": gap,
            "ece": judged.ece.value if judged is not None else None,
            "coverage": chosen.coverage.value if chosen is not None else None,
            "answered_error": chosen.error.value if chosen is not None else None,
            "latency_p95_ms": student.latency.p95_ms if student.latency is not None else None,
            "usd_per_million": student.usd_per_million,
        }

    def with_gates(self, accept: Mapping[Any, Gate]) -> Report:
        """The same report, held against a task's gates."""
        return replace(self, gates=tuple(check_gates(accept, self.figures())))

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `report.json`; rows of comparisons are left out, the bill is added."""
        lean = replace(self, comparisons=tuple(one.without_rows() for one in self.comparisons))
        bill = self.bill.to_json() if self.bill is not None else None
        return {"format": FORMAT, **super(Report, lean).to_json(), "bill": bill}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            DataError: it is no report, or one of another format.
        """
        known = dict(row)
        version = known.pop("format", None)
        known.pop("bill", None)  # made from the other figures
        if version != FORMAT:
            raise DataError(
                f"this is a report of format {version}; format {FORMAT} is understood",
                hint="Evaluate again to write it anew.",
            )
        return super(Report, cls).from_json(known)

    def _first(self, role: Role) -> Entry | None:
        return next((entry for entry in self.entries if entry.role == role), None)
