from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest


class Result(NamedTuple):
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


def run_potstill(*arguments: object, cwd: Path, stdin: str | bytes = "") -> Result:
    """Run the command line as a user does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from potstill.cli import main; main()", *map(str, arguments)],
        cwd=cwd,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def potstill():
    """The command line."""
    return run_potstill


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, make_task_folder) -> Path:
    """A task folder in which one run was done: ``model/`` and ``runs/`` are there."""
    folder = make_task_folder(tmp_path_factory.mktemp("finished"))
    result = run_potstill("run", "task.yaml", "--out", "model", cwd=folder)
    assert result.code == 0, result.err
    return folder
