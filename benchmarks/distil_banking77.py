"""A student above its teacher, and above its own gold: Banking77 with a 1.5B local teacher.

    python benchmarks/distil_banking77.py --data FOLDER [--rows 700] [--test-rows 300]

FOLDER holds ``train.jsonl`` and ``test.jsonl`` (``text``, ``label``). The task knows two gold
examples a label and `rows` training texts without their labels; the only teacher is
``local:qwen2.5-coder-1.5b``. Every line below is an ordinary run of the same task with other
settings; all share one ledger, so that nothing is asked twice. The teacher's own accuracy, asked
directly, is measured on a sample of the test file; students are judged on all of it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np

from potstill import api
from potstill.data.reading import read_examples
from potstill.generate.retrieval import Shown
from potstill.spec import load_task
from potstill.train import embed

SEED = 7
GOLD_A_LABEL = 2
NEARNESS = 18.0
"""Weight of a cosine in the control: what the audition fits for it, with or without the teacher."""
PLAIN: dict[str, object] = {
    "teacher.examples": 0,
    "teacher.shortlist": 0,
    "teacher.reasoning": False,
    "teacher.votes": 1,
    "teacher.nearest_gold": False,
    "filter_options.min_agreement": 0,
}
BEST: dict[str, object] = {
    **PLAIN,
    "teacher.examples": 154,
    "teacher.shortlist": 6,
    "teacher.nearest_gold": "auto",
    "teacher.test_rows": 0,
}
STEPS: dict[str, dict[str, object]] = {
    "plain labels (zero-shot)": PLAIN,
    "joined with the nearest gold": {**PLAIN, "teacher.nearest_gold": "auto"},
    "few-shot, shortlist": {**BEST, "teacher.nearest_gold": False},
    "few-shot, shortlist, nearest gold": BEST,
    "the same, rows below 0.5 filtered": {**BEST, "filter_options.min_agreement": 0.5},
    "then a round": {**BEST, "rounds.max": 1, "rounds.rows": 40},
}


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def prepare(data: Path, folder: Path, rows: int) -> tuple[str, dict[str, str]]:
    """Write gold, texts without labels and test rows; return the task and the hidden labels."""
    train, test = (
        [json.loads(line) for line in (data / f"{name}.jsonl").open()] for name in ("train", "test")
    )
    order = list(range(len(train)))
    random.Random(SEED).shuffle(order)
    taken: Counter[str] = Counter()
    gold: list[dict[str, object]] = []
    rest: list[int] = []
    for place in order:
        row = train[place]
        if taken[row["label"]] < GOLD_A_LABEL:
            taken[row["label"]] += 1
            gold.append({"id": f"train-{place}", **row})
        else:
            rest.append(place)
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / "gold.jsonl", gold)
    asked = rest[:rows]
    write_lines(
        folder / "unlabeled.jsonl",
        [{"id": f"train-{place}", "text": train[place]["text"]} for place in asked],
    )
    write_lines(
        folder / "test.jsonl", [{"id": f"test-{place}", **row} for place, row in enumerate(test)]
    )
    labels = "\n".join(f"  {label}: null" for label in sorted(taken))
    return labels, {f"train-{place}": train[place]["label"] for place in asked}


def task_text(labels: str, test_rows: int, base: str) -> str:
    return f"""kind: task
version: 1
name: banking77
type: classification
description: What does this customer of a bank want? Choose the intent of the message.
labels:
{labels}
data:
  unlabeled: unlabeled.jsonl
  gold: gold.jsonl
  test: test.jsonl
  terms: CC-BY-4.0
teacher:
  model: local:qwen2.5-coder-1.5b
  terms: Apache-2.0
  test_rows: {test_rows}
