"""The command line: verbs that parse, call `potstill.api`, and print."""

from __future__ import annotations

import sys

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
    except KeyboardInterrupt:
        terminal.say("interrupted; finished work is kept: run the same command again to go on")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Closing stderr-ward keeps Python from
        # complaining about it once more at exit.
        sys.stdout = None  # type: ignore[assignment]
        sys.exit(0)
    except OSError as error:
        from pathlib import Path

        from potstill.data.files import storage_error

        if error.filename is None and error.strerror is None:
            raise
        place = Path(str(error.filename)) if error.filename else Path()
        told = storage_error(error, place)
        terminal.complain(told)
        sys.exit(told.exit_code)
