"""The evidence: `Example`, `Source`, `Prediction`, `Rejection`, and the `Predictor` protocol.

Everything else in the project reads or writes these. They are plain frozen dataclasses:
a stage never changes an example in place, it makes a new one with `dataclasses.replace`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Protocol, runtime_checkable

from potstill.data.extraction import Extraction

Input = str | Mapping[str, str]
"""What a model reads: one text, or named fields."""

Labels = str | tuple[str, ...]
"""A label (classification) or labels (multilabel)."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is wanted or answered: a summary, say.

    Attributes:
        text: the text itself.
        references: further texts that a person holds equally right; only gold has them.
        guarded: the guards that changed it, or put another student's text in its place.
    """

    text: str
    references: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """``{"text": …}``, with ``references`` and ``guarded`` where there are any."""
        row = {"references": list(self.references), "guarded": list(self.guarded)}
        return {"text": self.text, **{key: names for key, names in row.items() if names}}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Text:
        """The inverse of `to_json`."""
        return cls(row["text"], *(tuple(row.get(key, ())) for key in ("references", "guarded")))


Target = Labels | Extraction | Text
"""What is wanted: labels, values of fields, or a text, as the type of the task says."""

Split = Literal["train", "dev", "test"]
SourceKind = Literal["person", "model", "dataset", "rule"]
Contribution = Literal["prompt", "input", "target", "reasoning", "verdict"]
Deferral = Literal["unsure", "out_of_scope", "failed"]
"""Why there is no answer: too little confidence, an input that fits no label, a step that failed."""


def text_of(value: Input) -> str:
    """The one text that a student reads: named fields become ``name: value`` lines."""
    if isinstance(value, str):
        return value
    return "\n".join(f"{name}: {field}" for name, field in value.items())


def document_of(value: Input) -> str:
    """The text that offsets count in: the input, or the first of its named fields."""
    return value if isinstance(value, str) else next(iter(value.values()), "")


def context_of(value: Input) -> str:
    """What an input says beside its document, as ``name: value`` lines; empty for a bare text."""
    if isinstance(value, str):
        return ""
    return "\n".join(f"{name}: {said}" for name, said in list(value.items())[1:])


def labels_of(target: Target | None) -> tuple[str, ...]:
    """The labels of a target as a tuple: one, several or none.

    Raises:
        TypeError: the target is none of labels, but fields or a text.
    """
    if isinstance(target, Extraction | Text):
        raise TypeError(f"{type(target).__name__} has no labels")
    return (target,) if isinstance(target, str) else target or ()


def target_to_json(target: Target | None) -> Any:
    """A target as JSON writes it: a label, a list of labels, or an object that tells its kind."""
    return target.to_json() if isinstance(target, Extraction | Text) else target


def target_from_json(row: Any) -> Target | None:
    """The inverse of `target_to_json`."""
    if isinstance(row, Mapping):
        return Extraction.from_json(row) if "fields" in row else Text.from_json(row)
    return tuple(row) if isinstance(row, list) else row


def id_of(value: Input) -> str:
    """An id for a row that brought none: 16 hexadecimal digits of its text's SHA-256."""
    return hashlib.sha256(text_of(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing that contributed to an example: the unit of lineage.

    Attributes:
        kind: a person, a model, a data set or a rule.
        name: who: a model's name, a file's name, a rule's name.
        contributed: which parts of the example came from it.
        stage: the stage of the run in which it contributed.
        terms: licence or terms-of-use id, as the task declares it; None is unknown.
        revision: version of the model, or hash of the file.
        endpoint: host that answered, without credentials.
        request: id of the request's row in the ledger.
    """

    kind: SourceKind
    name: str
    contributed: tuple[Contribution, ...]
    stage: str
    terms: str | None = None
    revision: str | None = None
    endpoint: str | None = None
    request: str | None = None

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Source:
        """The inverse of writing a source as a JSON object."""
        known = dict(row)
        known["contributed"] = tuple(row["contributed"])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An input, what is wanted for it, and where both came from.

    Attributes:
        id: unique within a data set.
        input: one text, or named fields.
        target: gold (a person's) or silver (a teacher's); the sources tell which.
        soft_target: a distribution over labels that sums to one (multilabel: a
            probability a label); None where only a hard label is known.
        reasoning: the teacher's thought; kept as evidence, never given to a student
            that answers directly.
        split: train, dev or test; None before splitting.
        group: rows of one group (a customer, a document) stay in one split.
        sources: lineage, oldest first.
        cost_usd: money paid for the teacher's answers; None is unknown.
    """

    id: str
    input: Input
    target: Target | None = None
    soft_target: Mapping[str, float] | None = None
    reasoning: str | None = None
    split: Split | None = None
    group: str | None = None
    sources: tuple[Source, ...] = ()
    cost_usd: float | None = None

    @property
    def text(self) -> str:
        """The input as the one text that a student reads."""
        return text_of(self.input)

    @property
    def is_gold(self) -> bool:
        """Whether a person, and no model, gave the target."""
        givers = [source.kind for source in self.sources if "target" in source.contributed]
        return bool(givers) and all(kind == "person" for kind in givers)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for one line of JSON; what is None or empty is left out."""
        row = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "sources"}
        row["target"] = target_to_json(self.target)
        if self.sources:
            row["sources"] = [
                {key: value for key, value in asdict(source).items() if value is not None}
                for source in self.sources
            ]
        return {key: value for key, value in row.items() if value is not None}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Example:
        """The inverse of `to_json`."""
        known = dict(row)
        known["sources"] = tuple(Source.from_json(source) for source in row.get("sources", ()))
        known["target"] = target_from_json(known.get("target"))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a predictor answers for one input.

    Attributes:
        target: the label or labels that are most probable; None where there are none (not
            recorded, or outside the taxonomy). What is deferred has a target all the same,
            as a guess that helps whoever answers instead.
        confidence: calibrated probability that the target is right, 0 to 1; None where
            the predictor has no such notion (a recorded hard answer).
        scores: a probability for each label, in the order of the model's labels; for an
            extraction the probability that what is said of a field is right, its absence
            included; None where the predictor has none.
        truncated: whether the model read only the beginning of the input.
        deferred: why the target must not be taken for an answer; None where it may.
        out_of_scope: probability that the input fits none of the labels, 0 to 1; None where
            the predictor has no such notion.
    """

    target: Target | None
    confidence: float | None = None
    scores: Mapping[str, float] | None = None
    truncated: bool = False
    deferred: Deferral | None = None
    out_of_scope: float | None = None

    @property
    def answer(self) -> Target | None:
        """The target, unless it is deferred: what a caller may act on.

        In an extraction single fields may be unsure all the same: see `Extraction.unsure`.
        """
        return None if self.deferred else self.target

    def to_json(self) -> dict[str, Any]:
        """``{"label" or "labels" or "fields" or "text": …, "confidence": …, "scores": {…}}``.

        A deferred prediction has null for its label, ``deferred`` with the reason, and the
        target as ``guess``. The fields that are unsure of an extraction are null as well: their
        names stand in ``unsure`` of ``guess``, with the values that there are.
        """
        row = _answer_to_json(self.target, answered=self.deferred is None)
        if self.deferred is not None:
            row["deferred"] = self.deferred
            row.setdefault("guess", target_to_json(self.target))
        if self.confidence is not None:
            row["confidence"] = self.confidence
        if self.out_of_scope is not None:
            row["out_of_scope"] = self.out_of_scope
        if self.scores is not None:
            row["scores"] = dict(self.scores)
        if self.truncated:
            row["truncated"] = True
        return row


def _answer_to_json(target: Target | None, *, answered: bool) -> dict[str, Any]:
    if isinstance(target, Text):
        return target.to_json() if answered else {"text": None}
    if isinstance(target, Extraction):
        return _fields_to_json(target, answered=answered)
    return {"labels" if isinstance(target, tuple) else "label": target if answered else None}


def _fields_to_json(target: Extraction, *, answered: bool) -> dict[str, Any]:
    """The answered fields; null for those that are unsure, whether or not there is a guess."""
    guess = target.to_json()
    held = guess["fields"]
    withheld = dict.fromkeys(target.unsure if answered else (*held, *target.unsure))
    row: dict[str, Any] = {"fields": {**held, **withheld}}
    if withheld:
        guess["fields"] = {name: held[name] for name in withheld if name in held}
        row["guess"] = guess
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that goes no further, and why: one line of ``rejected.jsonl``.

    Attributes:
        id: the row's id.
        stage: the stage, or the filter, that rejected it.
        cause: a short machine-readable name, e.g. ``outside_taxonomy``.
        detail: a sentence for a person.
        cost_usd: money that was paid for the row and is lost; None is unknown.
        example: the row itself, so that nothing is lost with it.
    """

    id: str
    stage: str
    cause: str
    detail: str
    cost_usd: float | None = None
    example: Example | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for one line of JSON."""
        row: dict[str, Any] = {
            "id": self.id,
            "stage": self.stage,
            "cause": self.cause,
            "detail": self.detail,
            "cost_usd": self.cost_usd,
        }
        if self.example is not None:
            row["example"] = self.example.to_json()
        return row


@runtime_checkable
class Predictor(Protocol):
    """Anything that maps inputs to predictions: a teacher, a baseline, a student, a model."""

    @property
    def name(self) -> str:
        """A short name for tables."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in their one fixed order."""
        ...

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """One prediction for each input, in the same order.

        Args:
            inputs: texts or named fields; an empty sequence gives an empty list.
        """
        ...
