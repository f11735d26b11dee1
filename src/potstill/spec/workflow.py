"""The workflow file as pydantic models: which parts, joined how, answering what.

Here stand the shapes alone. Whether the references lead somewhere, whether types fit and
whether the graph has no cycle is `potstill.workflow`'s work: it needs the models' labels.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from potstill.spec.base import Names, Spec
from potstill.spec.task import NAME_PATTERN, Columns, FieldName

StepName = Literal["split_clauses", "passage", "pick", "join", "union", "surest"]
OnError = Literal["fail", "defer", "default"]
Scalar = str | int | float | bool
NodeName = Annotated[str, Field(pattern=NAME_PATTERN)]

PARTS = ("model", "workflow", "teacher", "step")
INPUT = "input"
"""The name by which a reference calls the input of the whole workflow."""


def _short_form(*types: str) -> ConfigDict:
    """Tell editors that a plain value may stand for the mapping."""

    def also(schema: dict[str, Any]) -> None:
        schema["type"] = ["object", *types]

    return ConfigDict(json_schema_extra=also)


class Test(Spec):
    """What must be so of one value; where several are given, all must be. Data, never code."""

    __test__ = False  # not a test of pytest's, whatever its name

    model_config = _short_form("string", "number", "boolean", "array")

    is_: Scalar | None = Field(default=None, alias="is")
    """The value is this one. Short: `route.label: complaint`."""
    in_: list[Scalar] | None = Field(default=None, alias="in", min_length=1)
    """The value is one of these. Short: `route.label: [refund, dispute]`."""
    not_in: list[Scalar] | None = Field(default=None, min_length=1)
    """The value is none of these."""
    has: str | None = None
    """The labels include this one."""
    at_least: float | None = None
    """The number is this or more."""
    below: float | None = None
    """The number is less."""

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, value: object) -> object:
        if isinstance(value, list):
            return {"in": value}
        return {"is": value} if isinstance(value, Scalar) else value

    @model_validator(mode="after")
    def _says_something(self) -> Test:
        if not self.model_dump(exclude_none=True):
            raise ValueError("a condition needs 'is', 'in', 'not_in', 'has', 'at_least' or 'below'")
        return self


class NodeSpec(Spec):
    """One node: a model, another workflow, a teacher or a step, and what it reads.

    A reference is ``input``, ``input.FIELD``, ``NODE`` or ``NODE.FIELD``; the fields of what
    answers are ``label`` (``labels`` where there may be several), ``fields`` of an extraction,
    ``text`` of a generation, and of all ``guess``, ``confidence`` and ``deferred``. The values of
    an extraction are ``NODE.fields.NAME``, each with ``value``, ``text`` (its evidence) and
    ``confidence``.
    """

    model: str | None = None
    """A model folder, a run folder, or the folder of a task's runs (its newest model)."""
    workflow: str | None = None
    """Another workflow file."""
    teacher: str | None = None
    """A task file, whose teacher answers."""
    step: StepName | None = None
    """`split_clauses` (text to a list of texts), `passage` (of a `document` the sentences around the `evidence` of a value), `pick` (one field), `join` (texts to one text), `union` (answers to one answer with all labels), `surest` (of several answers the one with the highest confidence)."""
    task: str | None = None
    """The task file that `model` is made from: what to run where the model is missing."""
    input: str | Names | dict[str, str] | None = None
    """A reference; a list of them; or a mapping of field names to them. Default: `input`."""
    map: str | None = None
    """A reference to a list: the node answers each of its items, and its output is the list."""
    when: dict[str, Test] = {}
    """Conditions by reference (`route.label: [refund, dispute]`); the node runs where all hold."""
    on_error: OnError = "fail"
    """What an error or a time that runs out does: `fail` the request, `defer` the answer, or take the `default`."""
    default: str | Names | None = None
    """The label, the labels or the text that `on_error: default` answers."""
    timeout_ms: float | None = Field(default=None, gt=0.0)
    """Milliseconds after which the node has failed; no limit unless given."""
    field: str | None = None
    """`pick`: the field to take."""
    separator: str = "\n"
    """`join`: what stands between two texts."""
    most: int | None = Field(default=None, ge=1, le=1000)
    """`split_clauses`: clauses at most, 16 unless given; the last one holds the rest of the text. `passage`: sentences at most, 3 unless given."""
    gold: str | None = None
    """Column of the data that holds this node's own right answer, for `potstill evaluate`."""

    @model_validator(mode="after")
    def _one_part(self) -> NodeSpec:
        given = [part for part in PARTS if getattr(self, part) is not None]
        if len(given) != 1:
            found = " and ".join(map(repr, given)) or "none of them"
            raise ValueError(f"a node is one of {', '.join(map(repr, PARTS))}; found {found}")
        if self.map is not None and self.input is not None:
            raise ValueError("'map' names the list that the node reads; leave out 'input'")
        if (self.on_error == "default") != (self.default is not None):
            raise ValueError("'on_error: default' and a 'default' go together")
        if self.default is not None and self.step is not None:
            raise ValueError("a step has no 'default'; let the node that reads it have one")
        if (self.step == "pick") != (self.field is not None):
            raise ValueError("'step: pick' and a 'field' go together")
        if self.task is not None and self.model is None:
            raise ValueError("'task' says what a 'model' is made from, and there is no 'model'")
        return self

    @property
    def part(self) -> str:
        """Which of the four kinds of node this is."""
        return next(part for part in PARTS if getattr(self, part) is not None)


