"""The command line: verbs that parse, call `potstill.api`, and print."""

from __future__ import annotations

import sys
from pathlib import Path

from potstill.errors import EXIT_INTERRUPTED, PotstillError


def main() -> None:
    """Run a verb; a user's mistake is a sentence on stderr and an exit code, never a traceback."""
    from potstill.cli import terminal
    from potstill.cli.app import app

    try:
        app()
    except PotstillError as error:
        terminal.complain(error)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        # typer has turned Ctrl-C into this code by now.
        if stop.code == EXIT_INTERRUPTED:
            terminal.say("interrupted; finished work is kept: run the same command again to go on")
        raise
    except OSError as error:
        # A disk that is full, or a folder that may not be written, can show up anywhere.
        from potstill.data.files import storage_error

        if error.strerror is None:
            raise
        told = storage_error(error, Path(str(error.filename or "")))
        terminal.complain(told)
        sys.exit(told.exit_code)
