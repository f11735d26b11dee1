"""The verb that answers: serve."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from potstill.cli import terminal
from potstill.errors import SpecError


def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL…", help="Model folders, run folders, workflow files.", show_default=False
        ),
    ] = None,
    task: Annotated[
        list[Path] | None,
        typer.Option(
            help="Task file: what may be kept, who answers what its model defers, and the chat "
            "protocol of its teacher; repeat for several.",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="Keep what is served here: hashes, or texts where the task consents."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that run texts; default: measured.")
    ] = None,
    objective_ms: Annotated[
        float, typer.Option(min=1.0, help="Longest wait; what would wait longer gets 429.")
    ] = 500.0,
    deadline_s: Annotated[
        float, typer.Option(min=0.01, help="Longest time of a request in all.")
    ] = 30.0,
    max_body_mb: Annotated[float, typer.Option(min=0.001, help="Largest body.")] = 4.0,
    max_inputs: Annotated[int, typer.Option(min=1, help="Most inputs of one request.")] = 1024,
    drain_s: Annotated[float, typer.Option(min=0.0, help="Seconds of grace after SIGTERM.")] = 1.0,
    prices: Annotated[
        Path | None, typer.Option(help="Price file that goes before the one that ships.")
    ] = None,
    log_texts: Annotated[
        bool, typer.Option("--log-texts", help="Write inputs into the access log.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No access log; warnings and errors only.")
    ] = False,
) -> None:
    """Answer over HTTP: models, workflows, and what they are not sure of by a fallback.

    Routes: /v1/models/NAME/predict, /v1/models/NAME/stream (JSON lines), /v1/classify,
    /v2/models/NAME/infer (Open Inference Protocol), /health, /ready, /metrics, /openapi.json, and
    with --task /v1/chat/completions. Keys that callers must show are read from
    POTSTILL_API_KEYS, separated by commas; without one only this machine is answered.

    Example: potstill serve examples/complaints/model --port 8000
    """
    from potstill import api
    from potstill.serve.auth import read_keys
    from potstill.serve.settings import Settings

    if not models and not task:
        raise SpecError(
            "nothing to serve.", hint="Name a model folder, a workflow file, or a task with --task."
        )
    settings = Settings(
        host=host,
        port=port,
        keys=read_keys(os.environ),
        workers=workers,
        objective_ms=objective_ms,
        deadline_s=deadline_s,
        max_body_bytes=int(max_body_mb * 2**20),
        max_inputs=max_inputs,
        drain_s=drain_s,
        log_requests=not quiet,
        log_texts=log_texts,
    )
    terminal.be_quiet(quiet)

    def tell(url: str) -> None:
        terminal.say(f"answers at {url}; its routes are described at {url}/openapi.json")

    api.serve(
        models or (),
        settings=settings,
        tasks=task or (),
        record=record,
        prices=prices,
        on_ready=tell,
    )
    _leave()


def _leave() -> None:
    """End, also where a call into somebody else's code hangs in a thread that would be waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        os._exit(0)
