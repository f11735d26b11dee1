"""schemathesis asks whatever the OpenAPI document allows, and much that it forbids."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from served import Fielded, Files, Gists, Papers, Topics

pytest.importorskip("schemathesis")


HOOKS = """
import json
import schemathesis

@schemathesis.serializer("application/x-ndjson")
def lines(_, value):
    return json.dumps(value).encode()
"""


def test_schemathesis_finds_nothing(start, tmp_path):
    call = start(Topics(), Fielded(), Papers(), Gists(), Files())
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS, encoding="utf-8")
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{call.url}/openapi.json",
            "--checks=all",
            "--max-examples=25",
            "--seed=7",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
