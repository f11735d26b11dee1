"""Build this example's data files: which papers are non-disclosure agreements, and what they say.

Reads the contracts and the clauses of the two examples beside this one, the complaints of a third,
and the training and development abstracts of SciTLDR (rows of ``id`` and ``text``). Writes,
beside this script:

    train.jsonl    papers of two kinds: they teach, calibrate and choose
    gold.parquet   whole papers with the right answer end to end: the 50 contracts that judge the
                   fields, with these, and papers of other kinds that taught nothing

Of a contract that teaches, either the beginning is taken or a passage from its midst: otherwise
the heading alone would be learnt, "NON-DISCLOSURE AGREEMENT" in capital letters. Clauses of one
published document are put together until they are as long as a page.

    python examples/contract/prepare.py --scitldr scitldr
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as arrow
from pyarrow import parquet

Row = dict[str, Any]
NDA, OTHER = "nda", "other"
PASSAGE_WORDS = (120, 250)
PAGE_WORDS = 150
LETTERS = {"train": 80, "gold": 30}
ABSTRACTS = {"train": 80, "gold": 30}


def passage(text: str, draw: random.Random) -> str:
    """The beginning of a contract, or as often some lines from its midst."""
    lines = text.split("\n")
    start = draw.randrange(len(lines) // 2) if draw.random() < 0.5 else 0
    wanted, words, found = draw.randint(*PASSAGE_WORDS), 0, list[str]()
    for line in lines[start:]:
        if words >= wanted:
            break
        found.append(line)
        words += len(line.split())
    return "\n".join(found)


def pages(clauses: list[Row]) -> list[str]:
    """Clauses of one document put together, a page each."""
    of_document: defaultdict[str, list[str]] = defaultdict(list)
    for clause in clauses:
        of_document[clause["document"]].append(clause["text"])
    found: list[str] = []
    for texts in of_document.values():
        page: list[str] = []
        for text in texts:
            page.append(text)
            if sum(len(part.split()) for part in page) >= PAGE_WORDS:
                found.append("\n".join(page))
                page = []
        if page:
            found.append("\n".join(page))
    return found


def papers(name: str, kind: str, texts: list[str], origin: str) -> list[Row]:
    """Rows of one kind and origin."""
    return [
        {"id": f"{name}-{origin}-{number:03d}", "text": text, "kind": kind}
        for number, text in enumerate(texts, start=1)
    ]


def others(name: str, clauses: list[Row], letters: list[Row], abstracts: list[Row]) -> list[Row]:
    """What is no non-disclosure agreement, though a legal department gets it as well."""
    return [
        *papers(name, OTHER, pages(clauses), "terms"),
        *papers(name, OTHER, [row["text"] for row in letters[: LETTERS[name]]], "letter"),
        *papers(name, OTHER, [row["text"] for row in abstracts[: ABSTRACTS[name]]], "abstract"),
    ]


def read(path: Path) -> list[Row]:
    """The rows of a JSON lines or Parquet file."""
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def shuffled(rows: list[Row], draw: random.Random) -> list[Row]:
    """The rows in another order."""
    return draw.sample(rows, len(rows))


def prepare(examples: Path, scitldr: Path, folder: Path, seed: int) -> None:
    """Write both files of the example into `folder`."""
    draw = random.Random(seed)
    judging = read(examples / "nda" / "test.parquet")
    contracts = read(examples / "nda" / "train.parquet")
    passages = [passage(row["text"], draw) for row in contracts]
    # Some companies use one form for many contracts.
    apart = [text for text in passages if not any(text in row["text"] for row in judging)]
    taught = papers("train", NDA, apart, "nda")
    taught += others(
        "train",
        read(examples / "clauses" / "train.jsonl"),
        shuffled(read(examples / "complaints" / "inbox.jsonl"), draw),
        shuffled(read(scitldr / "train.jsonl"), draw),
    )
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in taught)
    (folder / "train.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    gold = [row | {"kind": NDA} for row in judging]
    gold += others(
        "gold",
        read(examples / "clauses" / "test.jsonl"),
        shuffled(read(examples / "complaints" / "gold.jsonl"), draw),
        shuffled(read(scitldr / "dev.jsonl"), draw),
    )
    fields = parquet.read_schema(examples / "nda" / "test.parquet").field("fields")
    columns = [(name, arrow.string()) for name in ("id", "text", "kind")]
    table = arrow.Table.from_pylist(gold, arrow.schema([*columns, fields]))
    parquet.write_table(table, folder / "gold.parquet", compression="zstd", compression_level=19)
    print(f"train.jsonl: {len(taught)} rows, gold.parquet: {len(gold)} rows")  # noqa: T201


def main() -> None:
    """Parse the command line and write the files."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scitldr", type=Path, required=True, help="folder of its two files")
    parser.add_argument("--examples", type=Path, default=here.parent)
    parser.add_argument("--folder", type=Path, default=here)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    prepare(options.examples, options.scitldr, options.folder, options.seed)


if __name__ == "__main__":
    main()
