"""Readers: JSONL, CSV and Parquet files, any column names, one row at a time.

A row that cannot be read as a row (broken JSON, bytes that are not UTF-8) stops the reading
with its file and line: what follows it could be anything. Who answers a stream row by row asks
for such rows as `BrokenRow` instead, and goes on. A row that can be read but not used (no text,
two answers under one id) is set aside as a `Rejection`, and the rest goes on.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from potstill.data.answers import RowFault, TargetReader
from potstill.data.example import Example, Input, Rejection, Source, id_of, labels_of
from potstill.errors import DataError
from potstill.spec.task import Columns

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_EMPTY = {"no_label": "a label", "no_text": "a text", "no_fields": "fields"}
"""Causes of a rejection that say that the cell of a person's answer holds none."""
_BOM = b"\xef\xbb\xbf"
# What "surrogateescape" makes of bytes that are not UTF-8; no UTF-8 text decodes to these.
_BROKEN_BYTE = re.compile("[\udc80-\udcff]")
_LINE_END = re.compile("\r\n|\r|\n")


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
class BrokenRow:
    """One row that cannot be read.

    Attributes:
        error: why, with the place.
        fields: the cells that are sound all the same.
    """

    error: DataError
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
    for row in tolerant_jsonl_rows(stream, name):
        if isinstance(row, BrokenRow):
            raise row.error
        yield row


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


def tolerant_jsonl_rows(stream: BinaryIO, name: str) -> Iterator[Row | BrokenRow]:
    """As `jsonl_rows`, but a line that cannot be read is yielded in its place."""
    for number, line in enumerate(stream, start=1):
        text = line.removeprefix(_BOM)  # files that were joined have one in the middle
        if not text.strip():
            continue
        try:
            yield json_row(text, f"{name}:{number}")
        except DataError as error:
            yield BrokenRow(error, {})


def csv_rows(stream: BinaryIO, name: str, delimiter: str = ",") -> Iterator[Row]:
    """The rows of a stream of CSV with a header line.

    Raises:
        DataError: bytes that are not UTF-8, or a row with more cells than the header.
    """
    for row in tolerant_csv_rows(stream, name, delimiter):
        if isinstance(row, BrokenRow):
            raise row.error
        yield row


def tolerant_csv_rows(
    stream: BinaryIO, name: str, delimiter: str = ","
) -> Iterator[Row | BrokenRow]:
    """As `csv_rows`, but a row that cannot be read is yielded in its place.

    The place of a row is the line that it begins on, since quoted cells may span lines.

    Raises:
        DataError: the header cannot be read, so that no row can.
    """
    csv.field_size_limit(sys.maxsize)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    header: list[str] | None = None
    try:
        while True:
            line = reader.line_num + 1
            cells: list[str] = []
            try:
                cells = next(reader)
                error = _cells_error(cells, header, name, line)
            except StopIteration:
                return
            except csv.Error as fault:
                error = DataError(f"not CSV: {fault}.", where=f"{name}:{line}")
            if error is not None:
                if header is None:
                    raise error
                yield BrokenRow(error, _sound_cells(header, cells))
            elif header is None:
                header = cells or None
            elif cells:
                yield Row(f"{name}:{line}", dict(zip(header, cells, strict=False)))
    finally:
        text.detach()  # the stream belongs to the caller


def _cells_error(
    cells: Sequence[str], header: Sequence[str] | None, name: str, line: int
) -> DataError | None:
    """Why a row of CSV that begins on a line cannot be used; None where it can."""
    if header is not None and len(cells) > len(header):
        return DataError(
            f"the row has more cells than the header has columns ({len(header)}).",
            where=f"{name}:{line}",
            hint="Quote cells that hold the delimiter.",
        )
    if not any(map(_BROKEN_BYTE.search, cells)):
        return None
    before = _BROKEN_BYTE.split(" ".join(cells), maxsplit=1)[0]
    return DataError(
        "the line holds bytes that are not UTF-8.",
        where=f"{name}:{line + len(_LINE_END.findall(before))}",
        hint="Save the file as UTF-8.",
    )


