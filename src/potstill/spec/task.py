"""The task file as pydantic models: what is wanted, from which evidence, taught by whom.

Reading YAML, and turning a pydantic error into ``file:line``, is `potstill.spec.loading`'s
work; here stand only the shapes and what they mean. Paths are kept as written; `loading`
resolves them against the folder of the task file.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from potstill.spec.answer import AnswerSpec, TaskType
from potstill.spec.base import Fraction, Names, Spec
from potstill.spec.deferral import DeferSpec
from potstill.spec.extraction import ConfidenceSpec, FieldSpec, WindowSpec
from potstill.spec.flagging import FlagSpec
from potstill.spec.gates import Gate, GateName, measured_gates
from potstill.spec.generation import TextSpec
from potstill.spec.serving import ServeSpec
from potstill.spec.teacher import GenerateSpec, JudgeSpec, RoundsSpec, TeacherSpec

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
FILTERS = (
    "validity",
    "trace_health",
    "identity_leak",
    "duplicates",
    "agreement",
    "judge",
    "noise",
)


def _known_filter(name: str) -> str:
    known = [*FILTERS, *sorted(entry_points(group="potstill.filters").names)]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}"
        raise ValueError(f"no filter is called {name!r}. {remedy}")
    return name


FilterName = Annotated[str, AfterValidator(_known_filter)]


class Columns(Spec):
    """Which column of the data files holds what."""

    input: str | Names = "text"
    """Column of the text, or columns of the named fields."""
    target: str = "label"
    """Column of a person's answer: a label; multilabel: a list, or labels separated by commas; extraction: an object of fields, or a list of spans; generation: a text, or several that are equally right."""
    id: str = "id"
    """Column of the row's id; rows without one get a hash of their text."""
    group: str | None = None
    """Column whose equal values stay in one split (a customer, a document)."""


class GoldSplit(Spec):
    """How a person's rows are divided when the task names no test file of its own."""

    train: Fraction = 0.0
    """Share that the student learns from."""
    dev: Fraction = 0.0
    """Share that choices are made on."""
    test: Fraction = 1.0
    """Share that judges in the end."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> GoldSplit:
        if abs(self.train + self.dev + self.test - 1.0) > 1e-6:
            total = self.train + self.dev + self.test
            raise ValueError(
                f"train, dev and test must sum to 1, not {total:g} (test is 1 unless given)"
            )
        return self


class DataSpec(Spec):
    """The evidence: JSONL, CSV or Parquet files with one column map."""

    unlabeled: str | Names | None = None
    """Texts for the teacher to answer; also a log of chat completions."""
    gold: str | Names | None = None
    """Rows with a person's label."""
    test: str | None = None
    """Rows with a person's label, frozen for the final judgement. With it, `gold` is for training and development alone."""
    dev: str | None = None
    """Rows with a person's label for choices and calibration. With it, no row of `gold` is used for them."""
    out_of_scope: str | None = None
    """The label of rows in `gold`, `dev` and `test` that fit none of the task's labels: never an answer, they teach the model to defer."""
    columns: Columns = Columns()
    """Which column holds what."""
    gold_split: GoldSplit | None = None
    """How `gold` is divided. Default: all of it is the test set, or all of it trains where `test` names rows."""
    dev_fraction: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Share of the training rows set aside for development where no gold was."""
    terms: str | None = None
    """Licence or terms-of-use id of the texts, for the lineage."""

    @model_validator(mode="after")
    def _has_rows(self) -> DataSpec:
        if self.gold is None and self.test is None:
            raise ValueError("without 'gold' or 'test' rows nothing can be verified")
        if self.dev is not None and self.gold_split is not None and self.gold_split.dev:
            raise ValueError("'gold_split' sets rows aside for 'dev', which has a file of its own")
        if self.test is None and self.gold_split is not None and self.gold_split.test == 0.0:
            raise ValueError("'gold_split' leaves no test rows, and there is no 'test' file")
        return self


class StudentSpec(Spec):
    """Who learns."""

    base: str = "minilm-l6"
    """The encoder: `minilm-l6`, `mpnet-base`, a folder, or a hub id. For labels also `tfidf` (counted words) and `static` (token vectors, averaged), which are far smaller. `auto` compares candidates; of fields and texts those with a transformer."""
    candidates: list[str] = ["tfidf", "static", "minilm-l6", "mpnet-base"]
    """`base: auto`: the bases that are compared. Of those that stand here unless given, what is not installed is left out."""
    writer: str = "smollm2-135m"
    """The causal language model that the `abstractive` student starts from: `smollm2-135m`, a folder, or a hub id."""
    beams: int = Field(default=4, ge=1, le=32)
    """Drafts that the `abstractive` student writes side by side, to answer with the most probable one. `1` takes two thirds of the time, and says less that is particular to a source where the wording must be new."""
    mode: Literal["auto", "frozen", "tuned", "abstractive", "extractive"] = "auto"
    """`frozen`: linear head on a frozen encoder. `tuned`: the encoder learns too. `auto`: tuned only where it wins on the development rows; on a CPU it is tried up to about a quarter of an hour of work. Of texts: `extractive` picks sentences of the source, `abstractive` writes its own, and `auto` ships the one that writes where it is better beyond noise."""
    minutes: Annotated[float, Field(gt=0.0)] = 30.0
    """`base: auto`: about the time that the comparison may take."""
    max_tokens: int = Field(default=256, ge=8, le=8192)
    """Tokens that the student reads; what is longer is cut and flagged."""
    epochs: int = Field(default=6, ge=1, le=100)
    """Passes over the training rows in `tuned` mode."""
    batch_size: int = Field(default=32, ge=1, le=4096)
    """Rows an optimiser step in `tuned` mode."""
    learning_rate: float = Field(default=5e-5, gt=0.0, lt=1.0)
    """Peak learning rate of the encoder in `tuned` mode."""
    class_weight: Literal["auto", "none", "balanced"] = "auto"
    """`balanced` answers as if every label were equally frequent; `auto` does so unless one label has over three times another's rows."""
    precision: Literal["auto", "fp32", "int8"] = "auto"
    """Precision of the exported graph; `auto` takes int8 where parity allows, unless fp32 is clearly faster."""
    max_disagreement: Fraction = 0.02
    """Export fails when more development answers than this differ from the trained weights."""


