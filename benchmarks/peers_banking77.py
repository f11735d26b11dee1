"""The same base, the same 10,003 rows, one run: Potstill beside SetFit and a plain Trainer.

    pip install setfit==1.2.0
    python benchmarks/peers_banking77.py --train train.jsonl --test test.jsonl

Every contender starts from ``minilm-l6`` and is trained on all rows, then answers the test rows;
seconds are wall time from texts to a trained model, without loading libraries.

    potstill, frozen   the defaults with ``student.mode: frozen``
    SetFit             contrastive pairs for ``--steps`` steps of 16 pairs, then its linear head
                       (all pairs of 10,003 rows would take weeks)
    Trainer, defaults  float32, every row padded to 64 tokens, batch 8, ``--epochs`` epochs
    Trainer, tuned     bf16, dynamic padding, batch 32, learning rate 1e-4, as many epochs
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from potstill.data import Example
from potstill.spec.task import StudentSpec
from potstill.train import load_student, resolve_base, train_student
from potstill.train.encoder import pad_id_of, run_over
from potstill.train.tokens import load_tokenizer, read_texts

MAX_TOKENS = 64
Contender = Callable[[], tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300, help="SetFit's contrastive steps")
    parser.add_argument("--epochs", type=float, default=3.0, help="of the Trainers")
    parser.add_argument("--only", nargs="*", help="names of contenders")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    train, test = read(arguments.train), read(arguments.test)
    names = sorted({label for _, label in train})
    contenders: dict[str, Contender] = {
        "potstill": lambda: potstill(train, test, names),
        "setfit": lambda: setfit(train, test, names, arguments.steps),
        "trainer-tuned": lambda: trainer(train, test, names, arguments.epochs, tuned=True),
        "trainer": lambda: trainer(train, test, names, arguments.epochs, tuned=False),
    }
    for name, contender in contenders.items():
        if arguments.only and name not in arguments.only:
            continue
        accuracy, seconds = contender()
        print(f"{name:16} accuracy {accuracy:.4f}, {seconds:6.0f} s", flush=True)


def read(path: Path) -> list[tuple[str, str]]:
    """(text, label) of each row."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(row["text"], row["label"]) for row in rows]


def potstill(
    train: list[tuple[str, str]], test: list[tuple[str, str]], names: list[str]
) -> tuple[float, float]:
    """Ours: accuracy and seconds."""
    rows = [Example(id=str(i), input=text, target=label) for i, (text, label) in enumerate(train)]
    learn, steer = train_test_split(rows, test_size=0.1, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        train_student(
            learn,
            steer,
            labels=tuple(names),
            multilabel=False,
            options=StudentSpec(mode="frozen", max_tokens=MAX_TOKENS),
            seed=0,
            folder=Path(folder),
        )
        seconds = time.monotonic() - started
        student = load_student(Path(folder))
        tokenizer = load_tokenizer(student.tokenizer_file, MAX_TOKENS)
        tokens = read_texts([text for text, _ in test], tokenizer)
        logits = run_over(
            student.module, tokens, pad_id=pad_id_of(student.module.encoder), phase=""
        )
    right = [names[i] == label for i, (_, label) in zip(logits.argmax(1), test, strict=True)]
    return float(np.mean(right)), seconds


def setfit(
    train: list[tuple[str, str]], test: list[tuple[str, str]], names: list[str], steps: int
) -> tuple[float, float]:
    """SetFit's own trainer: accuracy and seconds."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(resolve_base("minilm-l6").folder), labels=names)
    model.model_body.max_seq_length = MAX_TOKENS
    texts, labels = zip(*train, strict=True)
    data = Dataset.from_dict({"text": list(texts), "label": list(labels)})
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder,
            batch_size=16,
            max_steps=steps,
            sampling_strategy="unique",
            num_iterations=1,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
            seed=0,
        )
        started = time.monotonic()
        Trainer(model=model, args=options, train_dataset=data).train()
        seconds = time.monotonic() - started
    said = model.predict([text for text, _ in test])
    return float(np.mean([s == label for s, (_, label) in zip(said, test, strict=True)])), seconds


def trainer(
    train: list[tuple[str, str]],
    test: list[tuple[str, str]],
    names: list[str],
    epochs: float,
    *,
    tuned: bool,
) -> tuple[float, float]:
    """A plain ``transformers`` Trainer: accuracy and seconds."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(0)
    folder = resolve_base("minilm-l6").folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(names))
    padding: Any = False if tuned else "max_length"

    def rows(examples: list[tuple[str, str]]) -> list[dict[str, Any]]:
        texts = [text for text, _ in examples]
        encoded = tokenizer(texts, truncation=True, max_length=MAX_TOKENS, padding=padding)
        return [
            {
                "input_ids": encoded["input_ids"][i],
                "attention_mask": encoded["attention_mask"][i],
                "labels": names.index(label),
            }
            for i, (_, label) in enumerate(examples)
        ]

    with tempfile.TemporaryDirectory() as output:
        better: dict[str, Any] = {
            "per_device_train_batch_size": 32,
            "learning_rate": 1e-4,
            "bf16": True,
        }
        options = TrainingArguments(
            output_dir=output,
            num_train_epochs=epochs,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            per_device_eval_batch_size=64,
            use_cpu=not torch.cuda.is_available(),
            **(better if tuned else {}),
        )
        started = time.monotonic()
        work = Trainer(
            model=model,
            args=options,
            train_dataset=rows(train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        work.train()
        seconds = time.monotonic() - started
        said = work.predict(rows(test)).predictions.argmax(axis=1)
    right = [names[i] == label for i, (_, label) in zip(said, test, strict=True)]
    return float(np.mean(right)), seconds


if __name__ == "__main__":
    main()
