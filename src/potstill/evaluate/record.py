"""`Record`: a frozen dataclass that goes to JSON and comes back as the same object."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from potstill.errors import DataError


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Record:
    """Base of the dataclasses that a report is made of."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of what JSON knows: tuples are lists, nested records dictionaries."""
        return _adapter(type(self)).dump_python(self, mode="json")

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            DataError: a field is missing or of another type.
        """
        try:
            return _adapter(cls).validate_python(dict(row))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"{cls.__name__} cannot be read: {place}: {first['msg']}",
                hint="Was it written by another version? Evaluate again to write it anew.",
            ) from None
