"""The rows of a recipe: its sources, and what stages leave for later ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from potstill.data import Example, Source, Text
from potstill.data.example import id_of
from potstill.data.files import sha256_of, write_jsonl
from potstill.data.reading import read_rows
from potstill.errors import DataError, MissingExtraError
from potstill.run.recipe.places import Places
from potstill.spec.loading import LoadedRecipe
from potstill.spec.recipe import SourceSpec
from potstill.verify import gym_wanted

SOURCES = "sources"
"""Folder of a run that holds the rows of all sources."""


def read_sources(loaded: LoadedRecipe) -> dict[str, list[Example]]:
    """All sources by name; those that are made share no question.

    Raises:
        DataError: a row that cannot be used, or too few distinct questions of a kind.
        MissingExtraError: a source needs a package that is not installed.
    """
    from potstill.generate.arithmetic import made_examples

    specs = loaded.recipe.data
    made = {name: spec.made for name, spec in specs.items() if spec.made is not None}
    found = {name: list(rows) for name, rows in made_examples(made, stage="read").items()}
    for name, spec in specs.items():
        if spec.made is None:
            found[name] = list(islice(_outside(name, spec, loaded), spec.rows))
        elif spec.rows is not None:
            found[name] = found[name][: spec.rows]
        if not found[name]:
            raise DataError(f"the source {name!r} has no rows.", where=loaded.where("data", name))
    return {name: found[name] for name in specs}


def _outside(name: str, spec: SourceSpec, loaded: LoadedRecipe) -> Iterator[Example]:
    """Rows that are not made here."""
    if spec.file is not None:
        path = loaded.resolve(spec.file)
        source = {"name": path.name, "revision": sha256_of(path)}
        return _examples(read_rows(path), spec, source, where=str(path))
    if spec.hub is not None:
        return _examples(_hub_rows(spec.hub), spec, {"name": spec.hub}, where=spec.hub)
    return _gym_rows(name, str(spec.gym), spec, loaded)


def _examples(
    rows: Iterable[Any], spec: SourceSpec, source: Mapping[str, str], *, where: str
) -> Iterator[Example]:
    """Examples of rows with a question, perhaps an answer, perhaps a thought."""
    for number, row in enumerate(rows, start=1):
        cells: Mapping[str, Any] = row if isinstance(row, Mapping) else row.fields
        prompt, answer, thought = (
            cells.get(column) for column in (spec.prompt, spec.answer, spec.thought)
        )
        if not isinstance(prompt, str) or not prompt.strip():
            raise DataError(
                f"row {number} has no question under {spec.prompt!r}.",
                where=where,
                hint="Name its column: data.SOURCE.prompt.",
            )
        given = [("prompt", prompt), ("target", answer), ("reasoning", thought)]
        yield Example(
            id=str(cells.get("id") or id_of(prompt)),
            input=prompt,
            target=None if answer is None else Text(str(answer)),
            reasoning=None if thought is None else str(thought),
            sources=(
                Source(
                    kind="person" if spec.person else "dataset",
                    contributed=tuple(part for part, value in given if value is not None),  # type: ignore[arg-type]
                    stage="read",
                    terms=spec.terms,
                    **source,
                ),
            ),
        )


def _hub_rows(name: str) -> Iterator[Mapping[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise MissingExtraError("datasets", "reason") from error
    try:
        found: Any = load_dataset(name, split="train", streaming=True)
    except Exception as error:  # the hub client raises many kinds; all mean "not here"
        raise DataError(
            f"the data set {name!r} could not be fetched from the hub ({type(error).__name__}).",
            hint="Check the name and the network, or name a file.",
        ) from error
    return iter(found)


def _gym_rows(name: str, family: str, spec: SourceSpec, loaded: LoadedRecipe) -> Iterator[Example]:
    """Rows of a family behind those of the sources before it: no two sources share a row."""
    try:
        import reasoning_gym  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("reasoning-gym", "gym") from error
    first = 0
    for earlier, other in loaded.recipe.data.items():
        if earlier == name:
            break
        first += _gym_size(other) if other.gym == family else 0
    size = first + _gym_size(spec)
    found: Any = reasoning_gym.create_dataset(family, size=size, seed=loaded.recipe.seed)
    for number in range(first, size):
        entry = found[number]
        yield Example(
            id=f"{family}-{number}",
            input=str(entry["question"]),
            target=Text(gym_wanted(entry)),
            sources=(
                Source(
                    kind="rule",
                    name=f"reasoning-gym/{family}",
                    contributed=("prompt", "target"),
                    stage="read",
                    terms="Apache-2.0",
                ),
            ),
        )


def _gym_size(spec: SourceSpec) -> int:
    return spec.rows or 1000


def load_rows(path: Path) -> list[Example]:
    """Rows that a stage left."""
    with path.open("rb") as lines:
        return [Example.from_json(orjson.loads(line)) for line in lines]


def save_rows(path: Path, rows: Sequence[Example]) -> None:
    """Leave rows for later stages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(path, (row.to_json() for row in rows))


def rows_of(places: Places, names: Iterable[str]) -> list[Example]:
    """The rows of sources and stages, by their names."""
    found: list[Example] = []
    for name in names:
        if name in places.recipe.data:
            found += load_rows(places.of(SOURCES) / f"{name}.jsonl")
        else:
            found += load_rows(places.rows(name))
    return found


def questions_of_test(places: Places) -> list[Example]:
    """The questions that judge, and that no stage learns from."""
    rows = rows_of(places, [places.recipe.judge.data])
    return list({row.id: row for row in rows}.values())