def _or_parts(schema: dict[str, Any]) -> None:
    """Tell editors that the name of a node, or a mapping of parts, may stand for it."""
    schema["type"] = ["object", "string"]
    schema["additionalProperties"] = {"type": "string"}


class OutputSpec(Spec):
    """What the workflow answers: what a node does, or several parts."""

    model_config = ConfigDict(json_schema_extra=_or_parts)

    first: Names = []
    """Nodes that answer; the first of them that ran is taken."""
    prefix: bool = False
    """Whether labels say which node gave them: `banking/card_arrival`."""
    parts: dict[FieldName, str] = {}
    """An answer of several parts: the name of each with a reference to what it is. Short: the mapping itself."""

    @model_validator(mode="before")
    @classmethod
    def _from_short(cls, value: object) -> object:
        if isinstance(value, str):
            return {"first": [value]}
        if isinstance(value, dict) and value and not value.keys() & cls.model_fields.keys():
            return {"parts": value}
        return value

    @model_validator(mode="after")
    def _one_or_several(self) -> OutputSpec:
        if bool(self.first) == bool(self.parts):
            raise ValueError("the output is what 'first' of some nodes answers, or has 'parts'")
        if self.prefix and self.parts:
            raise ValueError("'prefix' is for labels, and an answer of several 'parts' names them")
        return self


class WorkflowSpec(Spec):
    """Several small models in company, written down."""

    kind: Literal["workflow"]
    """Always `workflow`."""
    version: Literal[1]
    """Version of this format: 1."""
    name: str = Field(pattern=NAME_PATTERN)
    """Short name: lower-case letters, digits, `-` and `_`."""
    description: str = ""
    """What it answers, in one sentence."""
    columns: Columns = Columns()
    """Which column of the data holds what; a list of input columns makes the input named fields."""
    out_of_scope: str | None = None
    """The label of gold rows that fit no label: right where the workflow defers."""
    nodes: Annotated[dict[NodeName, NodeSpec], Field(min_length=1)]
    """The nodes, by name, in any order."""
    output: OutputSpec
    """Which node's answer is the workflow's, or which parts its answer has. Short: the name of one node, or a mapping of names to references."""

    @field_validator("nodes")
    @classmethod
    def _not_the_input(cls, value: dict[str, NodeSpec]) -> dict[str, NodeSpec]:
        if INPUT in value:
            raise ValueError(f"no node can be called {INPUT!r}: that is the workflow's own input")
        return value
