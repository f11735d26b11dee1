"""What the chat gateway costs: the teacher directly, through the gateway, and the model's answers.

Usage: ``python benchmarks/chat_gateway.py [--requests 300]``. The teacher is the test stub on
loopback, which answers at once, so that nothing hides the gateway's own time. One client with a
kept-alive connection asks the three in turn, request by request; medians are printed, with the
difference and the 99th percentiles.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import uvicorn
from fastapi import FastAPI

from potstill.data import Prediction
from potstill.data.example import Input
from potstill.serve.chat import ChatGateway, ChatModel
from potstill.spec.loading import load_task

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from stub_endpoint import running_stub

WARM_UP = 30
TASK = """\
kind: task
version: 1
name: topics
type: classification
labels: [cards, loans]
data: {{gold: gold.jsonl}}
teacher: {{model: stub, base_url: {base_url}, price: {{input_usd_per_million: 0, output_usd_per_million: 0}}}}
serve: {{consent: true, redact: [{{pattern: email}}, {{pattern: phone}}]}}
"""


async def decide(value: Input) -> Prediction:
    """A model that takes no time, sure of whatever has a card in it."""
    return Prediction("cards", 0.9, deferred=None if "card" in value else "unsure")


class Caller:
    """One kept-alive connection."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._path = f"{parts.path}/chat/completions"
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def ms(self, text: str, by: str | None) -> float:
        """Milliseconds of one request, whose answer must be from whom it should be."""
        body = orjson.dumps({"model": "stub", "messages": [{"role": "user", "content": text}]})
        began = time.perf_counter()
        self._connection.request(
            "POST", self._path, body, {"Content-Type": "application/json", "Authorization": "x"}
        )
        response = self._connection.getresponse()
        response.read()
        took = 1e3 * (time.perf_counter() - began)
        assert response.status == 200
        assert response.getheader("x-potstill-answered-by") == by
        return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    count = parser.parse_args().requests
    with running_stub() as stub, tempfile.TemporaryDirectory() as place:
        path = Path(place) / "task.yaml"
        path.write_text(TASK.format(base_url=stub.base_url))
        model = ChatModel("topics", "0" * 12, decide)
        gateway = ChatGateway(
            load_task(path, check_files=False), Path(place) / "chat", model=lambda: model
        )
        app = FastAPI()
        app.include_router(gateway.router())
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        direct, through = Caller(stub.base_url), Caller(f"http://127.0.0.1:{port}/v1")
        ms: dict[str, list[float]] = {"teacher": [], "forwarded": [], "model": []}
        for number in range(WARM_UP + count):
            ms["teacher"].append(direct.ms(f"a loan {number}", None))
            ms["forwarded"].append(through.ms(f"a loan {number}", "teacher"))
            ms["model"].append(through.ms(f"a card {number}", "model"))
        server.should_exit = True
        thread.join()
        kept = sum(1 for log in (Path(place) / "chat").iterdir() for _ in log.open())
    for name, all_ms in ms.items():
        took = sorted(all_ms[WARM_UP:])
        p99 = took[int(0.99 * len(took))]
        print(f"{name:>10}: median {statistics.median(took):.2f} ms, p99 {p99:.2f} ms")
    added = statistics.median(ms["forwarded"][WARM_UP:]) - statistics.median(
        ms["teacher"][WARM_UP:]
    )
    print(f"the gateway adds {added:.2f} ms to a forwarded request; {kept} pairs recorded")


if __name__ == "__main__":
    main()
