"""The command line: verbs that parse, call `potstill.api`, and print."""

from __future__ import annotations

import sys
from pathlib import Path

from potstill.errors import EXIT_INTERRUPTED, PotstillError


def main() -> None:
    """Run a verb; a user's mistake is a sentence on stderr and an exit code, never a traceback."""
    from potstill.cli import terminal

    try:
        from potstill.cli.app import app

        app()
    except PotstillError as error:
        terminal.complain(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as stop:
        # typer turns Ctrl-C into an exit code, unless it comes while modules are imported.
        if isinstance(stop, SystemExit) and stop.code != EXIT_INTERRUPTED:
            raise
        terminal.say("interrupted; finished work is kept: run the same command again to go on")
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        # A disk that is full, or a folder that may not be written, can show up anywhere.
        from potstill.data.files import storage_error

        if error.strerror is None:
            raise
        told = storage_error(error, Path(str(error.filename)) if error.filename else None)
        terminal.complain(told)
        sys.exit(told.exit_code)