def _sound_cells(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """What is known of a broken row: of one with too many cells, only the first is in place."""
    sure = cells[:1] if len(cells) > len(header) else cells
    pairs = zip(header, sure, strict=False)
    return {column: cell for column, cell in pairs if not _BROKEN_BYTE.search(cell)}


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


def cell_text(value: object) -> str | None:
    """An id or a group as its words; None where the cell is empty."""
    return None if value is None else str(value).strip() or None


def read_examples(
    paths: Sequence[Path],
    columns: Columns,
    *,
    targets: TargetReader | None,
    grouped: bool = False,
    terms: str | None = None,
) -> Reading:
    """Examples from data files, with their sources, and the rows that cannot be used.

    A row with a target is gold: its sources are the data set (the input) and a person (the
    target). Two rows under one id are one example when they agree, and both are rejected
    when they do not, since nothing tells which is right.

    Args:
        paths: JSONL, CSV or Parquet files.
        columns: which column holds what.
        targets: makes a target of a person's answer; None where none is expected.
        grouped: whether the group's column, where one is mapped, must be there.
        terms: licence or terms-of-use id of the texts.

    Raises:
        DataError: a file that is missing, broken, empty, or without the columns named.
    """
    seen: dict[str, Example] = {}
    rejected: list[Rejection] = []
    conflicting: set[str] = set()
    for path in paths:
        first: Row | None = None
        there: dict[str, None] = {}
        causes: Counter[str] = Counter()
        fault = ""
        for row in read_rows(path):
            first = first or row
            there.update(dict.fromkeys(row.fields))
            found = _example(row, columns, path.name, targets, terms)
            if isinstance(found, Rejection):
                if found.example is not None:
                    fault = fault or found.detail
                causes[found.cause] += 1
                rejected.append(found)
                continue
            causes["usable"] += 1
            known = seen.setdefault(found.id, found)
            if known is not found and (known.input, known.target) != (found.input, found.target):
                conflicting.add(found.id)
                rejected.append(_conflict(found, row.where))
        if first is None:
            raise DataError("the file holds no rows.", where=str(path))
        if not causes["usable"]:
            _explain_unusable(path, first.where, there, causes, columns, fault, targets is not None)
        if grouped and columns.group is not None:
            _require_column("group", columns.group, there, str(path), columns)
    for identifier in conflicting:
        rejected.append(_conflict(seen.pop(identifier), "the first of these rows"))
    return Reading(list(seen.values()), rejected)


def _example(
    row: Row, columns: Columns, file: str, targets: TargetReader | None, terms: str | None
) -> Example | Rejection:
    value = input_of(row, columns)
    identifier = cell_text(row.fields.get(columns.id))
    if value is None:
        return Rejection(
            id=identifier or row.where,
            stage="read",
            cause="empty_text",
            detail=f"{row.where} holds no text in {columns.input!r}",
        )
    sources = [Source(kind="dataset", name=file, contributed=("input",), stage="read", terms=terms)]
    example = Example(
        id=identifier or id_of(value),
        input=value,
        group=cell_text(row.fields.get(columns.group)) if columns.group else None,
        sources=tuple(sources),
    )
    if targets is None:
        return example
    try:
        target = targets(row.fields.get(columns.target), value)
    except RowFault as fault:
        return Rejection(
            id=example.id,
            stage="read",
            cause=fault.cause,
            detail=f"{row.where}, column {columns.target!r}: {fault.detail}",
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


def _explain_unusable(
    path: Path,
    first: str,
    there: Iterable[str],
    causes: Counter[str],
    columns: Columns,
    fault: str,
    labelled: bool,
) -> None:
    """Say which column is missing, and which one was probably meant; else what all rows lack."""
    wanted = [columns.input] if isinstance(columns.input, str) else list(columns.input)
    roles = [("input", name) for name in wanted]
    for role, name in [*roles, ("target", columns.target)] if labelled else roles:
        _require_column(role, name, there, first, columns)
    untaught = causes.total() - causes["empty_text"]
    if untaught:
        of = "rows" if untaught == causes.total() else "rows with a text"
        empty = next((what for cause, what in _EMPTY.items() if causes[cause] == untaught), None)
        if empty is None:
            raise DataError(
                f"none of the {untaught} {of} can be used; the first: {fault}.", where=str(path)
            )
        raise DataError(
            f"none of the {untaught} {of} holds {empty} in column {columns.target!r}.",
            where=str(path),
            hint="Fill it in, or map another column with 'columns'.",
        )
    raise DataError(
        f"none of the {causes.total()} rows holds a text in column {' or '.join(map(repr, wanted))}.",
        where=str(path),
    )


def _require_column(
    role: str, name: str, there: Iterable[str], where: str, columns: Columns
) -> None:
    if name in there:
        return
    # What has another role already is not what was meant.
    taken = {columns.target, columns.id, columns.group}
    taken |= {columns.input} if isinstance(columns.input, str) else set(columns.input)
    near = difflib.get_close_matches(
        name, [one for one in there if one not in taken], n=1, cutoff=0.5
    )
    raise DataError(
        f"no column {name!r}; the columns are {', '.join(map(repr, there)) or 'none'}.",
        where=where,
        hint=f"Map it with 'columns.{role}'{f': perhaps {near[0]!r}' if near else ''}.",
    )


def check_labels(
    examples: Iterable[Example], labels: Sequence[str]
) -> tuple[list[Example], list[Rejection]]:
    """Divide examples into those inside the taxonomy and rejections of those outside it."""
    known = set(labels)
    kept: list[Example] = []
    rejected: list[Rejection] = []
    for example in examples:
        given = labels_of(example.target)
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
