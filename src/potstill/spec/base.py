"""What every model of a specification shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Names = Annotated[list[str], Field(min_length=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Spec(BaseModel):
    """Unknown keys are refused: a typo must fail, not be ignored."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # What was mistaken for a name may be a key; our own errors show what may be shown.
        hide_input_in_errors=True,
    )
