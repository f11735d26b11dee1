"""`ValueReader`: what evidence says of a field, and where evidence may stand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from potstill.data.extraction import Scalar
from potstill.data.values import Convention, read_value
from potstill.spec.extraction import FieldSpec

_REMEMBERED = 16_384
"""Readings that are kept: a contract says the same words on every page, and neighbouring windows
read them twice."""


class ValueReader:
    """Reads the values of fields from evidence. Safe to share between threads.

    Args:
        fields: by name, in the order of the logits.
        conventions: how the values of a field are recorded; a field without one has none.
    """

    def __init__(
        self, fields: Mapping[str, FieldSpec], conventions: Mapping[str, Convention]
    ) -> None:
        self.fields, self.conventions = fields, conventions
        self._remembered = lru_cache(_REMEMBERED)(self._read)

    def __call__(self, field: str, evidence: str) -> Scalar | None:
        """The value that the evidence says of a field; None where it is none."""
        return self._remembered(field, evidence)

    def whole(self, field: str) -> bool:
        """Whether values of a field are whole words and figures: all but those recorded otherwise."""
        convention = self.conventions.get(field)
        return convention is None or not convention.inside_words

    def _read(self, field: str, evidence: str) -> Scalar | None:
        return read_value(evidence, self.fields[field], self.conventions.get(field))
