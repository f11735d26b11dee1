"""How a teacher is asked: with what beside the question, for what beside the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way of asking.

    Attributes:
        reasoning: think first, then answer.
        examples: gold examples shown. Where that is as many as there are, all of them stand
            in the system turn, which is the same for every row and is cached; otherwise the
            nearest ones stand beside the question.
        shortlist: labels offered, the likeliest ones; 0 offers all.
        votes: answers to each question.
    """

    reasoning: bool = False
    examples: int = 0
    shortlist: int = 0
    votes: int = 1

    @property
    def name(self) -> str:
        """The method in words, for tables, e.g. ``154 examples + shortlist of 6``."""
        parts = [
            f"{self.examples} examples" if self.examples else "",
            f"shortlist of {self.shortlist}" if self.shortlist else "",
            "reasoning" if self.reasoning else "",
            f"{self.votes} votes" if self.votes > 1 else "",
        ]
        return " + ".join(part for part in parts if part) or "bare"

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {"name": self.name, **asdict(self)}
