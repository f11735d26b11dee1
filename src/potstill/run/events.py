"""What a run says while it works: typed events, for the terminal and for ``events.jsonl``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EventKind = Literal["started", "progress", "finished", "skipped", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: what sort of thing.
        stage: the stage in which it happened.
        text: a sentence for a person.
        done: units finished, for `progress`.
        total: units in all, for `progress`.
        time: seconds since the epoch.
    """

    kind: EventKind
    stage: str
    text: str = ""
    done: int = 0
    total: int = 0
    time: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for one line of ``events.jsonl``."""
        return asdict(self)


Listener = Callable[[Event], None]
"""Receives each event as it happens; must not raise."""


def ignore(_event: Event, /) -> None:
    """The listener of those who do not listen."""
