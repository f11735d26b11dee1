"""Readers: JSONL, CSV and Parquet files, any column names, one row at a time.

A row that cannot be read as a row (broken JSON, bytes that are not UTF-8) stops the reading
with its file and line: what follows it could be anything. A row that can be read but not
used (no text, two answers under one id) is set aside as a `Rejection`, and the rest goes on.
"""

from __future__ import annotations

import csv
import difflib
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from potstill.data.example import Example, Input, Rejection, Source, Target, id_of
from potstill.errors import DataError
from potstill.spec.task import Columns

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in a file.

    Attributes:
        where: ``file:line``, lines counted from 1 (Parquet: row number).
        fields: column name to value.
    """

    where: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading data files."""

    examples: list[Example]
    rejected: list[Rejection]


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one file, in order, in bounded memory.

    Raises:
        DataError: the file is missing, of an unknown kind, or a row cannot be read.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise DataError(
            f"files ending in {path.suffix or 'nothing'!r} are not read.",
            where=str(path),
            hint=f"Known endings: {', '.join(SUFFIXES)}.",
        )
    if not path.is_file():
        raise DataError("no such file.", where=str(path), hint="Check the path.")
    if kind == "parquet":
        yield from _parquet_rows(path)
        return
    with path.open("rb") as stream:
        if kind == "jsonl":
            yield from jsonl_rows(stream, str(path))
        else:
            yield from csv_rows(stream, str(path), delimiter="\t" if kind == "tsv" else ",")


