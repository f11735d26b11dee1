"""Reading task files: the only reader of YAML, and the one that knows where a mistake stands.

A file is refused as a whole, with every mistake that it holds:

    complaints.yaml:9: unknown key 'lables'. Did you mean 'labels'?
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from potstill.errors import SpecError
from potstill.spec.document import Document, Path_, parse
from potstill.spec.schema import described_keys, task_json_schema
from potstill.spec.task import Task

_FILES: tuple[Path_, ...] = (
    ("data", "unlabeled"),
    ("data", "gold"),
    ("data", "test"),
    ("teacher", "answers"),
)
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


@dataclass(frozen=True, slots=True)
class LoadedTask:
    """A task and the file that it came from.

    Attributes:
        task: what the file says.
        path: the file.
        places: path of a key (``("data", "gold")``) to ``file:line``.
    """

    task: Task
    path: Path
    places: Mapping[Path_, str]

    @property
    def folder(self) -> Path:
        """The folder that paths in the file start from."""
        return self.path.parent

    def resolve(self, name: str) -> Path:
        """A path as the task writes it, from the folder of its file; ``~`` is the home."""
        return self.folder / Path(name).expanduser()

    def resolve_all(self, names: str | Sequence[str] | None) -> tuple[Path, ...]:
        """The files of a key that holds one name, several or none; a pattern is all it fits.

        Files that fit a pattern (``answers/*.jsonl``) come in the order of their names.
        """
        return tuple(file for name in _listed(names) for file in self._matching(name))

    def _matching(self, name: str) -> list[Path]:
        path = self.resolve(name)
        if path.exists() or not any(sign in path.name for sign in "*?["):
            return [path]
        return sorted(path.parent.glob(path.name))

    def where(self, *path: str | int) -> str:
        """``file:line`` of a key, or of what surrounds it, for errors that other stages raise."""
        return Document(None, dict(self.places)).where(path) or str(self.path)


def load_task(path: Path, overrides: Sequence[str] = (), *, check_files: bool = True) -> LoadedTask:
    """Read a task file.

    Args:
        path: the YAML file.
        overrides: ``key.key=value`` settings that go before the file; the value is YAML
            (``student.mode=frozen``, ``accept.macro_f1.min=0.8``, ``filter=[validity]``).
            Paths in them, too, start from the folder of the file.
        check_files: whether the data files that it names must exist.

    Raises:
        SpecError: the file is missing or no task; names the line and the remedy.
    """
    document = _read(path)
    for override in overrides:
        _override(document, override)
    try:
        # By way of JSON, whose strict mode takes 7 for a float but not "7", nor true for 1.
        task = Task.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        _raise(_mistakes(error, document))
        raise AssertionError from error  # a validation error has at least one mistake
    loaded = LoadedTask(task, path, document.places)
    if check_files:
        _raise(list(_missing_files(loaded)))
    return loaded


def _read(path: Path) -> Document:
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise SpecError(
            "this is a folder, not a task file.", where=str(path), hint="Name the YAML file in it."
        ) from error
    except FileNotFoundError as error:
        near = _near_file(path)
        hint = f"Did you mean {near!r}?" if near else "Write one with: potstill init"
        raise SpecError("no such task file.", where=str(path), hint=hint) from error
    except OSError as error:
        raise SpecError(f"{error.strerror or error}.", where=str(path)) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"byte {error.start + 1} of the file is not UTF-8.",
            where=f"{path}:{line}",
            hint="Save the file as UTF-8.",
        ) from error
    document = parse(text, lambda line: f"{path}:{line}")
    if document.value is None:
        raise SpecError(
            "the file is empty.", where=str(path), hint="Write a first version with: potstill init"
        )
    if not isinstance(document.value, dict):
        raise SpecError(
            "a task file is a mapping (key: value).",
            where=document.where(()),
            hint="Start with 'kind: task'.",
        )
    return document


def _override(document: Document, override: str) -> None:
    """Set one value in the document, making the mappings on the way to it."""
    where = f"--set {override}"
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise SpecError(
            "expected key=value.", where=where, hint="For example: --set student.mode=frozen"
        )
    path: Path_ = tuple(keys)
    parsed = parse(text, lambda _: where, at=path)
    target = document.value
    for depth, key in enumerate(keys[:-1], start=1):
        if target.get(key) is None:
            target[key] = {}
            document.places.setdefault(path[:depth], where)
        target = target[key]
        if not isinstance(target, dict):
            raise SpecError(f"{'.'.join(keys[:depth])!r} holds no keys.", where=where)
    target[keys[-1]] = parsed.value
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places.update({path: where, **parsed.places})


def _mistakes(error: ValidationError, document: Document) -> list[SpecError]:
    """Pydantic's findings as our own, one for each place, in the order of the file."""
    by_path: dict[Path_, list[ErrorDetails]] = {}
    details = error.errors(include_url=False)
    unknown = [each["loc"] for each in details if each["type"] == "extra_forbidden"]
    for found in details:
        # A key that is misspelt is one mistake, not an unknown key and a missing one.
        typos = [str(loc[-1]) for loc in unknown if loc[:-1] == found["loc"][:-1]]
        if found["type"] == "missing" and _meant(str(found["loc"][-1]), typos):
            continue
        by_path.setdefault(_path_in(document.value, found), []).append(found)
    order = list(document.places)
    ranks = {path: order.index(path) if path in document.places else -1 for path in by_path}
    return [
        _mistake(path, found, document)
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


def _mistake(path: Path_, found: list[ErrorDetails], document: Document) -> SpecError:
    # Of the members of a union, the one that fits but for its content tells more.
    first = next((each for each in found if each["type"] not in _KINDS), found[0])
    kind = first["type"]
    where = document.where(path)
    name = ".".join(step for step in path if isinstance(step, str))
    if kind == "extra_forbidden":
        known = described_keys(path[:-1])
        return SpecError(
            f"unknown key {path[-1]!r}.",
            where=where,
            hint=_meant(str(path[-1]), known) or f"Known here: {', '.join(known)}.",
        )
    if kind == "missing":
        names = [str(each["loc"][-1]) for each in found if each["type"] == "missing"]
        known = described_keys(path)
        hints = [f"{key!r} is: {known[key]}" for key in names if known.get(key)]
        lacks = f"{name!r} lacks" if path else "the task lacks"
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
        return f"{name!r} must be {expected}, not {value!r}.", _meant(str(value), choices)
    if kind == "string_pattern_mismatch":
        return (
            f"{name!r} is {value!r}, but may hold lower-case letters, digits, '-' and '_' alone.",
            "For example: bank-complaints",
        )
    reason = found["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name!r}: {reason}." if name else f"{reason}.", None


def _missing_files(loaded: LoadedTask) -> Iterator[SpecError]:
    for path in _FILES:
        section = getattr(loaded.task, str(path[0]))
        names = getattr(section, str(path[1]), None)
        for number, name in enumerate(_listed(names)):
            files = loaded.resolve_all(name)
            if files and all(file.is_file() for file in files):
                continue
            file = loaded.resolve(name)
            where = loaded.where(*path, *((number,) if isinstance(names, list) else ()))
            near = _near_file(file)
            what = "is a folder, not a file" if file.is_dir() else "does not exist"
            hint = f"Did you mean {near!r}?" if near else f"It is looked for at {file}"
            yield SpecError(f"the file {name!r} {what}.", where=where, hint=hint)


def _raise(mistakes: Sequence[SpecError]) -> None:
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise SpecErrors(mistakes)


def _listed(names: str | Sequence[str] | None) -> Sequence[str]:
    return [names] if isinstance(names, str) else names or []


def _meant(word: str, known: Sequence[str] | Mapping[str, str]) -> str | None:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else None


def _near_file(path: Path) -> str | None:
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


__all__ = ["LoadedTask", "SpecErrors", "load_task", "task_json_schema"]
