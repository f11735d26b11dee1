"""What a verifier is: it reads an answer and what was wanted, and says whether they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one answer.

    Attributes:
        right: whether the answer is right; None where the verifier could not tell, which is
            counted, never taken for right.
        fault: a short machine-readable name of what went wrong (``timeout``, ``no_answer``,
            ``crashed`` …); None where nothing did. A wrong answer is no fault.
        found: the final answer that was found in the text, for a person to look at.
    """

    right: bool | None
    fault: str | None = None
    found: str = ""


@runtime_checkable
class Verifier(Protocol):
    """Says whether an answer is right. Never raises: trouble is a `Verdict` with a fault.

    Safe to call from several threads at once.
    """

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """Judge one answer.

        Args:
            answer: what stands behind the thought; all of it, with whatever was said around.
            wanted: the right answer, in the form that the verifier documents.
        """
        ...
