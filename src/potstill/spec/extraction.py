"""The fields of an extraction task: what is looked for in a document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from potstill.spec.base import Fraction, Spec

FieldType = Literal["text", "date", "integer", "money", "duration", "choice"]


def _or_list(schema: dict[str, Any]) -> None:
    """Tell editors that choices may be a plain list as well."""
    mapping = {key: schema.pop(key) for key in ("additionalProperties", "type")}
    schema["anyOf"] = [mapping, {"type": "array", "items": {"type": "string"}}]


class FieldSpec(Spec):
    """One field."""

    type: FieldType = "text"
    """Kind of value. `date` is given as ISO 8601, `money` as amount and currency, `duration` as number and unit, `choice` as one of `choices`."""
    description: str | None = None
    """What is looked for, in one sentence."""
    many: bool = False
    """Whether a document may hold several values; otherwise the surest one is answered."""
    required: bool = False
    """Whether every document holds it: where it is missing, the answer is deferred."""
    choices: Annotated[dict[str, list[str]], Field(json_schema_extra=_or_list)] = {}
    """`choice`: the values, each with other ways to write it; or a plain list."""

    @field_validator("choices", mode="before")
    @classmethod
    def _choices_from_list(cls, value: object) -> object:
        if isinstance(value, list):
            names = [str(item) for item in value]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"the choice {twice[0]!r} stands twice")
            return {name: [] for name in names}
        if isinstance(value, dict):
            return {name: [] if other is None else other for name, other in value.items()}
        return value

    @model_validator(mode="after")
    def _choices_for_choice(self) -> FieldSpec:
        if self.type == "choice" and len(self.choices) < 2:
            raise ValueError("a field of type 'choice' needs at least two 'choices'")
        if self.type != "choice" and self.choices:
            raise ValueError(f"'choices' is for the type 'choice', not {self.type!r}")
        return self


class WindowSpec(Spec):
    """How a document of any length is read."""

    tokens: Annotated[int, Field(ge=16, le=8192)] = 256
    """Tokens of a window, special ones included; documents are read in windows, whole."""
    overlap: Annotated[float, Field(ge=0.0, lt=0.9)] = 0.25
    """Share of a window that the next one reads again, so that no value is cut in two."""
    widest_value: Annotated[int, Field(ge=1, le=128)] = 24
    """Tokens of the longest value."""

    @model_validator(mode="after")
    def _holds_the_widest(self) -> WindowSpec:
        # Half of a window may be context, and the rest holds two values at the least.
        if self.tokens <= 4 * self.widest_value:
            raise ValueError(
                f"windows of {self.tokens} tokens are too small for values of up to "
                f"{self.widest_value}: set 'tokens' to {5 * self.widest_value + 8} or more, or "
                "lower 'widest_value'"
            )
        return self


class ConfidenceSpec(Spec):
    """From which confidence a field is answered."""

    min_confidence: Fraction = 0.0
    """A field that is less sure than this is deferred, with the value as a guess."""
