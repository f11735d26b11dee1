"""Twenty minutes at 80% of capacity, with everything going on that goes on in production.

A model is swapped for another every minute; one client sends its bytes one by one, one hangs up
before its answer, one sends garbage, one streams and reads slowly. Each answer is checked
against what the version that it names answers in this process, bit for bit. Goals: no wrong
answer, no 5xx, no broken connection of a client that behaves, memory that stays flat.

Capacity is measured first, with the same client, at as many callers as the soak has.

    python benchmarks/serve_soak.py --model runs/complaints/latest/model --minutes 20
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from potstill.runtime import Model
from potstill.runtime.folder import CARD_FILE, seal
from serving import PREDICT, free_port, ours, started
from untrained import export_untrained, message_lengths, text_of, words_of

CALLERS = 32
SHARE = 0.8
TEXTS = 300
FLAT = 0.05
"""Memory is flat if its last quarter's median is above the second's by less than this share."""


@dataclass
class Books:
    """What came of it all."""

    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    side: Counter[str] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)
    swaps: int = 0
    late: int = 0


def other_version(folder: Path, target: Path) -> Path:
    """The same model with another temperature: other confidences, another version."""
    shutil.copytree(folder, target)
    card = json.loads((target / CARD_FILE).read_text(encoding="utf-8"))
    for key in ("format", "format_version", "checksum"):
        card.pop(key)
    card["decision"]["temperature"] *= 1.5
    (target / CARD_FILE).write_bytes(seal(card))
    return target


def expected_of(folder: Path, texts: list[str]) -> tuple[str, dict[str, tuple[object, float]]]:
    """A version, and what it answers to each text."""
    model = Model.load(folder, workers=1)
    answers = {text: model.predict(text) for text in texts}
    return str(model.card["checksum"])[:12], {
        text: (answer.answer, float(answer.confidence or 0.0)) for text, answer in answers.items()
    }


class Wire:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, text: str) -> tuple[int, bytes]:
        """Status and body of the answer to a text."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request(text))
        status, length = await head(reader)
        return status, await reader.readexactly(length)

    def drop(self) -> None:
        """Close the connection; the next question opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def request(text: str) -> bytes:
    body = json.dumps({"input": text}).encode()
    return (
        f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


async def head(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Status and content length of an answer."""
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    return int(lines[0].split()[1]), int(lengths[0].partition(b":")[2])


class Soak:
    """The callers, good and bad."""

    def __init__(self, port: int, expected: dict[str, dict[str, tuple[object, float]]]) -> None:
        self.port = port
        self.expected = expected
        self.texts = list(next(iter(expected.values())))
        self.books = Books()
        self.end = 0.0

    async def capacity(self, seconds: float) -> float:
        """Answers a second with every caller asking without pause."""
        self.end = time.monotonic() + seconds
        begin = time.monotonic()
        await asyncio.gather(*(self._caller(lambda: 0.0, number) for number in range(CALLERS)))
        rate = self.books.statuses[200] / (time.monotonic() - begin)
        self.books = Books()
        return rate

    async def run(
        self, rate: float, seconds: float, bystanders: list[Callable[[], object]]
    ) -> None:
        """The soak itself."""
        self.end = time.monotonic() + seconds
        gap = CALLERS / rate
        # Each caller keeps to its own timetable of random gaps, so that arrivals bunch up.
        callers = [
            self._caller(lambda: random.expovariate(1.0 / gap), number) for number in range(CALLERS)
        ]
        bad = [self._trickle(), self._hang_up(), self._garbage(), self._slow_stream()]
        await asyncio.gather(*callers, *bad, *(each() for each in bystanders))

    async def _caller(self, gap: Callable[[], float], number: int) -> None:
        wire = Wire(self.port)
        generator = random.Random(number)
        due = time.monotonic()
        while time.monotonic() < self.end:
            due += gap()
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            elif pause < -1.0:
                self.books.late += 1
                due = time.monotonic()
            text = generator.choice(self.texts)
            begin = time.monotonic()
            try:
                status, body = await wire.ask(text)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.books.broken[type(error).__name__] += 1
                wire.drop()
                continue
            self.books.ms.append(1e3 * (time.monotonic() - begin))
            self._check(text, status, body)
        wire.drop()

    def _check(self, text: str, status: int, body: bytes) -> None:
        self.books.statuses[status] += 1
        if status != 200:
            return
        answer = json.loads(body)
        found = answer["prediction"]
        self.books.versions[answer["version"]] += 1
        wanted = self.expected.get(answer["version"], {}).get(text)
        label = found.get("labels", found.get("label"))
        label = tuple(label) if isinstance(label, list) else label
        if wanted != (label, found["confidence"]):
            self.books.wrong.append(f"{answer['version']}: {label!r}, not {wanted!r}")

    async def _trickle(self) -> None:
        """Sends a byte at a time."""
        while time.monotonic() < self.end:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                text = random.choice(self.texts)
                for byte in request(text):
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.01)
                status, length = await head(reader)
                self._check(text, status, await reader.readexactly(length))
                self.books.side["trickled in, answered"] += 1
                writer.close()

    async def _hang_up(self) -> None:
        """Asks and is gone."""
        while time.monotonic() < self.end:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(request(random.choice(self.texts))[: random.choice([40, 200, 9999])])
                await asyncio.sleep(random.choice([0.0, 0.002]))
                writer.transport.abort()
                self.books.side["hung up"] += 1
            await asyncio.sleep(0.05)

    async def _garbage(self) -> None:
        """Sends what is no HTTP, no JSON, or too much."""
        post = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\n".encode()
        while time.monotonic() < self.end:
            rubbish = random.choice(
                [
                    random.randbytes(500),
                    post + b"content-length: 5\r\n\r\n{{{{{",
                    post + b"content-length: 99999999\r\n\r\n",
                    post + b"a: b\r\n" * 20_000 + b"\r\n",
                    b"GET /v1/models/../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n",
                ]
            )
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(rubbish)
                line = await asyncio.wait_for(reader.readline(), 5.0)
                writer.close()
                self.books.side[f"garbage, {line.split()[1].decode() if line else 'closed'}"] += 1
                if line.split()[1:2] and line.split()[1].startswith(b"5"):
                    self.books.statuses[int(line.split()[1])] += 1
            await asyncio.sleep(0.1)

    async def _slow_stream(self) -> None:
        """Streams rows without end, and reads a little at a time."""
        start = f"POST {PREDICT.replace('/predict', '/stream')} HTTP/1.1\r\nhost: x\r\n".encode()
        while time.monotonic() < self.end:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(start + b"transfer-encoding: chunked\r\n\r\n")
                until = min(self.end, time.monotonic() + 20)
                while time.monotonic() < until:
                    row = json.dumps({"input": random.choice(self.texts)}).encode() + b"\n"
                    writer.write(b"%x\r\n%b\r\n" % (len(row), row))
                    self.books.side["rows streamed"] += 1
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(100), 0.2)
                writer.transport.abort()


