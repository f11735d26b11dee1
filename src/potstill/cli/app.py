"""The verbs in one place, in the order in which a newcomer meets them."""

from __future__ import annotations

from typing import Annotated

import typer

from potstill import __version__
from potstill.cli import build, use
from potstill.cli.doctor import doctor
from potstill.cli.serving import serve

app = typer.Typer(
    name="potstill",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Distil one task out of a large language model into a small one that answers in milliseconds.",
    epilog="Start with: potstill init task.yaml",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"potstill {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that come before the verb."""


app.command()(build.init)
app.command()(build.check)
app.command()(build.plan)
app.command()(build.run)
app.command()(use.predict)
app.command()(use.evaluate)
app.command()(use.compare)
app.command()(use.trace)
app.command()(serve)
app.command()(doctor)