student: {{base: {base}, mode: frozen}}
seed: {SEED}
"""


def gold_text(task: str) -> str:
    """The same task without its teacher: what two gold examples a label are worth alone."""
    start, end = task.index("teacher:"), task.index("student:")
    plain = task[:start] + task[end:]
    return plain.replace("name: banking77", "name: banking77-gold").replace(
        "  unlabeled: unlabeled.jsonl\n", ""
    )


def label_accuracy(run: Path, hidden: dict[str, str], name: str) -> tuple[float, int]:
    """How often the labels that a stage left are the hidden ones."""
    rows = [json.loads(line) for line in (run / "dataset" / f"{name}.jsonl").open()]
    right = [row["target"] == hidden[row["id"]] for row in rows if row["id"] in hidden]
    return float(np.mean(right)), len(right)


def nearest_alone(task: Path, runs: Path, base: str) -> str:
    """The control: the same rows labelled by the nearest gold and label names, without a teacher."""
    loaded = load_task(task)
    columns = loaded.task.data.columns
    gold = read_examples([task.parent / "gold.jsonl"], columns, labelled=True).examples
    rows = read_examples([task.parent / "unlabeled.jsonl"], columns, labelled=False).examples
    index = Shown.of(
        loaded.task,
        gold,
        embed=lambda texts: embed(texts, base=base, max_tokens=256),
        name=base,
    ).index
    names = loaded.task.label_names
    answers = []
    for row, scores in zip(rows, index.scores_of(rows), strict=True):
        shares = np.exp(NEARNESS * (scores - scores.max()))
        shares /= shares.sum()
        said = {name: float(share) for name, share in zip(names, shares, strict=True)}
        answers.append({"id": row.id, "label": max(said, key=said.__getitem__), "scores": said})
    write_lines(task.parent / "nearest.jsonl", answers)
    text = task.read_text()
    start, end = text.index("teacher:"), text.index("student:")
    text = text[:start] + "teacher: {answers: nearest.jsonl}\n" + text[end:]
    control = task.parent / "nearest.yaml"
    control.write_text(text.replace("name: banking77", "name: banking77-nearest"))
    return student_row(
        api.run(control, runs=runs, overrides=["filter_options.min_agreement=0"]).report
    )


def teacher_alone(task: Path, runs: Path, examples: int) -> str:
    """The teacher's own accuracy on the sample of test rows, without a student."""
    one = task.parent / "one.jsonl"
    one.write_text((task.parent / "unlabeled.jsonl").read_text().partition("\n")[0] + "\n")
    settings = {**PLAIN, "teacher.examples": examples, "data.unlabeled": one.name}
    overrides = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    folder = api.run(task, runs=runs, overrides=overrides, until="ask").folder / "dataset"
    gold = {row["id"]: row["label"] for row in map(json.loads, (task.parent / "test.jsonl").open())}
    answers = [json.loads(line) for line in (folder / "test_answers.jsonl").open()]
    right = np.array([answer.get("label") == gold[answer["id"]] for answer in answers])
    error = 1.96 * float(np.sqrt(right.mean() * (1 - right.mean()) / len(right)))
    return f"{right.mean():.3f} [{right.mean() - error:.3f}, {right.mean() + error:.3f}]"


def slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def keep_answers(run: Path, file: Path) -> None:
    """The teacher's answers as a small file of recorded ones: `id` is the row of train.jsonl."""
    kept = ("id", "label", "model", "seconds", "prompt_tokens", "completion_tokens")
    with (run / "dataset" / "answers.jsonl").open() as stream:
        rows = [json.loads(line) for line in stream]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_lines(file, [{key: row[key] for key in kept if key in row} for row in rows])


def student_row(report: dict[str, object]) -> str:
    (student,) = [e for e in report["entries"] if e["role"] == "student"]
    metric = student["evaluation"]["metrics"]["accuracy"]
    return f"{metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of train and test.jsonl")
    parser.add_argument("--folder", type=Path, default=Path("distil-banking77"))
    parser.add_argument("--rows", type=int, default=700, help="texts without labels")
    parser.add_argument("--test-rows", type=int, default=300, help="test rows the teacher answers")
    parser.add_argument("--base", default="mpnet-base")
    parser.add_argument("--keep", type=Path, help="folder that receives the teacher's answers")
    parser.add_argument("--steps", nargs="*", default=list(STEPS), help="which lines to make")
    arguments = parser.parse_args()
    labels, hidden = prepare(arguments.data, arguments.folder, arguments.rows)
    task = arguments.folder / "task.yaml"
    task.write_text(task_text(labels, arguments.test_rows, arguments.base))
    gold = arguments.folder / "gold.yaml"
    gold.write_text(gold_text(task.read_text()))
    runs = arguments.folder / "runs"

    report = api.run(gold, runs=runs).report
    for name, examples in (
        ("zero-shot", 0),
        ("few-shot, all gold shown", GOLD_A_LABEL * labels.count("\n") + GOLD_A_LABEL),
    ):
        alone = teacher_alone(task, runs, examples)
        print(f"the teacher alone, {name}, {arguments.test_rows} test rows: {alone}", flush=True)
    nearest = nearest_alone(task, runs, arguments.base)
    print(f"the student on labels of the nearest gold, no teacher: {nearest}", flush=True)
    print(f"the student on gold alone, {GOLD_A_LABEL} a label: {student_row(report)}", flush=True)
    print("| step | labels right | after filters | student, test file |\n|---|---|---|---|")
    for name in arguments.steps:
        overrides = [f"{key}={json.dumps(value)}" for key, value in STEPS[name].items()]
        done = api.run(task, runs=runs, overrides=overrides)
        if arguments.keep:
            keep_answers(done.folder, arguments.keep / f"{slug(name)}.jsonl")
        silver, rows = label_accuracy(done.folder, hidden, "silver")
        kept, left = label_accuracy(done.folder, hidden, "train")
        print(
            f"| {name} | {silver:.3f} of {rows} | {kept:.3f} of {left} "
            f"| {student_row(done.report)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
