"""Build this example's data files from the plain-English contract summaries of Manor and Li.

Reads a JSON lines file whose rows hold ``id``, ``text`` (a clause), ``summary`` (what it means, in
plain English) and ``document`` (the contract that the clause is of). Writes, beside this script:

    train.jsonl   255 clauses: they teach, calibrate and choose
    test.jsonl     65 clauses of 32 other documents: the frozen test set

The documents stand in the order in which the published file first names them; the last of them
that hold a fifth of the clauses judge. So no clause is judged whose contract taught.

    python examples/clauses/prepare.py --summaries clause_summaries/train.jsonl
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

Row = dict[str, Any]
TEST_SHARE = 0.2


def judging(rows: list[Row]) -> set[str]:
    """The last documents that together hold a fifth of the rows."""
    clauses = Counter(row["document"] for row in rows)
    found: set[str] = set()
    held = 0
    for document in reversed(list(clauses)):  # in the order of their first row
        if held >= TEST_SHARE * len(rows):
            break
        found.add(document)
        held += clauses[document]
    return found


def write(path: Path, rows: list[Row]) -> None:
    """One row a line, UTF-8."""
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    documents = len({row["document"] for row in rows})
    print(f"{path.name}: {len(rows)} rows of {documents} documents")  # noqa: T201


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--summaries", type=Path, required=True, help="the published summaries")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    with options.summaries.open(encoding="utf-8") as file:
        rows: list[Row] = [json.loads(line) for line in file]
    judges = judging(rows)
    write(options.folder / "train.jsonl", [row for row in rows if row["document"] not in judges])
    write(options.folder / "test.jsonl", [row for row in rows if row["document"] in judges])


if __name__ == "__main__":
    main()
