"""What does HTTP add to `Model.predict`? One caller on one connection that is kept open.

The server runs in a process of its own. The caller asks it and, in its own process, the model
itself, in turns, with a text of its own each turn; who goes first changes. Goals at 64 tokens:
the median over HTTP at most 1.0 ms above that in process, and its 99th percentile at most three
times its median.

    python benchmarks/serve_latency.py --model runs/complaints/latest/model
    python benchmarks/serve_latency.py                       # an untrained head on minilm-l6
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from potstill.runtime import Model
from serving import PREDICT, free_port, ours, started
from untrained import export_untrained, text_of, words_of

ADDED_MS = 1.0
TAIL = 3.0


class Wire:
    """One HTTP connection, with as little of a client as can be."""

    def __init__(self, port: int) -> None:
        self._wire = socket.create_connection(("127.0.0.1", port))
        self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, text: str) -> str:
        """The label of a text."""
        body = json.dumps({"input": text}).encode()
        head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self._wire.sendall(head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        answer = self._wire.recv(65536)
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            answer += self._wire.recv(65536)
        return json.loads(answer.partition(b"\r\n\r\n")[2])["prediction"]["label"]


def measure(folder: Path, tokens: int, rounds: int) -> None:
    model = Model.load(folder, workers=1)
    words = words_of(folder / "tokenizer.json")
    generator = np.random.default_rng(0)
    port = free_port()
    spent: dict[str, list[float]] = {"in process": [], "HTTP": []}
    with started(ours(folder, port), port):
        wire = Wire(port)
        ways = {"in process": lambda text: model.predict(text).target, "HTTP": wire.ask}
        for turn in range(rounds + 20):
            text = text_of(words, tokens, generator)
            order = list(ways) if turn % 2 else list(ways)[::-1]
            labels = set()
            for name in order:
                begin = time.perf_counter()
                labels.add(ways[name](text))
                if turn >= 20:
                    spent[name].append(1e3 * (time.perf_counter() - begin))
            assert len(labels) == 1, "the server answered something else than the model"
    print(f"{tokens} tokens, {rounds} rounds{'p50 ms':>14}{'p99 ms':>10}{'p99/p50':>10}")
    for name, ms in spent.items():
        p50, p99 = statistics.median(ms), float(np.quantile(ms, 0.99))
        print(f"{name:24}{p50:14.3f}{p99:10.3f}{p99 / p50:10.2f}")
    http = spent["HTTP"]
    added = statistics.median(http) - statistics.median(spent["in process"])
    tail = float(np.quantile(http, 0.99)) / statistics.median(http)
    print(f"HTTP adds {added:.3f} ms; goal {ADDED_MS}: {'met' if added <= ADDED_MS else 'missed'}")
    print(f"p99 / p50 = {tail:.2f}; goal {TAIL}: {'met' if tail <= TAIL else 'missed'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument("--base", default="minilm-l6", help="base of the untrained model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.model or export_untrained(Path(temporary) / "model", options.base)
        measure(folder, options.tokens, options.rounds)


if __name__ == "__main__":
    main()
