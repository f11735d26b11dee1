"""Learning: from examples to a student, one narrow network that answers directly.

The names are imported when they are first used: torch takes seconds to load.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.train.bases import Base, resolve_base
    from potstill.train.encoder import embed
    from potstill.train.opinion import opinions
    from potstill.train.student import Student, load_student
    from potstill.train.training import Trained, train_student

__all__ = [
    "Base",
    "Student",
    "Trained",
    "embed",
    "load_student",
    "opinions",
    "resolve_base",
    "train_student",
]

_HOMES = {
    "Base": "bases",
    "Student": "student",
    "Trained": "training",
    "embed": "encoder",
    "load_student": "student",
    "opinions": "opinion",
    "resolve_base": "bases",
    "train_student": "training",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'potstill.train' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.train.{home}"), name)
