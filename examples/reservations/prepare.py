"""Build this example's data files from RESTAURANTS-8K.

Reads its ``train.jsonl`` and ``test.jsonl``, whose rows hold ``text`` (what somebody said),
``requested`` (which fields the assistant had just asked for) and ``spans``. Writes, beside this
script, the same rows under the same names; ``requested`` becomes the text ``asked``, because what
a model reads is text: "8" is a time after one question, and a number of people after another.

    python examples/reservations/prepare.py --restaurant8k restaurant8k
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def prepared(row: Row, name: str, number: int) -> Row:
    """One row as the task reads it."""
    return {
        "id": f"{name}-{number:04d}",
        "text": row["text"],
        "asked": ", ".join(dict.fromkeys(row["requested"])),
        "spans": row["spans"],
    }


def read(path: Path) -> list[Row]:
    """The rows of a JSON lines file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, rows: list[Row]) -> None:
    """One row a line, UTF-8."""
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    print(f"{path.name}: {len(rows)} rows")  # noqa: T201


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--restaurant8k", type=Path, required=True, help="folder of its two files")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    for name in ("train", "test"):
        rows = read(options.restaurant8k / f"{name}.jsonl")
        found = [prepared(row, name, number) for number, row in enumerate(rows, start=1)]
        write(options.folder / f"{name}.jsonl", found)


if __name__ == "__main__":
    main()
