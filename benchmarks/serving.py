"""What the benchmarks of the server share: servers in processes of their own, and their load."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PREDICT = "/v1/models/served/predict"

OURS = """
import sys
from pathlib import Path
from potstill.runtime import Model
from potstill.serve import Settings
from potstill.serve.registry import Registry, Source
from potstill.serve.server import serve

folder, port = Path(sys.argv[1]), int(sys.argv[2])
source = Source(name="served", path=folder, load=lambda path: Model.load(path, workers=1))
serve(Registry([source]), Settings(port=port, objective_ms=2000.0, log_requests=False))
"""


@dataclass(frozen=True)
class Load:
    """What came of a load.

    Attributes:
        per_s: good answers a second.
        p50_ms: median latency.
        p99_ms: 99th percentile.
        bad: answers of another status than 2xx, and broken connections.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    bad: int


def ours(folder: Path, port: int) -> list[str]:
    """The command of our server over a model folder."""
    return [sys.executable, "-c", OURS, str(folder), str(port)]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def started(
    command: Sequence[str], port: int, *, patience_s: float = 120.0
) -> Generator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; waits until it listens and answers anything."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, port, patience_s, log)
            yield process
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    break
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    continue


def _wait(process: subprocess.Popen[bytes], port: int, patience_s: float, log) -> None:
    end = time.monotonic() + patience_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
                wire.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                if wire.recv(100).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.2)
    log.seek(0)
    raise SystemExit(f"{command_name(process)} did not start:\n{log.read().decode()[-3000:]}")


def command_name(process: subprocess.Popen[bytes]) -> str:
    return " ".join(map(str, process.args))[:200]  # type: ignore[arg-type]


def wrk(
    port: int,
    path: str,
    texts: Sequence[str],
    *,
    connections: int,
    seconds: int,
    key: str = "input",
) -> Load:
    """Load a server with wrk: connections that are kept, each asking again when answered."""
    bodies = ",\n".join(_lua(json.dumps({key: text})) for text in texts)
    script = f"""
local bodies = {{
{bodies}
}}
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, bodies[at])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
"""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        out = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"),
                *("-s", file.name, f"http://127.0.0.1:{port}{path}"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out)
    assert found, out
    requests, us, p50, p99, bad = map(int, found.groups())
    return Load(1e6 * (requests - bad) / us, p50 / 1e3, p99 / 1e3, bad)


def _lua(text: str) -> str:
    return f"[==[{text}]==]"
