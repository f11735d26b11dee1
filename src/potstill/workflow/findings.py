"""Mistakes in one workflow file, collected so that all of them can be told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from potstill.errors import SpecError
from potstill.spec.loading import LoadedWorkflow
from potstill.spec.mistakes import raise_mistakes
from potstill.workflow.references import Mistake

_T = TypeVar("_T")


class Findings:
    """What is wrong with a file.

    Args:
        loaded: the file, which knows the line of every key.
    """

    def __init__(self, loaded: LoadedWorkflow) -> None:
        self._loaded = loaded
        self._mistakes: list[SpecError] = []

    def say(self, message: str, hint: str | None, *path: str | int) -> None:
        """Note a mistake at a key."""
        self.add(SpecError(message, where=self._loaded.where(*path), hint=hint))

    def add(self, mistake: SpecError) -> None:
        """Note a mistake that knows its place."""
        self._mistakes.append(mistake)

    def attempt(self, read: Callable[[], _T], *path: str | int) -> _T | None:
        """What is read at a key; None, and a mistake noted, where it cannot be."""
        try:
            return read()
        except Mistake as mistake:
            at = (*path, *mistake.at)
            if at not in self._loaded.places:  # the short form of a condition has no 'in'
                at = (*path, *(step for step in mistake.at if isinstance(step, int)))
            self.say(mistake.message, mistake.hint, *at)
            return None

    def raise_all(self) -> None:
        """Raise what was found, in the order of the file.

        Raises:
            SpecError: something was.
        """
        raise_mistakes(sorted(self._mistakes, key=lambda mistake: _line(mistake.where)))


def _line(where: str | None) -> tuple[str, int]:
    file, _, line = (where or "").rpartition(":")
    return (file, int(line)) if line.isdigit() else (where or "", 0)
