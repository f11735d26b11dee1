"""What a generated text has to be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from potstill.spec.base import Spec

Guard = Literal["length", "copied", "repetition"]


class TextSpec(Spec):
    """The text that is wanted: how long, in which style, and which guards stand before it."""

    max_words: Annotated[int, Field(ge=1, le=1000)] = 60
    """Words of the longest text; in scripts without spaces between words, letters."""
    rubric: list[str] = []
    """What a good text is, a sentence each; told to the teacher and to the judge."""
    guards: list[Guard] = ["length", "copied", "repetition"]
    """Checks of every text before it is answered: `length`, `copied` (each figure and name stands in the source), `repetition`. A text that fails gives way to sentences of the source."""
