"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

from potstill.cli import terminal
from potstill.run.events import Event, Listener

_QUIET_S = 30.0
_MARKS = {"finished": "done", "skipped": "kept"}


@contextmanager
def shown(*, quiet: bool) -> Generator[Listener]:
    """A listener that shows events while the block runs."""
    if quiet:
        yield _warnings_alone
    elif sys.stderr.isatty():
        yield from _bars()
    else:
        yield _slow_lines()


def _warnings_alone(event: Event) -> None:
    if event.kind == "warning":
        print(f"warning: {event.text}", file=sys.stderr)


def _lines(event: Event) -> None:
    if event.kind == "warning":
        terminal.warn(event.text)
    elif event.kind in _MARKS:
        terminal.say(f"{event.stage:<9} {_MARKS[event.kind]:<5} {event.text}")


def _slow_lines() -> Listener:
    """Lines for a log: a stage's end, and twice a minute how far a long one is."""
    last_s = time.monotonic()

    def listen(event: Event) -> None:
        nonlocal last_s
        if event.kind == "progress":
            if time.monotonic() - last_s < _QUIET_S:
                return
            of = f" of {event.total:,}" if event.total else ""
            terminal.say(f"{event.stage:<9} …     {event.done:,}{of} {event.text}")
        last_s = time.monotonic()
        _lines(event)

    return listen


def _bars() -> Generator[Listener]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal.console(stderr=True), transient=True) as bars:
        current = bars.add_task("", total=None, visible=False, rate="")

        def listen(event: Event) -> None:
            if event.kind == "progress":
                name = f"{event.stage}: {event.text}" if event.text else event.stage
                if bars.tasks[0].description != name:
                    bars.reset(current, description=name, total=event.total or None, visible=True)
                speed = bars.tasks[0].speed
                rate = f"{speed:.0f}/s" if speed else ""
                bars.update(current, completed=event.done, total=event.total or None, rate=rate)
            elif event.kind == "started":
                bars.reset(current, description=event.stage, total=None, visible=True)
            else:
                bars.update(current, visible=False)
                bars.stop_task(current)
                _lines(event)

        yield listen