def jsonl_rows(stream: BinaryIO, name: str) -> Iterator[Row]:
    """The rows of a stream of JSON lines; empty lines are passed over.

    Raises:
        DataError: a line that is not a JSON object, with its number.
    """
    for number, line in enumerate(stream, start=1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield json_row(text, f"{name}:{number}")


def json_row(line: bytes, where: str) -> Row:
    """One line of JSON as a row.

    Raises:
        DataError: the line is not UTF-8, not JSON, or not an object.
    """
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as broken:
            raise DataError(
                f"byte {broken.start + 1} of the line is not UTF-8.",
                where=where,
                hint="Save the file as UTF-8.",
            ) from error
        raise DataError(
            f"not JSON: {error.msg} at character {error.pos + 1}.",
            where=where,
            hint="Each line must be one whole JSON object.",
        ) from error
    if not isinstance(fields, dict):
        raise DataError(
            f"expected a JSON object, found {type(fields).__name__}.",
            where=where,
            hint='Write each row as {"text": …}.',
        )
    return Row(where, fields)


def csv_rows(stream: BinaryIO, name: str, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a stream of CSV with a header line.

    Raises:
        DataError: bytes that are not UTF-8, or a row with more cells than the header.
    """
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, delimiter=delimiter)
    try:
        for fields in reader:
            where = f"{name}:{reader.line_num}"
            if None in fields:
                raise DataError(
                    f"the row has more cells than the header has columns ({len(reader.fieldnames or ())}).",
                    where=where,
                    hint="Quote cells that hold the delimiter.",
                )
            yield Row(where, {key: value for key, value in fields.items() if value is not None})
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 after line {reader.line_num}: {error.reason}.",
            where=name,
            hint="Save the file as UTF-8.",
        ) from error
    except csv.Error as error:
        raise DataError(f"not CSV: {error}.", where=f"{name}:{reader.line_num}") from error
    finally:
        text.detach()  # the stream belongs to the caller


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}:{number}", fields)
    except arrow.ArrowException as error:
        raise DataError(f"not a readable Parquet file: {error}.", where=str(path)) from error


def input_of(row: Row, columns: Columns) -> Input | None:
    """The row's input by the column map; None where there is no text."""
    if isinstance(columns.input, str):
        value = row.fields.get(columns.input)
        return value if isinstance(value, str) and value.strip() else None
    named = {name: row.fields.get(name) for name in columns.input}
    texts = {name: value for name, value in named.items() if isinstance(value, str)}
    return texts if any(value.strip() for value in texts.values()) else None


def target_of(value: object, *, multilabel: bool) -> Target | None:
    """A cell as a target; None where it is empty. Labels are kept as written, trimmed."""
    if value is None:
        return None
    if multilabel:
        parts = value if isinstance(value, list) else str(value).split(",")
        return tuple(str(part).strip() for part in parts if str(part).strip())
    return str(value).strip() or None


def read_examples(
    paths: Sequence[Path],
    columns: Columns,
    *,
    multilabel: bool = False,
    labelled: bool,
    terms: str | None = None,
) -> Reading:
    """Examples from data files, with their sources, and the rows that cannot be used.

    A labelled row is gold: its sources are the data set (the input) and a person (the
    target). Two rows under one id are one example when they agree, and both are rejected
    when they do not, since nothing tells which is right.

    Args:
        paths: JSONL, CSV or Parquet files.
        columns: which column holds what.
        multilabel: whether targets are several labels.
        labelled: whether a target is expected.
        terms: licence or terms-of-use id of the texts.

    Raises:
        DataError: a file that is missing, broken, empty, or without the columns named.
    """
    seen: dict[str, Example] = {}
    rejected: list[Rejection] = []
    conflicting: set[str] = set()
    for path in paths:
        count = 0
        first: Row | None = None
        usable = 0
        for row in read_rows(path):
            count += 1
            first = first or row
            found = _example(row, columns, path.name, multilabel, labelled, terms)
            if isinstance(found, Rejection):
                rejected.append(found)
                continue
            usable += 1
            known = seen.setdefault(found.id, found)
            if known is not found and (known.input, known.target) != (found.input, found.target):
                conflicting.add(found.id)
                rejected.append(_conflict(found, row.where))
        if first is None:
            raise DataError("the file holds no rows.", where=str(path))
        if not usable:
            _explain_unusable(first, columns, labelled, count)
    for identifier in conflicting:
        rejected.append(_conflict(seen.pop(identifier), "the first of these rows"))
    return Reading(list(seen.values()), rejected)


def _example(
    row: Row, columns: Columns, file: str, multilabel: bool, labelled: bool, terms: str | None
) -> Example | Rejection:
    value = input_of(row, columns)
    identifier = row.fields.get(columns.id)
    if value is None:
        return Rejection(
            id=str(identifier) if identifier is not None else row.where,
            stage="read",
            cause="empty_text",
            detail=f"{row.where} holds no text in {columns.input!r}",
        )
    sources = [Source(kind="dataset", name=file, contributed=("input",), stage="read", terms=terms)]
    group = row.fields.get(columns.group) if columns.group else None
    example = Example(
        id=str(identifier) if identifier is not None else id_of(value),
        input=value,
        group=None if group is None else str(group),
        sources=tuple(sources),
    )
    if not labelled:
        return example
    target = target_of(row.fields.get(columns.target), multilabel=multilabel)
    if target is None:
        return Rejection(
            id=example.id,
            stage="read",
            cause="no_label",
            detail=f"{row.where} holds no label in {columns.target!r}",
            example=example,
        )
    person = Source(kind="person", name=file, contributed=("target",), stage="read", terms=terms)
    return replace(example, target=target, sources=(*example.sources, person))


def _conflict(example: Example, where: str) -> Rejection:
    return Rejection(
        id=example.id,
        stage="read",
        cause="id_conflict",
        detail=f"{where} has the id of another row that says something else",
        example=example,
    )


def _explain_unusable(row: Row, columns: Columns, labelled: bool, count: int) -> None:
    """Say which column is missing, and which one was probably meant."""
    wanted = [columns.input] if isinstance(columns.input, str) else list(columns.input)
    if labelled:
        wanted.append(columns.target)
    for name in wanted:
        if name not in row.fields:
            near = difflib.get_close_matches(name, row.fields, n=1, cutoff=0.5)
            columns_there = ", ".join(repr(key) for key in row.fields) or "none"
            raise DataError(
                f"no column {name!r}; the columns are {columns_there}.",
                where=row.where,
                hint=f"Map it with 'columns'{f': perhaps {near[0]!r}' if near else ''}.",
            )
    raise DataError(f"none of the {count} rows holds a text.", where=row.where.rpartition(":")[0])


def check_labels(
    examples: Iterable[Example], labels: Sequence[str]
) -> tuple[list[Example], list[Rejection]]:
    """Divide examples into those inside the taxonomy and rejections of those outside it."""
    known = set(labels)
    kept: list[Example] = []
    rejected: list[Rejection] = []
    for example in examples:
        given = (example.target,) if isinstance(example.target, str) else example.target or ()
        unknown = [label for label in given if label not in known]
        if not unknown:
            kept.append(example)
            continue
        near = difflib.get_close_matches(unknown[0], known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        rejected.append(
            Rejection(
                id=example.id,
                stage="read",
                cause="outside_taxonomy",
                detail=f"{unknown[0]!r} is not a label of the task{meant}",
                cost_usd=example.cost_usd,
                example=example,
            )
        )
    return kept, rejected
