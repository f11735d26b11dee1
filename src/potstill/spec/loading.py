"""Reading task and workflow files: the only reader of YAML.

A file is refused as a whole, with every mistake that it holds; `potstill.spec.mistakes` has
the words, and `potstill.spec.document` the lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from potstill.errors import SpecError
from potstill.spec.base import Spec
from potstill.spec.document import Document, Path_, parse
from potstill.spec.mistakes import SpecErrors, find_mistakes, near_file, noun, raise_mistakes
from potstill.spec.recipe import Recipe
from potstill.spec.schema import task_json_schema
from potstill.spec.task import Task
from potstill.spec.workflow import WorkflowSpec

Kind = Literal["task", "workflow", "recipe"]
_FIRST_VERSION = {
    "task": "Write a first version with: potstill init",
    "workflow": "The page docs/workflows.md shows how to write one.",
    "recipe": "Start from recipes/r1-tiny.yaml; docs/recipes.md explains it.",
}
_AnySpec = TypeVar("_AnySpec", bound=Spec)

_FILES: tuple[Path_, ...] = (
    ("data", "unlabeled"),
    ("data", "gold"),
    ("data", "dev"),
    ("data", "test"),
    ("teacher", "answers"),
)


class _SpecFile:
    """What every file of a specification can tell: where its keys stand, where its paths lead."""

    __slots__ = ()

    path: Path
    places: Mapping[Path_, str]

    @property
    def folder(self) -> Path:
        """The folder that paths in the file start from."""
        return self.path.parent

    def resolve(self, name: str) -> Path:
        """A path as the file writes it, from the folder of the file; ``~`` is the home."""
        return self.folder / Path(name).expanduser()

    def where(self, *path: str | int) -> str:
        """``file:line`` of a key, or of what surrounds it, for errors that other stages raise."""
        return Document(None, dict(self.places)).where(path) or str(self.path)


@dataclass(frozen=True, slots=True)
class LoadedTask(_SpecFile):
    """A task and the file that it came from.

    Attributes:
        task: what the file says.
        path: the file.
        places: path of a key (``("data", "gold")``) to ``file:line``.
    """

    task: Task
    path: Path
    places: Mapping[Path_, str]

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


@dataclass(frozen=True, slots=True)
class LoadedWorkflow(_SpecFile):
    """A workflow and the file that it came from.

    Attributes:
        workflow: what the file says.
        path: the file.
        places: path of a key (``("nodes", "route", "model")``) to ``file:line``.
    """

    workflow: WorkflowSpec
    path: Path
    places: Mapping[Path_, str]


@dataclass(frozen=True, slots=True)
class LoadedRecipe(_SpecFile):
    """A recipe and the file that it came from.

    Attributes:
        recipe: what the file says.
        path: the file.
        places: path of a key (``("stages", 2, "weights")``) to ``file:line``.
    """

    recipe: Recipe
    path: Path
    places: Mapping[Path_, str]


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
    task, document = _load(path, overrides, Task)
    loaded = LoadedTask(task, path, document.places)
    if check_files:
        raise_mistakes(list(_missing_files(loaded)))
    return loaded


def load_workflow(path: Path, overrides: Sequence[str] = ()) -> LoadedWorkflow:
    """Read a workflow file; whether its parts exist and fit, `potstill.workflow` checks.

    Args:
        path: the YAML file.
        overrides: ``key.key=value`` settings that go before the file.

    Raises:
        SpecError: the file is missing or no workflow; names the line and the remedy.
    """
    workflow, document = _load(path, overrides, WorkflowSpec)
    return LoadedWorkflow(workflow, path, document.places)


def load_recipe(
    path: Path, overrides: Sequence[str] = (), *, check_files: bool = True
) -> LoadedRecipe:
    """Read a recipe file.

    Args:
        path: the YAML file.
        overrides: ``key.key=value`` settings that go before the file.
        check_files: whether the data files that it names must exist.

    Raises:
        SpecError: the file is missing or no recipe, or a data file that it names is missing; names
            the line and the remedy.
    """
    recipe, document = _load(path, overrides, Recipe)
    loaded = LoadedRecipe(recipe, path, document.places)
    if check_files:
        raise_mistakes(list(_missing_sources(loaded)))
    return loaded


def kind_of(path: Path) -> Kind:
    """What a file is, by its ``kind``; a file without one is a task.

    Raises:
        SpecError: the file is missing, or not YAML.
    """
    kind = _read(path, "task").value.get("kind")
    return kind if kind in ("workflow", "recipe") else "task"


def _load(path: Path, overrides: Sequence[str], kind: type[_AnySpec]) -> tuple[_AnySpec, Document]:
    document = _read(path, noun(kind))
    for override in overrides:
        _override(document, override)
    _check_kind(document, noun(kind))
    try:
        # By way of JSON, whose strict mode takes 7 for a float but not "7", nor true for 1.
        found = kind.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        raise_mistakes(find_mistakes(error, document, kind))
        raise AssertionError from error  # a validation error has at least one mistake
    return found, document


def _check_kind(document: Document, wanted: str) -> None:
    """Tell a file of the other kind as such, rather than by all the keys that it lacks."""
    found = document.value.get("kind")
    if found in ("task", "workflow", "recipe") and found != wanted:
        raise SpecError(
            f"this is a {found} file, and a {wanted} is wanted.", where=document.where(("kind",))
        )


def _read(path: Path, noun: str) -> Document:
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise SpecError(
            f"this is a folder, not a {noun} file.",
            where=str(path),
            hint="Name the YAML file in it.",
        ) from error
    except FileNotFoundError as error:
        near = near_file(path)
        hint = f"Did you mean {near!r}?" if near else _FIRST_VERSION[noun]
        raise SpecError(f"no such {noun} file.", where=str(path), hint=hint) from error
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
        raise SpecError("the file is empty.", where=str(path), hint=_FIRST_VERSION[noun])
    if not isinstance(document.value, dict):
        raise SpecError(
            f"a {noun} file is a mapping (key: value).",
            where=document.where(()),
            hint=f"Start with 'kind: {noun}'.",
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
            near = near_file(file)
            what = "is a folder, not a file" if file.is_dir() else "does not exist"
            hint = f"Did you mean {near!r}?" if near else f"It is looked for at {file}"
            yield SpecError(f"the file {name!r} {what}.", where=where, hint=hint)


def _missing_sources(loaded: LoadedRecipe) -> Iterator[SpecError]:
    for name, source in loaded.recipe.data.items():
        if source.file is None or loaded.resolve(source.file).is_file():
            continue
        file = loaded.resolve(source.file)
        near = near_file(file)
        hint = f"Did you mean {near!r}?" if near else f"It is looked for at {file}"
        where = loaded.where("data", name, "file")
        yield SpecError(f"the file {source.file!r} does not exist.", where=where, hint=hint)


def _listed(names: str | Sequence[str] | None) -> Sequence[str]:
    return [names] if isinstance(names, str) else names or []


__all__ = [
    "LoadedRecipe",
    "LoadedTask",
    "LoadedWorkflow",
    "SpecErrors",
    "kind_of",
    "load_recipe",
    "load_task",
    "load_workflow",
    "task_json_schema",
]
