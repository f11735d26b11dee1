"""Where words go: results to stdout, everything else to stderr; colour only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from potstill.errors import PotstillError

if TYPE_CHECKING:
    from rich.console import Console


_PIPE_COLUMNS = 140


class _Settings:
    quiet = False


def be_quiet(quiet: bool) -> None:
    """Whether stderr carries errors alone."""
    _Settings.quiet = quiet


def console(*, stderr: bool = False) -> Console:
    """A console that honours NO_COLOR and non-terminals (rich does both)."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # What is not a terminal has no width; a pipe or a file gets whole rows.
    width = None if stream.isatty() else _PIPE_COLUMNS
    return Console(stderr=stderr, highlight=False, width=width)


def complain(error: PotstillError) -> None:
    """An error as one line on stderr: place, what happened, how to mend it."""
    print(f"error: {error}", file=sys.stderr)


def warn(text: str) -> None:
    """Something that a person should know, on stderr."""
    if not _Settings.quiet:
        print(f"warning: {text}", file=sys.stderr)


def say(text: str) -> None:
    """Progress and remarks, on stderr."""
    if not _Settings.quiet:
        print(text, file=sys.stderr)


def next_step(command: str) -> None:
    """The verb to run next, on stderr."""
    say(f"\nnext: {command}")


def short(text: str, characters: int = 60) -> str:
    """The beginning of a text that may be too long for a table."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def print_json(value: Any) -> None:
    """A result as one JSON document on stdout."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, option=options).decode() + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1
) -> None:
    """A table on stdout: first the columns of text, then those of figures."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < text_columns else "right")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console().print(table)
