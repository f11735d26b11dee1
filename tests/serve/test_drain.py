"""A real process, a real SIGTERM, real load: no request that was accepted is lost."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from served import Caller

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from served import Topics, registry_of
from potstill.serve import Settings
from potstill.serve.server import serve

topics = Topics(ms=5)
settings = Settings(port=0, workers=2, drain_s=0.3, objective_ms=10_000, log_requests=False)
serve(registry_of(topics), settings, on_ready=lambda url: print(url, flush=True))
print("returned", flush=True)
"""


class Load:
    """Callers that ask without pause, on connections that are kept open or new each time."""

    def __init__(self, port: int, *, kept: int, fresh: int) -> None:
        self.port = port
        self.answered = 0
        self.lost: list[str] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(number < kept,))
            for number in range(kept + fresh)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _ask(self, kept: bool) -> None:
        body = json.dumps({"input": "a card"})
        connection = None
        while True:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                try:
                    connection.connect()
                except OSError:
                    return  # nobody listens any more
            try:
                connection.request("POST", "/v1/models/topics/predict", body)
                answer = connection.getresponse()
                if answer.status != 200 or b'"card"' not in answer.read():
                    self.lost.append(f"status {answer.status}")
                self.answered += 1
                ends = answer.headers.get("connection") == "close"
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                ends = True
            if ends or not kept:
                connection.close()
                connection = None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_accepted_request(number):
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        load = Load(port, kept=12, fresh=4)
        load.start()
        time.sleep(0.7)
        os.kill(process.pid, number)
        time.sleep(0.2)
        ready = Caller(f"http://127.0.0.1:{port}")("/ready")
        load.join()
        out, err = process.communicate(timeout=20)
    assert (ready.status, ready.json["status"]) == (503, "draining")
    assert ready.headers["connection"] == "close"
    assert out == "returned\n"
    assert process.returncode == 0
    assert "Traceback" not in err
    assert load.answered > 50
    assert load.lost == []