async def swap(soak: Soak, served: Path, versions: list[Path], every_s: float) -> None:
    """Put the other version in the place of the one that is served, again and again."""
    turn = 0
    while True:
        await asyncio.sleep(every_s)
        if time.monotonic() > soak.end - 2.0:
            return
        turn += 1
        fresh = served.with_name("fresh")
        shutil.copytree(versions[turn % 2], fresh)
        old = served.with_name("old")
        served.rename(old)
        fresh.rename(served)
        shutil.rmtree(old)
        soak.books.swaps += 1


async def watch_memory(soak: Soak, pid: int, series: list[float]) -> None:
    """Resident memory in MB, every two seconds."""
    while time.monotonic() < soak.end:
        await asyncio.sleep(2.0)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        series.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


async def measure(options: argparse.Namespace, folder: Path, room: Path) -> bool:
    words = words_of(folder / "tokenizer.json")
    generator = np.random.default_rng(0)
    lengths = message_lengths(TEXTS, generator)
    texts = [text_of(words, int(tokens), generator) for tokens in lengths]
    versions = [folder, other_version(folder, room / "other")]
    expected = dict(expected_of(version, texts) for version in versions)
    served = Path(shutil.copytree(folder, room / "served"))
    port = free_port()
    seconds = 60.0 * options.minutes
    every_s = min(60.0, seconds / 8)
    with started(ours(served, port), port) as process:
        soak = Soak(port, expected)
        capacity = await soak.capacity(min(15.0, seconds / 4))
        series: list[float] = []
        print(
            f"capacity {capacity:.0f}/s with {CALLERS} callers; soaking at {SHARE:.0%}", flush=True
        )
        await soak.run(
            SHARE * capacity,
            seconds,
            [
                lambda: swap(soak, served, versions, every_s),
                lambda: watch_memory(soak, process.pid, series),
            ],
        )
        alive = process.poll() is None
    return report(soak.books, series, seconds, alive)


def report(books: Books, series: list[float], seconds: float, alive: bool) -> bool:
    """Print what came of it; whether all goals are met."""
    answered = sum(books.statuses.values())
    fives = sum(count for status, count in books.statuses.items() if status >= 500)
    quarter = max(1, len(series) // 4)
    begin = statistics.median(series[quarter : 2 * quarter] or series)
    end = statistics.median(series[-quarter:])
    p50, p99 = np.quantile(books.ms, [0.5, 0.99])
    print(f"{seconds / 60:.1f} minutes, {answered:,} answers, {answered / seconds:.0f}/s")
    print(f"latency p50 {p50:.1f} ms, p99 {p99:.1f} ms; callers late by a second: {books.late}")
    print(f"statuses {dict(books.statuses)}; swaps {books.swaps}; versions {dict(books.versions)}")
    print(f"bad company: {dict(books.side)}")
    print(f"memory MB: {' '.join(f'{mb:.0f}' for mb in series[:: max(1, len(series) // 20)])}")
    goals = {
        "no wrong answer": not books.wrong,
        "no 5xx": fives == 0,
        "no broken connection": not books.broken,
        f"flat memory ({begin:.0f} to {end:.0f} MB)": end <= begin * (1 + FLAT),
        "every version answered": len(books.versions) > 1,
        "the server lives": alive,
    }
    for goal, met in goals.items():
        print(f"{goal}: {'met' if met else 'MISSED'}")
    for wrong in books.wrong[:5]:
        print(f"  {wrong}")
    if books.broken:
        print(f"  {dict(books.broken)}")
    return all(goals.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model folder")
    parser.add_argument("--base", default="minilm-l6", help="base of the untrained model")
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        room = Path(temporary)
        folder = options.model or export_untrained(room / "model", options.base)
        met = asyncio.run(measure(options, folder, room))
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
