"""77 intents from 10,003 rows: accuracy on the test set, and rows a second against a peer.

    python benchmarks/accuracy_banking77.py --train train.jsonl --test test.jsonl --mode tuned

Trains with the defaults of `potstill.train` on nine tenths of the training rows; the other
tenth decides what is to be decided. The test rows are looked at once, at the end. With
``--peer`` it also times a plain ``transformers`` Trainer with its defaults (float32, every row
padded to the student's length) on the same rows, for as many steps as are asked for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from potstill.data import Example
from potstill.evaluate.baselines import TfidfLogistic
from potstill.spec.task import StudentSpec
from potstill.train import embed, load_student, resolve_base, train_student
from potstill.train.encoder import pad_id_of, run_over
from potstill.train.tokens import load_tokenizer, read_texts

MAX_TOKENS = 64
DEV_SHARE = 0.1
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--base", default="minilm-l6")
    parser.add_argument("--mode", choices=["auto", "frozen", "tuned"], default="auto")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer", type=int, default=0, metavar="STEPS")
    arguments = parser.parse_args()
    rows, test = read_rows(arguments.train), read_rows(arguments.test)
    labels = tuple(sorted({str(row.target) for row in rows}))
    options = StudentSpec(base=arguments.base, mode=arguments.mode, max_tokens=MAX_TOKENS)
    if arguments.peer:
        print(
            f"peer, Trainer with defaults: {peer_rate(rows, labels, options, arguments.peer):.1f} rows/s"
        )
    features = embed([row.text for row in rows], base=arguments.base, max_tokens=MAX_TOKENS)
    hits: list[np.ndarray] = []
    for seed in range(arguments.seeds):
        targets = [str(row.target) for row in rows]
        learn, steer = train_test_split(
            np.arange(len(rows)), test_size=DEV_SHARE, stratify=targets, random_state=seed
        )
        with tempfile.TemporaryDirectory() as folder:
            trained = train_student(
                [rows[index] for index in learn],
                [rows[index] for index in steer],
                labels=labels,
                multilabel=False,
                options=options,
                seed=seed,
                folder=Path(folder),
                features=features[learn],
            )
            hits.append(test_hits(Path(folder), test))
        rate = [row["rows_per_s"] for row in trained.history]
        dev = {row["mode"]: row["dev_accuracy"] for row in trained.candidates}
        print(
            f"seed {seed}: {trained.mode}, test {hits[-1].mean():.4f}, dev {dev}, "
            f"{trained.seconds:.0f} s, {np.median(rate) if rate else 0.0:.0f} rows/s",
            flush=True,
        )
    mean = np.mean(hits, axis=0)
    draws = np.random.default_rng(0).integers(0, len(mean), (RESAMPLES, len(mean)))
    low, high = np.percentile(mean[draws].mean(axis=1), [2.5, 97.5])
    print(f"student, mean of {len(hits)} seeds: {mean.mean():.4f} [{low:.4f}, {high:.4f}]")
    tfidf = TfidfLogistic.fit(rows, labels, False)
    answers = tfidf.predict([row.input for row in test])
    right = [said.target == row.target for said, row in zip(answers, test, strict=True)]
    print(f"TF-IDF + logistic regression: {np.mean(right):.4f}")


def read_rows(file: Path) -> list[Example]:
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [
        Example(id=str(number), input=row["text"], target=row["label"])
        for number, row in enumerate(lines)
    ]


def test_hits(folder: Path, test: list[Example]) -> np.ndarray:
    """Whether the student is right, row by row."""
    student = load_student(folder)
    tokenizer = load_tokenizer(student.tokenizer_file, student.max_tokens)
    tokens = read_texts([row.text for row in test], tokenizer)
    pad_id = pad_id_of(student.module.encoder)
    said = run_over(student.module, tokens, pad_id=pad_id, phase="test").argmax(axis=1)
    pairs = zip(said, test, strict=True)
    return np.array([student.labels[index] == row.target for index, row in pairs], dtype=float)


def peer_rate(
    rows: list[Example], labels: tuple[str, ...], options: StudentSpec, steps: int
) -> float:
    """Training rows a second of a plain Trainer, the first step left out."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    folder = resolve_base(options.base).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = [
        {
            **tokenizer(row.text, truncation=True, padding="max_length", max_length=MAX_TOKENS),
            "labels": labels.index(str(row.target)),
        }
        for row in rows[: (steps + 1) * options.batch_size]
    ]
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            times.append(time.monotonic())

    with tempfile.TemporaryDirectory() as output:
        given = TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=options.batch_size,
            max_steps=steps + 1,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(labels))
        Trainer(model=model, args=given, train_dataset=encoded, callbacks=[Clock()]).train()
    return options.batch_size * (len(times) - 1) / (times[-1] - times[0])


if __name__ == "__main__":
    main()
