"""Build this example's data files from Kleister-NDA.

Reads a JSON lines file whose rows hold ``id``, ``text`` (a whole contract) and ``fields``, each
with the list of its values in normal form. Writes, beside this script:

    train.parquet   204 contracts: they teach, calibrate and choose
    test.parquet     50 contracts: the frozen test set, drawn with seed 7

Parquet, because the contracts are long: five megabytes of text are one of Parquet.

    python examples/nda/prepare.py --contracts nda/train.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as arrow
from pyarrow import parquet

Row = dict[str, Any]
FIELDS = ("effective_date", "jurisdiction", "party", "term")
TEST_ROWS = 50

SCHEMA = arrow.schema(
    [
        ("id", arrow.string()),
        ("text", arrow.string()),
        ("fields", arrow.struct([(name, arrow.list_(arrow.string())) for name in FIELDS])),
    ]
)


def write(path: Path, rows: list[Row]) -> None:
    """One contract a row; a field that a contract does not hold is null."""
    table = arrow.Table.from_pylist(rows, SCHEMA)
    parquet.write_table(table, path, compression="zstd", compression_level=19)
    print(f"{path.name}: {len(rows)} rows")  # noqa: T201


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contracts", type=Path, required=True, help="the published contracts")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with options.contracts.open(encoding="utf-8") as file:
        rows: list[Row] = [json.loads(line) for line in file]
    judges = set(random.Random(options.seed).sample(range(len(rows)), TEST_ROWS))
    for name, wanted in (("train", False), ("test", True)):
        found = [row for number, row in enumerate(rows) if (number in judges) == wanted]
        write(options.folder / f"{name}.parquet", found)


if __name__ == "__main__":
    main()