def _plain_field(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(
            f"{name!r} cannot be a field's name: letters, digits and '_', no digit first"
        )
    return name


FieldName = Annotated[str, AfterValidator(_plain_field)]


class Policy(Spec):
    """Which sources may not reach training."""

    deny: list[str] = []
    """Patterns (`openai/*`) of source names; a row with such a source is rejected."""


class FilterOptions(Spec):
    """Thresholds of the filters."""

    min_agreement: Fraction = 0.5
    """`agreement`: the least probability that the teachers' distribution gives its winner."""
    duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """`duplicates`, and leakage across splits: Jaccard similarity of word 3-grams."""
    max_noise: Fraction = 0.2
    """`noise`: at most this share of the rows is rejected, most suspect first."""
    near_meaning: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """`duplicates`: also cosine similarity of embeddings from which two texts are one; not looked at unless given."""
    max_trace_tokens: int = Field(default=8000, ge=1)
    """`trace_health`: a longer thought is rejected."""


def _or_list(schema: dict[str, Any]) -> None:
    """Tell editors that labels may be a plain list as well."""
    mapping = {key: schema.pop(key) for key in ("additionalProperties", "type")}
    names = {"type": "array", "items": {"type": ["string", "number", "boolean"]}}
    schema["anyOf"] = [mapping, {**names, "uniqueItems": True}]


class Task(Spec):
    """One narrow job, written down."""

    kind: Literal["task"]
    """Always `task`."""
    version: Literal[1]
    """Version of this format: 1."""
    name: str = Field(pattern=NAME_PATTERN)
    """Short name: lower-case letters, digits, `-` and `_`."""
    type: TaskType
    """Kind of task: one label a text, several, values of fields, or a short text."""
    description: str = ""
    """The question, in one sentence."""
    labels: Annotated[dict[str, str | None], Field(json_schema_extra=_or_list)] = {}
    """The taxonomy: each label with a description or null, or a plain list of labels."""
    fields: dict[FieldName, FieldSpec] = {}
    """`extraction`: what is looked for in a document, each field by its name."""
    windows: WindowSpec = WindowSpec()
    """`extraction`: how a long document is read."""
    confidence: ConfidenceSpec = ConfidenceSpec()
    """`extraction`: from which confidence a field is answered."""
    flag: FlagSpec | None = None
    """Of two labels, the rare one that is looked for, and how its threshold is chosen."""
    text: TextSpec = TextSpec()
    """`generation`: how long the text may be, its style, its guards."""
    rules: list[str] = []
    """House rules for the borderline cases."""
    data: DataSpec
    """The evidence."""
    teacher: TeacherSpec | None = None
    """Who answers the unlabelled rows."""
    generate: GenerateSpec | None = None
    """New inputs, written by the teacher, where there are too few."""
    filter: list[FilterName] = [
        "validity",
        "trace_health",
        "identity_leak",
        "duplicates",
        "agreement",
    ]
    """Filters, in this order; installed packages may bring more (entry points `potstill.filters`)."""
    filter_options: FilterOptions = FilterOptions()
    """Thresholds of the filters."""
    judge: JudgeSpec | None = None
    """Another model that doubts, for the `judge` filter."""
    rounds: RoundsSpec = RoundsSpec()
    """Asking again after the first student."""
    policy: Policy = Policy()
    """Which sources may not reach training."""
    student: StudentSpec = StudentSpec()
    """Who learns."""
    defer: DeferSpec | None = None
    """When the model shall not answer; it answers everything unless given."""
    serve: ServeSpec = ServeSpec()
    """What a server keeps, and how it reads chat requests."""
    accept: dict[GateName, Gate] = {}
    """Acceptance gates; one that fails ends the run with exit code 1."""
    seed: int = 7
    """Seed of every random choice."""

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_from_list(cls, value: object) -> object:
        if isinstance(value, list):
            # A list of labels may hold numbers in Python; the file reader keeps the words.
            names = [str(item) for item in value]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"label {twice[0]!r} stands twice")
            return dict.fromkeys(names)
        return value

    @field_validator("labels")
    @classmethod
    def _enough_labels(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        if len(value) < 2:
            raise ValueError("a task needs at least two labels")
        for label in value:
            if not label or label != label.strip():
                raise ValueError(f"the label {label!r} is empty or has white space around it")
        return value

    @field_validator("filter")
    @classmethod
    def _each_filter_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("a filter stands twice")
        return value

    @field_validator("accept")
    @classmethod
    def _measured(cls, value: dict[GateName, Gate], info: ValidationInfo) -> dict[GateName, Gate]:
        known = info.data
        if not {"type", "flag", "teacher", "defer"} <= known.keys():
            return value  # their own mistakes are told first
        measured = measured_gates(
            known["type"],
            flag=known["flag"],
            defers=known["defer"] is not None,
            taught=known["teacher"] is not None,
        )
        strange = [name for name in value if name not in measured]
        if strange:
            raise ValueError(
                f"this task never measures {strange[0]!r}; its figures are {', '.join(measured)}"
            )
        return value

    @model_validator(mode="after")
    def _fits_its_type(self) -> Task:
        if self.labelling:
            if not self.labels:
                raise ValueError("'labels' is missing: the taxonomy, each label with a description")
        elif self.labels:
            raise ValueError(f"'labels' does not go with 'type: {self.type}'")
        if (self.type == "extraction") != bool(self.fields):
            raise ValueError("'fields' and 'type: extraction' go together")
        writing = self.type == "generation"
        if self.student.mode in ("abstractive", "extractive") and not writing:
            raise ValueError(f"'student.mode: {self.student.mode}' is for 'type: generation'")
        if self.student.mode in ("frozen", "tuned") and writing:
            raise ValueError("a text is written by 'student.mode: abstractive' or 'extractive'")
        for key in ("windows", "confidence", "text"):
            kind = "generation" if key == "text" else "extraction"
            if key in self.model_fields_set and self.type != kind:
                raise ValueError(f"'{key}' is for 'type: {kind}'")
        return self

    @model_validator(mode="after")
    def _labels_for_what_needs_them(self) -> Task:
        if self.labelling:
            return self
        for key in ("generate", "defer", "rounds", "judge"):
            if key in self.model_fields_set:
                raise ValueError(f"'{key}' is for tasks with labels")
        if self.data.out_of_scope is not None:
            raise ValueError("'data.out_of_scope' is for tasks with labels")
        if "noise" in self.filter:
            raise ValueError("the filter 'noise' is for tasks with labels")
        return self

    @model_validator(mode="after")
    def _flag_is_one_of_two(self) -> Task:
        if self.flag is None:
            return self
        if self.type != "classification" or len(self.labels) != 2:
            raise ValueError("'flag' is for 'type: classification' with two labels")
        if self.flag.label not in self.labels:
            raise ValueError(f"'flag.label' is {self.flag.label!r}, which is none of the labels")
        if self.defer is not None:
            raise ValueError(
                "'flag' decides by its own threshold what 'defer' would leave open: give one"
            )
        return self

    @model_validator(mode="after")
    def _teacher_for_unlabeled(self) -> Task:
        live = self.teacher is not None and self.teacher.live
        if self.data.unlabeled is not None and self.teacher is None:
            raise ValueError("'data.unlabeled' needs a 'teacher' to answer it")
        if self.generate is not None and not live:
            raise ValueError("'generate' needs a live 'teacher' that writes")
        if self.rounds.max and not live:
            raise ValueError("'rounds' needs a live 'teacher' to ask again")
        if self.data.unlabeled is None and self.data.gold is None and self.generate is None:
            raise ValueError(
                "name 'data.unlabeled' or 'data.gold' rows, or let 'generate' write some"
            )
        if self.defer is not None and self.defer.fallback == "teacher" and not live:
            raise ValueError("'defer.fallback: teacher' needs a live 'teacher'")
        if self.data.out_of_scope in self.labels:
            raise ValueError("'data.out_of_scope' is one of the task's labels")
        if self.data.out_of_scope is not None and self.multilabel:
            raise ValueError(
                "'data.out_of_scope' is for one label an input; here no label at all says it"
            )
        if ("judge" in self.filter) != (self.judge is not None):
            raise ValueError("the 'judge' filter and the 'judge' section go together")
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in their one fixed order, that of the file."""
        return tuple(self.labels)

    @property
    def answer(self) -> AnswerSpec:
        """What an answer is made of."""
        return AnswerSpec(
            type=self.type,
            labels=self.label_names,
            fields=self.fields,
            text=self.text,
            flag=self.flag,
        )

    @property
    def labelling(self) -> bool:
        """Whether an answer is a label or several."""
        return self.type in ("classification", "multilabel")

    @property
    def multilabel(self) -> bool:
        """Whether an input may have several labels, or none."""
        return self.type == "multilabel"
