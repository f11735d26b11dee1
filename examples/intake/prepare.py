"""Build this example's data files from CLINC150, Banking77 and the complaints example.

Reads ``train.jsonl``, ``val.jsonl``, ``oos_train.jsonl`` and ``oos_val.jsonl`` of CLINC150,
``train.jsonl`` and ``test.jsonl`` of Banking77 (rows of ``text`` and ``label``), and the inbox
and gold of the complaints example beside this one. Writes, beside this script:

    routes/train.jsonl   16,220 rows that teach the router
    routes/dev.jsonl      2,135 rows that calibrate it and set its threshold
    banking/train.jsonl  10,003 rows of Banking77: they teach and calibrate the banking model
    banking/test.jsonl    1,540 rows of Banking77: its test set
    gold.jsonl            2,135 messages with the right answer end to end; nothing was trained,
                          tuned or calibrated on them

The development rows of the router and the gold rows hold the same number of messages of each
origin: what is promised on the former is then promised for the latter.

    python examples/intake/prepare.py --clinc150 clinc150 --banking77 banking77
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BANKING, COMPLAINT, OUTSIDE = "banking", "complaint", "oos"

HALF_AN_INTENT = 10
"""Of the 20 rows that an intent of CLINC150 has in its validation split."""

BANKING_TAUGHT = 10
BANKING_JUDGED = 5
"""Rows of each of Banking77's intents that teach the router, and that judge it."""

WHOLE_COMPLAINTS = 100
PIECES = 250
PIECE_WORDS = (6, 25)
"""The complaints are letters, and people also complain in one sentence: the router sees both."""


def drawn(rows: list[Row], each: int, draw: random.Random) -> tuple[list[Row], list[Row]]:
    """So many rows of each label, and those that are left, both in the order of `rows`."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row["label"]].append(place)
    taken = {place for label in sorted(places) for place in draw.sample(places[label], each)}
    return (
        [row for place, row in enumerate(rows) if place in taken],
        [row for place, row in enumerate(rows) if place not in taken],
    )


def piece(text: str, draw: random.Random) -> str:
    """A few successive words of a letter."""
    words = text.split()
    length = min(draw.randint(*PIECE_WORDS), len(words))
    start = draw.randint(0, len(words) - length)
    return " ".join(words[start : start + length])


def routed(rows: list[Row], route: str | None = None) -> list[Row]:
    """Rows for the router: the text, and where it goes (its own label unless told)."""
    return [{"text": row["text"], "route": route or row["label"]} for row in rows]


def expected(name: str, rows: list[Row], node: str, route: str | None = None) -> list[Row]:
    """Gold rows: the answer end to end, and what each model on its way should say."""
    found: list[Row] = []
    for number, row in enumerate(rows, start=1):
        gold = {
            "id": f"{name}-{number:04d}",
            "text": row["text"],
            "label": OUTSIDE if row["label"] == OUTSIDE else f"{node}/{row['label']}",
            "route": route or row["label"],
        }
        found.append(gold | ({} if route is None else {node: row["label"]}))
    return found


def read(path: Path) -> list[Row]:
    """The rows of a JSON lines file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, rows: list[Row]) -> None:
    """One row a line, UTF-8."""
    path.parent.mkdir(exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    print(f"{path.name}: {len(rows)} rows")  # noqa: T201


def prepare(clinc150: Path, banking77: Path, complaints: Path, folder: Path, seed: int) -> None:
    """Write every file of the example into `folder`."""
    draw = random.Random(seed)
    bank_train, bank_test = read(banking77 / "train.jsonl"), read(banking77 / "test.jsonl")
    inbox = read(complaints / "inbox.jsonl")
    draw.shuffle(inbox)
    cuts = (WHOLE_COMPLAINTS, WHOLE_COMPLAINTS + PIECES)
    whole, cut, kept = inbox[: cuts[0]], inbox[cuts[0] : cuts[1]], inbox[cuts[1] :]
    pieces = [{"text": piece(row["text"], draw)} for row in cut]
    bank_taught, bank_left = drawn(bank_train, BANKING_TAUGHT, draw)
    bank_dev, _ = drawn(bank_left, BANKING_JUDGED, draw)
    bank_gold, _ = drawn(bank_test, BANKING_JUDGED, draw)
    clinc_dev, clinc_gold = drawn(read(clinc150 / "val.jsonl"), HALF_AN_INTENT, draw)
    strangers = read(clinc150 / "oos_val.jsonl")
    draw.shuffle(strangers)
    half = len(strangers) // 2

    write(
        folder / "routes" / "train.jsonl",
        routed(read(clinc150 / "train.jsonl"))
        + routed(bank_taught, BANKING)
        + routed([*whole, *pieces], COMPLAINT)
        + routed(read(clinc150 / "oos_train.jsonl")),
    )
    write(
        folder / "routes" / "dev.jsonl",
        routed([*clinc_dev, *strangers[:half]])
        + routed(bank_dev, BANKING)
        + routed(kept, COMPLAINT),
    )
    write(folder / "banking" / "train.jsonl", bank_train)
    write(folder / "banking" / "test.jsonl", bank_test)
    write(
        folder / "gold.jsonl",
        expected("clinc", clinc_gold, "route")
        + expected("outside", strangers[half:], "route")
        + expected("banking", bank_gold, "banking", BANKING)
        + expected("complaint", read(complaints / "gold.jsonl"), "complaints", COMPLAINT),
    )


def main() -> None:
    """Parse the command line and write the files."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clinc150", type=Path, required=True, help="folder of its four files")
    parser.add_argument("--banking77", type=Path, required=True, help="folder of its two files")
    parser.add_argument("--complaints", type=Path, default=here.parent / "complaints")
    parser.add_argument("--folder", type=Path, default=here)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    prepare(options.clinc150, options.banking77, options.complaints, options.folder, options.seed)


if __name__ == "__main__":
    main()
