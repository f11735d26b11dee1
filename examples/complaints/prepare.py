"""Build this example's data files from one file of complaints with fourteen recorded answers each.

Reads a JSON lines file whose rows hold ``id``, ``text``, ``label`` (the product that the
complaint was filed under) and ``answers`` (``{model: {label, seconds}}``). Writes, beside
this script:

    inbox.jsonl        550 rows without a label: the texts for a teacher to answer
    gold.jsonl         200 rows with a person's label, stratified by label: the frozen test set
    inbox_gold.jsonl   150 rows of the inbox with a person's label, for a task that has some
    answers/*.jsonl    what each of fourteen large models answered, over all 750 rows

Near-duplicates never straddle inbox and gold: a text that resembles another one (Jaccard
similarity of word 3-grams of at least 0.9) stays in the inbox.

    python examples/complaints/prepare.py --answers answers.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

Row = dict[str, Any]
GOLD_ROWS = 200
INBOX_GOLD_ROWS = 150
SIMILARITY = 0.9


def shingles(text: str) -> frozenset[str]:
    """The word 3-grams of a text; a text of fewer words is its own only shingle."""
    words = text.split()
    return frozenset(" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2)))


def near_duplicates(rows: list[Row]) -> set[int]:
    """Ids of the rows that resemble another row.

    Every pair is compared: 750 rows make 281,000 pairs, a second's work.
    """
    found: set[int] = set()
    sets = [(row["id"], shingles(row["text"])) for row in rows]
    for (first, a), (second, b) in combinations(sets, 2):
        # The size ratio bounds the similarity from above and spares most intersections.
        if min(len(a), len(b)) < SIMILARITY * max(len(a), len(b)):
            continue
        shared = len(a & b)
        if shared >= SIMILARITY * (len(a) + len(b) - shared):
            found |= {first, second}
    return found


def stratified(rows: list[Row], size: int, shares: dict[str, float], seed: int) -> set[int]:
    """Ids of `size` rows whose labels have the given shares (largest remainders)."""
    exact = {label: size * share for label, share in shares.items()}
    quota = {label: int(number) for label, number in exact.items()}
    by_remainder = sorted(exact, key=lambda label: (quota[label] - exact[label], label))
    for label in by_remainder[: size - sum(quota.values())]:
        quota[label] += 1
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row["id"])
    draw = random.Random(seed)
    return {id_ for label in sorted(quota) for id_ in draw.sample(by_label[label], quota[label])}


def write(path: Path, rows: list[Row]) -> None:
    """One row a line, UTF-8."""
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def prepare(rows: list[Row], folder: Path, seed: int) -> None:
    """Write every file of the example into `folder`."""
    shares = {
        label: sum(row["label"] == label for row in rows) / len(rows)
        for label in {row["label"] for row in rows}
    }
    doubles = near_duplicates(rows)
    unique = [row for row in rows if row["id"] not in doubles]
    gold = stratified(unique, GOLD_ROWS, shares, seed)
    inbox = [row for row in rows if row["id"] not in gold]
    labelled = stratified(inbox, INBOX_GOLD_ROWS, shares, seed + 1)

    write(folder / "inbox.jsonl", [{"id": row["id"], "text": row["text"]} for row in inbox])
    for name, ids in (("gold.jsonl", gold), ("inbox_gold.jsonl", labelled)):
        chosen = [row for row in rows if row["id"] in ids]
        columns = ("id", "text", "label")
        write(folder / name, [{column: row[column] for column in columns} for row in chosen])

    (folder / "answers").mkdir(exist_ok=True)
    for model in rows[0]["answers"]:
        answers = [{"id": row["id"], **row["answers"][model], "model": model} for row in rows]
        write(folder / "answers" / f"{model}.jsonl", answers)
    print(f"inbox {len(inbox)}, gold {len(gold)}, of the inbox with a label {len(labelled)}")  # noqa: T201
    print(f"{len(doubles)} near-duplicate rows, all in the inbox")  # noqa: T201


def main() -> None:
    """Parse the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, required=True, help="the published answers")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with options.answers.open(encoding="utf-8") as file:
        rows: list[Row] = [json.loads(line) for line in file]
    prepare(rows, options.folder, options.seed)


if __name__ == "__main__":
    main()
