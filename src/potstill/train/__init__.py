"""Learning: from examples to a student, one narrow network that answers directly.

The names are imported when they are first used: torch takes seconds to load.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.train.bases import Base, candidate_bases, missing_bases, resolve_base
    from potstill.train.encoder import embed
    from potstill.train.opinion import opinions
    from potstill.train.picking.student import PickStudent, load_picker
    from potstill.train.picking.training import train_picker
    from potstill.train.spans.student import SpanStudent, load_extractor
    from potstill.train.spans.training import train_extractor
    from potstill.train.student import Student, load_student
    from potstill.train.training import Trained, train_student
    from potstill.train.writing.bases import missing_writer, resolve_writer
    from potstill.train.writing.student import WritingStudent, load_writer
    from potstill.train.writing.training import train_writer

__all__ = [
    "Base",
    "PickStudent",
    "SpanStudent",
    "Student",
    "Trained",
    "WritingStudent",
    "candidate_bases",
    "embed",
    "load_extractor",
    "load_picker",
    "load_student",
    "load_writer",
    "missing_bases",
    "missing_writer",
    "opinions",
    "resolve_base",
    "resolve_writer",
    "train_extractor",
    "train_picker",
    "train_student",
    "train_writer",
]

_HOMES = {
    "Base": "bases",
    "PickStudent": "picking.student",
    "SpanStudent": "spans.student",
    "Student": "student",
    "Trained": "training",
    "WritingStudent": "writing.student",
    "candidate_bases": "bases",
    "embed": "encoder",
    "load_extractor": "spans.student",
    "load_picker": "picking.student",
    "load_student": "student",
    "load_writer": "writing.student",
    "missing_bases": "bases",
    "missing_writer": "writing.bases",
    "opinions": "opinion",
    "resolve_base": "bases",
    "resolve_writer": "writing.bases",
    "train_extractor": "spans.training",
    "train_picker": "picking.training",
    "train_student": "training",
    "train_writer": "writing.training",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'potstill.train' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.train.{home}"), name)
