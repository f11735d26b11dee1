from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from potstill.data.duplicates import jaccard, shingles

FOLDER = Path(__file__).parents[2] / "examples" / "complaints"


def read(name: str) -> list[dict]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def test_inbox_and_gold_are_apart_and_every_answer_is_there():
    inbox, gold, labelled = (read(f"{name}.jsonl") for name in ("inbox", "gold", "inbox_gold"))
    ids = {row["id"] for row in inbox}
    assert (len(inbox), len(gold), len(labelled)) == (550, 200, 150)
    assert not ids & {row["id"] for row in gold}
    assert {row["id"] for row in labelled} <= ids
    assert all(set(row) == {"id", "text"} for row in inbox)
    texts = {row["id"]: row["text"] for row in inbox}
    assert all(texts[row["id"]] == row["text"] for row in labelled)
    everyone = ids | {row["id"] for row in gold}
    for path in (FOLDER / "answers").iterdir():
        rows = read(f"answers/{path.name}")
        assert {row["id"] for row in rows} == everyone
        assert {row["model"] for row in rows} == {path.stem}


def test_gold_is_stratified():
    counts = Counter(row["label"] for row in read("gold.jsonl"))
    assert counts == {
        "credit_card": 41,
        "credit_reporting": 40,
        "debt_collection": 43,
        "mortgages_and_loans": 39,
        "retail_banking": 37,
    }


def test_no_near_duplicate_straddles_inbox_and_gold():
    inbox = [shingles(row["text"]) for row in read("inbox.jsonl")]
    for row in read("gold.jsonl"):
        wanted = shingles(row["text"])
        near = max(jaccard(wanted, other) for other in inbox)
        assert near < 0.9, f"{row['id']} nearly repeats an inbox row ({near:.2f})"
