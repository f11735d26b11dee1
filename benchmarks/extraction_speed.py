"""How fast is one extraction, and one classification? Against GLiNER2 and transformers' `pipeline`.

One text a call, one thread each, all in turns on the same text; medians. The peers run in a
process of their own, because GLiNER2 wants other versions of what we share, and measure themselves
inside it. Without folders of trained models ours have untrained heads on `minilm-l6`. With
`--documents`, also the time of a whole document (JSON lines with a `text`).

    python benchmarks/extraction_speed.py --peer-python peers/bin/python --documents nda/train.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from potstill.runtime import Loaded, load_model
from untrained import export_untrained, export_untrained_extractor, text_of, words_of

PEERS = Path(__file__).with_name("extraction_speed_peer.py")
GOAL_DOCUMENT_S = 1.5


class Peers:
    """The other process: it takes a text and tells how long each way took."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(PEERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._asked, self._told = self._process.stdin, self._process.stdout
        self.ways: list[str] = json.loads(self._told.readline())

    def milliseconds(self, way: str, text: str) -> float:
        """Time of one answer of one peer."""
        self._asked.write(json.dumps({"way": way, "text": text}) + "\n")
        self._asked.flush()
        return float(self._told.readline())

    def close(self) -> None:
        """End the process."""
        self._asked.close()
        self._process.wait()


def milliseconds(model: Loaded, text: str) -> float:
    begin = time.perf_counter()
    model.predict(text)
    return 1e3 * (time.perf_counter() - begin)


def compare(
    extractor: Loaded, classifier: Loaded, peers: Peers, rounds: int, words: list[str]
) -> None:
    ways: dict[str, Callable[[str], float]] = {
        "extraction, potstill": lambda text: milliseconds(extractor, text),
        "classification, potstill": lambda text: milliseconds(classifier, text),
    }
    for way in peers.ways:
        ways[way] = lambda text, way=way: peers.milliseconds(way, text)
    generator = np.random.default_rng(0)
    print(
        f"{'tokens':>6}  {'task':16}{'potstill ms':>12}{'pipeline ms':>13}{'GLiNER2 ms':>12}{'times':>16}"
    )
    for tokens in (16, 64, 120):
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(rounds + 2):
            text = text_of(words, tokens, generator)
            order = list(ways) if turn % 2 else list(ways)[::-1]
            for way in order:
                spent[way].append(ways[way](text))
        median = {way: statistics.median(ms[2:]) for way, ms in spent.items()}
        for task in ("extraction", "classification"):
            ours, pipe, gliner = (
                median[f"{task}, {who}"] for who in ("potstill", "pipeline", "GLiNER2")
            )
            print(
                f"{tokens:6}  {task:16}{ours:12.2f}{pipe:13.2f}{gliner:12.1f}"
                f"{pipe / ours:9.1f}{gliner / ours:7.0f}"
            )


def read_documents(extractor: Loaded, path: Path, most: int) -> None:
    with path.open(encoding="utf-8") as lines:
        texts = sorted((str(json.loads(line)["text"]) for line in lines), key=len)
    sample = texts[:: -(-len(texts) // most)]
    seconds = [milliseconds(extractor, text) / 1e3 for text in sample]
    middle = statistics.median(seconds)
    print(
        f"{len(sample)} whole documents, median {statistics.median(map(len, sample)):,.0f} "
        f"characters: median {middle:.2f} s, slowest {max(seconds):.2f} s "
        f"({max(map(len, sample)):,} characters); goal {GOAL_DOCUMENT_S} s: "
        + ("met" if middle <= GOAL_DOCUMENT_S else "missed")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extractor", type=Path, help="a model folder")
    parser.add_argument("--classifier", type=Path, help="a model folder")
    parser.add_argument("--base", default="minilm-l6")
    parser.add_argument("--peer-python", default=sys.executable, help="has gliner2 and torch")
    parser.add_argument("--documents", type=Path, help="JSON lines with a text")
    parser.add_argument("--most-documents", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        extractor = load_model(
            options.extractor or export_untrained_extractor(folder / "extractor", options.base),
            workers=1,
        )
        classifier = load_model(
            options.classifier or export_untrained(folder / "classifier", options.base), workers=1
        )
        words = words_of((options.extractor or folder / "extractor") / "tokenizer.json")
    graph = extractor.card["export"]
    print(
        f"{options.base}: {graph['graph']}, {graph['engine']}, one thread, {options.rounds} rounds"
    )
    if options.documents:
        read_documents(extractor, options.documents, options.most_documents)
    peers = Peers(options.peer_python)
    compare(extractor, classifier, peers, options.rounds, words)
    peers.close()


if __name__ == "__main__":
    main()
