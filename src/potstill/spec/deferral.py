"""When a model shall not answer, and who answers instead."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from potstill.spec.base import Spec


class DeferSpec(Spec):
    """A bound on the errors among what is answered, and what becomes of the rest."""

    max_error: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    """At most this share of the answers is wrong (alpha); what is less sure is deferred."""
    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.9
    """How sure that bound shall be, over the draw of the calibration rows (one minus delta)."""
    fallback: Literal["abstain", "teacher", "queue"] = "abstain"
    """Who answers what is deferred: nobody, the task's teacher, or a person's queue."""
    teacher_usd_per_day: Annotated[float, Field(gt=0.0)] | None = None
    """The most that the teacher may cost a day as a fallback; needed where it costs money."""
