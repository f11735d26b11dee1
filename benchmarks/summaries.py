"""Summaries: the student that writes and the one that picks, beside the lead and the untuned base.

    python benchmarks/summaries.py --data FOLDER --set clauses|papers [--train-rows N]
        [--test-rows N] [--epochs N] [--picker FOLDER] [--work FOLDER]

FOLDER holds ``clause_summaries/train.jsonl`` and ``scitldr/{train,dev}.jsonl``. Clauses are
judged on the documents that hold the last fifth of the rows, papers on the published
development file; both only at the end. What decides (epochs, the picker's candidate) is a tenth
of the training rows, by document. The untuned base gets the same instruction, the same graph and
the same guards. Everything is answered on one thread, so the milliseconds are of one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from potstill.data import Example, Prediction, Text
from potstill.evaluate.texts import Lead, compare_texts, evaluate_texts
from potstill.export.picker import export_picker
from potstill.export.writer import export_writer
from potstill.runtime import load_model
from potstill.spec.task import Task
from potstill.train.picking.student import load_picker
from potstill.train.picking.training import train_picker
from potstill.train.writing.bases import load_start, resolve_writer
from potstill.train.writing.prompting import instruction_of, prompt_of
from potstill.train.writing.student import load_writer, save_writer
from potstill.train.writing.training import train_writer, writing_options

SEED = 7
TEST_SHARE = 0.2
DEV_SHARE = 0.1
QUESTIONS = {
    "clauses": ("What does this clause of a contract mean, in plain English?", 30),
    "papers": ("What is the contribution of this paper, in one sentence?", 40),
}


def read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def example(row: dict[str, Any]) -> Example:
    said = row.get("summaries") or [row["summary"]]
    target = Text(said[0], references=tuple(said[1:]))
    return Example(id=row["id"], input=row["text"], target=target, group=row.get("document"))


def last_groups(rows: Sequence[Example], share: float) -> list[Example]:
    """The rows of the last groups that together hold a share of all rows."""
    sizes = Counter(row.group or row.id for row in rows)
    taken: set[str] = set()
    held = 0
    for group in reversed(list(sizes)):
        if held >= share * len(rows):
            break
        taken.add(group)
        held += sizes[group]
    return [row for row in rows if (row.group or row.id) in taken]


def without(rows: Sequence[Example], gone: Sequence[Example]) -> list[Example]:
    ids = {row.id for row in gone}
    return [row for row in rows if row.id not in ids]


def split(data: Path, which: str) -> tuple[list[Example], list[Example], list[Example]]:
    """Rows to learn from, to decide on, and to judge."""
    if which == "clauses":
        rows = [example(row) for row in read_rows(data / "clause_summaries" / "train.jsonl")]
        test = last_groups(rows, TEST_SHARE)
        train = without(rows, test)
    else:
        train = [example(row) for row in read_rows(data / "scitldr" / "train.jsonl")]
        test = [example(row) for row in read_rows(data / "scitldr" / "dev.jsonl")]
    dev = last_groups(train, DEV_SHARE)
    return without(train, dev), dev, test


def task_of(which: str, epochs: int | None) -> Task:
    question, max_words = QUESTIONS[which]
    student: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    return Task.model_validate(
        {
            "kind": "task",
            "version": 1,
            "name": which,
            "type": "generation",
            "description": question,
            "text": {"max_words": max_words},
            "data": {"gold": "train.jsonl"},
            "student": student,
        }
    )


def untuned(task: Task, folder: Path) -> None:
    """The base as a writer that has learnt nothing."""
    start = load_start(resolve_writer(task.student.writer))
    prompt = prompt_of(start.tokenizer, start.model, instruction_of(task))
    tokens = writing_options(task.student).max_tokens  # far fewer than it has positions
    save_writer(folder, start, prompt=prompt, max_tokens=tokens, facts={"identity": "untuned"})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=list(QUESTIONS), required=True)
    parser.add_argument("--train-rows", type=int, help="learn from the first so many")
    parser.add_argument("--test-rows", type=int, help="judge on an even sample of so many")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--picker", type=Path, help="a packed picker, in place of training one")
    parser.add_argument("--work", type=Path, help="kept between calls")
    options = parser.parse_args()
    train, dev, test = split(options.data, options.set)
    train = list(islice(train, options.train_rows))
    test = test[:: max(1, len(test) // (options.test_rows or len(test)))][: options.test_rows]
    task = task_of(options.set, options.epochs)
    print(f"{options.set}: {len(train)} rows teach, {len(dev)} decide, {len(test)} judge")
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        judge(make(task, train, dev, work, options.picker), test, task)


def make(
    task: Task, train: Sequence[Example], dev: Sequence[Example], work: Path, picker: Path | None
) -> dict[str, Path]:
    """Train and export all students; their model folders by name."""
    shared: dict[str, Any] = {"options": task.student, "seed": SEED}
    if picker is None:
        picker = work / "picker-model"
        train_picker(train, dev, text=task.text, folder=work / "picker", **shared)
        student = load_picker(work / "picker")
        export_picker(student, name="picker", dev=dev, folder=picker, task=task, **shared)
    trained = train_writer(train, dev, task=task, folder=work / "writer", **shared)
    for row in trained.history:
        print(f"epoch {row['epoch']}: loss {row['loss']:.3f}, dev {-row['dev_accuracy']:.3f}")
    print(f"writer: {trained.seconds:.0f} s, {trained.candidates[0]}")
    untuned(task, work / "untuned")
    folders = {"picker": picker}
    for name in ("untuned", "writer"):
        folders[name] = work / f"{name}-model"
        exported = export_writer(
            load_writer(work / name),
            name=name,
            picker=picker,
            dev=dev,
            folder=folders[name],
            task=task,
            **shared,
        )
        print(f"{name}: {exported.megabytes:.0f} MB, {exported.parity}, {exported.timings}")
    return folders


def judge(folders: dict[str, Path], test: Sequence[Example], task: Task) -> None:
    """Print every predictor's figures, and the differences that matter."""
    words = task.text.max_words
    predictors: dict[str, Any] = {"lead-1": Lead(words, sentences=1), "lead-k": Lead(words)}
    predictors |= {name: load_model(folder, workers=1) for name, folder in folders.items()}
    inputs = [row.input for row in test]
    answers: dict[str, list[Prediction]] = {}
    print("| | R-1 | R-2 | R-L | words | invented | copied | guarded | ms |")
    for name, predictor in predictors.items():
        started = time.perf_counter()
        answers[name] = predictor.predict(inputs)
        ms = 1e3 * (time.perf_counter() - started) / len(test)
        found = evaluate_texts(answers[name], test, name=name, seed=SEED)
        figures = [found.metrics[key] for key in ("rouge_1", "rouge_2", "rouge_l")]
        shown = " | ".join(f"{one.value:.3f} ({one.low:.3f}-{one.high:.3f})" for one in figures)
        written = found.written
        assert written is not None
        print(
            f"| {name} | {shown} | {written.words:.1f} | {found.metrics['invented'].value:.3f} | "
            f"{found.metrics['copied'].value:.2f} | {written.guarded} | {ms:.1f} |",
            flush=True,
        )
    pairs = [("writer", other) for other in ("lead-1", "lead-k", "untuned", "picker")]
    for a, b in [*pairs, ("picker", "lead-1"), ("picker", "lead-k")]:
        apart = compare_texts(answers[a], answers[b], test, names=(a, b), seed=SEED)
        gained = apart.differences["rouge_l"]
        print(
            f"{a} - {b}: ROUGE-L {gained.value:+.3f} ({gained.low:+.3f} to {gained.high:+.3f}), "
            f"{apart.wins} wins, {apart.losses} losses"
        )
    for row, *said in list(zip(test, answers["untuned"], answers["writer"], strict=True))[:5]:
        print(f"\nsource  {row.text[:300]}\ngold    {row.target}")
        for name, one in zip(("untuned", "writer"), said, strict=True):
            print(f"{name} {one.target}")


if __name__ == "__main__":
    main()
