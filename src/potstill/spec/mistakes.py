"""Mistakes in a specification, as a person reads them: file, line, what is wrong, what was meant.

complaints.yaml:9: unknown key 'lables'. Did you mean 'labels'?
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from potstill.errors import SpecError
from potstill.spec.base import Spec
from potstill.spec.document import Document, Path_
from potstill.spec.schema import described_keys

_MOST_MISTAKES = 20
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
}


class SpecErrors(SpecError):
    """Several mistakes in one file; printed one a line.

    Attributes:
        errors: the mistakes, in the order of their lines.
    """

    def __init__(self, errors: Sequence[SpecError]) -> None:
        super().__init__(errors[0].message, where=errors[0].where, hint=errors[0].hint)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        shown = [str(error) for error in self.errors[:_MOST_MISTAKES]]
        more = len(self.errors) - len(shown)
        return "\n".join(shown + ([f"… and {more} more mistakes."] if more else []))


def find_mistakes(error: ValidationError, document: Document, kind: type[Spec]) -> list[SpecError]:
    """Pydantic's findings as our own, one for each place, in the order of the file.

    Args:
        error: what pydantic found.
        document: the file, with the line of every key.
        kind: what the file was to be.
    """
    by_path: dict[Path_, list[ErrorDetails]] = {}
    details = error.errors(include_url=False)
    unknown = [each["loc"] for each in details if each["type"] == "extra_forbidden"]
    for found in details:
        # A key that is misspelt is one mistake, not an unknown key and a missing one.
        typos = [str(loc[-1]) for loc in unknown if loc[:-1] == found["loc"][:-1]]
        if found["type"] == "missing" and meant(str(found["loc"][-1]), typos):
            continue
        by_path.setdefault(_path_in(document.value, found), []).append(found)
    order = list(document.places)
    ranks = {path: order.index(path) if path in document.places else -1 for path in by_path}
    return [
        _mistake(path, found, document, kind)
        for path, found in sorted(by_path.items(), key=lambda item: ranks[item[0]])
    ]


def _path_in(value: Any, found: ErrorDetails) -> Path_:
    """The part of a location that is in the file: pydantic adds names of union members."""
    path: Path_ = ()
    for step in found["loc"]:
        if isinstance(value, dict) and step in value:  # noqa: SIM114  # apart, types are narrowed
            value = value[step]
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
        else:
            break
        path = (*path, step)
    return path


def _mistake(
    path: Path_, found: list[ErrorDetails], document: Document, spec: type[Spec]
) -> SpecError:
    # Of the members of a union, the one that fits but for its content tells more.
    first = next((each for each in found if each["type"] not in _KINDS), found[0])
    kind = first["type"]
    where = document.where(path)
    name = ".".join(step for step in path if isinstance(step, str))
    if kind == "extra_forbidden":
        known = described_keys(spec, path[:-1])
        return SpecError(
            f"unknown key {path[-1]!r}.",
            where=where,
            hint=meant(str(path[-1]), known) or f"Known here: {', '.join(known)}.",
        )
    if kind == "missing":
        names = [str(each["loc"][-1]) for each in found if each["type"] == "missing"]
        known = described_keys(spec, path)
        hints = [f"{key!r} is: {known[key]}" for key in names if known.get(key)]
        lacks = f"{name!r} lacks" if path else f"the {noun(spec)} lacks"
        return SpecError(
            f"{lacks} {', '.join(map(repr, names))}.", where=where, hint=" ".join(hints) or None
        )
    value = first["input"]
    wanted = list(dict.fromkeys(_KINDS[each["type"]] for each in found if each["type"] in _KINDS))
    if kind in _KINDS:
        quotes = isinstance(value, int | float) and "text" in wanted
        return SpecError(
            f"{name!r} must be {' or '.join(wanted)}, not {_shown(value)}.",
            where=where,
            hint="Put it into quotes." if quotes else None,
        )
    message, hint = _content_fault(name, first)
    return SpecError(message, where=where, hint=hint)


def _content_fault(name: str, found: ErrorDetails) -> tuple[str, str | None]:
    """A value of the right kind that cannot be taken, as (message, hint)."""
    kind, value = found["type"], found["input"]
    if kind == "too_short":
        return f"{name!r} is an empty list.", "Name one at least."
    if kind == "literal_error":
        expected = str(found.get("ctx", {}).get("expected", ""))
        choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
        return f"{name!r} must be {expected}, not {value!r}.", meant(str(value), choices)
    if kind == "string_pattern_mismatch":
        return (
            f"{name!r} is {value!r}, but may hold lower-case letters, digits, '-' and '_' alone.",
            "For example: bank-complaints",
        )
    reason = found["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name!r}: {reason}." if name else f"{reason}.", None


def noun(spec: type[Spec]) -> str:
    """What a file of a kind is called in errors: its word under ``kind``."""
    return str(get_args(spec.model_fields["kind"].annotation)[0])


def raise_mistakes(mistakes: Sequence[SpecError]) -> None:
    """Raise what was found: one mistake as itself, several as one error, none not at all.

    Raises:
        SpecError: there are mistakes.
    """
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise SpecErrors(mistakes)


def meant(word: str, known: Iterable[str]) -> str | None:
    """The hint that names the nearest of the known words; None where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else None


def near_file(path: Path) -> str | None:
    """The name of a file beside a missing one that may have been meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    # Above the usual cutoff: endings are alike whatever the names.
    return next(iter(difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)), None)


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}…"
