"""Spans of restaurant reservations: Potstill beside a plain token classification.

    python benchmarks/extraction_restaurant8k.py --train train.jsonl --test test.jsonl

Both start from the same base, learn from the same rows (a tenth of the training file tells when
to stop) for the same number of epochs, at the same rate, in the same batches and precision, read
the same words (what was asked for stands before the text), and answer the test file:

    potstill               a score for every run of tokens and field, encoder and head tuned;
                           exported, quantised and calibrated, answers by onnxruntime
    token classification   transformers' `AutoModelForTokenClassification` with begin, inside and
                           outside tags, fine-tuned and answered with torch

Scored is exact-span F1: field, first and last character must all be right.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForTokenClassification

from potstill.data import Example, Prediction
from potstill.data.example import context_of, document_of
from potstill.data.extraction import Extraction, Value
from potstill.evaluate import compare_fields, evaluate_fields
from potstill.export.extraction import export_extractor
from potstill.runtime.extraction.extractor import Extractor
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec
from potstill.train import load_extractor, resolve_base, train_extractor
from potstill.train.encoder import Quiet, lower_precision
from potstill.train.schedule import rate_factor
from potstill.train.tokens import load_whole_tokenizer, pad, shuffled_batches

FIELDS = {name: FieldSpec() for name in ("people", "time", "date", "first_name", "last_name")}
WINDOWS = WindowSpec(tokens=128, widest_value=12)
SEED = 7
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--base", default="minilm-l6")
    parser.add_argument("--mode", default="tuned", choices=["frozen", "tuned", "auto"])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    rows = read(arguments.train)
    random.Random(SEED).shuffle(rows)
    dev, train = rows[: len(rows) // 10], rows[len(rows) // 10 :]
    test = read(arguments.test)
    print(f"{len(train)} rows to learn from, {len(dev)} that tell when to stop, {len(test)} test")
    options = StudentSpec(
        base=arguments.base,
        mode=arguments.mode,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
    )
    ours = potstill(train, dev, test, options)
    report("potstill", ours, test)
    if not arguments.no_peer:
        peer = token_classification(train, dev, test, options)
        report("token classification", peer, test)
        compared = compare_fields(ours, peer, test, fields=FIELDS, seed=SEED)
        gain = compared.differences["span_f1"]
        print(f"{'difference of span F1':24}{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")


def read(file: Path) -> list[Example]:
    """The published rows, with what the system had asked for as a second input."""
    examples: list[Example] = []
    for number, line in enumerate(file.read_text("utf-8").splitlines()):
        row = json.loads(line)
        fields = {
            span["field"]: (Value(span["text"], span["text"], span["start"], span["end"]),)
            for span in row["spans"]
        }
        asked = {"text": row["text"], "asked": ", ".join(row["requested"])}
        examples.append(Example(id=str(number), input=asked, target=Extraction(fields)))
    return examples


def report(name: str, predictions: Sequence[Prediction], test: Sequence[Example]) -> None:
    found = evaluate_fields(predictions, test, fields=FIELDS, seed=SEED, name=name)
    for metric in ("span_f1", "value_f1", "document_accuracy"):
        figure = found.metrics[metric]
        print(f"{name + ', ' + metric:42}{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]")


def potstill(
    train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example], options: StudentSpec
) -> list[Prediction]:
    with tempfile.TemporaryDirectory() as folder:
        trained = train_extractor(
            train,
            dev,
            fields=FIELDS,
            windows=WINDOWS,
            options=options,
            seed=SEED,
            folder=Path(folder) / "student",
        )
        print(f"trained in {trained.seconds:.0f} s: {trained.candidates}")
        student = load_extractor(trained.folder)
        model = Path(folder) / "model"
        exported = export_extractor(
            student, name="reservations", dev=dev, options=options, folder=model, seed=SEED
        )
        print(f"exported as {exported.precision}, {exported.megabytes:.0f} MB")
        extractor = Extractor.load(model, workers=1)
        started = time.perf_counter()
        answers = extractor.predict([example.input for example in test])
        taken_ms = 1000 * (time.perf_counter() - started) / len(test)
        print(f"{taken_ms:.2f} ms a text, one thread")
        return list(answers)


TAGS = ["O", *(f"{kind}-{name}" for name in FIELDS for kind in "BI")]


def token_classification(
    train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example], options: StudentSpec
) -> list[Prediction]:
    started = time.perf_counter()
    base = resolve_base(options.base)
    tokenizer = load_whole_tokenizer(base.folder / "tokenizer.json")
    torch.manual_seed(SEED)
    with Quiet():
        model = AutoModelForTokenClassification.from_pretrained(base.folder, num_labels=len(TAGS))
    pad_id = model.config.pad_token_id or 0
    rows = [tagged(example, tokenizer) for example in train]
    lengths = [len(ids) for ids, _, _ in rows]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options.learning_rate, weight_decay=0.01, fused=True
    )
    batches = -(-len(rows) // options.batch_size)
    step, best, kept = 0, -1.0, {}
    for epoch in range(options.epochs):
        model.train()
        order = np.random.default_rng([SEED, epoch])
        for batch in shuffled_batches(lengths, options.batch_size, order):
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * rate_factor(step, batches * options.epochs)
            ids, mask = pad([rows[at][0] for at in batch], pad_id)
            wanted, _ = pad([rows[at][1] for at in batch], -100)
            with lower_precision(CPU):
                logits = model(input_ids=ids, attention_mask=mask).logits.float()
            loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
        found = evaluate_fields(answered(model, tokenizer, dev), dev, fields=FIELDS, resamples=2)
        score = found.metrics["span_f1"].value
        print(f"  epoch {epoch + 1}: {score:.4f} on the development rows", flush=True)
        if score >= best:
            best, kept = score, {name: part.clone() for name, part in model.state_dict().items()}
    model.load_state_dict(kept)
    print(f"token classification trained in {time.perf_counter() - started:.0f} s")
    return answered(model, tokenizer, test)


def tagged(example: Example, tokenizer: Any) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Token ids, the tag of each (-100 for what is not the text), and its characters."""
    context = context_of(example.input)
    text = document_of(example.input)
    encoding = tokenizer.encode(context, text)
    tags = [TAGS.index("O") if part == 1 else -100 for part in encoding.sequence_ids]
    for name, (value,) in example.target.fields.items():
        inside = [
            at
            for at, (start, end) in enumerate(encoding.offsets)
            if tags[at] != -100 and start < value.end and end > value.start
        ]
        for order, at in enumerate(inside):
            tags[at] = TAGS.index(f"{'I' if order else 'B'}-{name}")
    return encoding.ids, tags, encoding.offsets


def answered(model: Any, tokenizer: Any, examples: Sequence[Example]) -> list[Prediction]:
    """Of each field the first run of tokens that is tagged so."""
    model.eval()
    answers: list[Prediction] = []
    for example in examples:
        ids, tags, offsets = tagged(example, tokenizer)
        with torch.inference_mode(), lower_precision(CPU):
            logits = model(input_ids=torch.tensor([ids])).logits[0].float()
        said = [
            TAGS[at] if tag != -100 else "O" for at, tag in zip(logits.argmax(1), tags, strict=True)
        ]
        text = document_of(example.input)
        fields: dict[str, tuple[Value, ...]] = {}
        at = 0
        while at < len(said):
            kind, _, name = said[at].partition("-")
            first = at
            at += 1
            if kind == "O":
                continue
            while at < len(said) and said[at] == f"I-{name}":
                at += 1
            start, end = offsets[first][0], offsets[at - 1][1]
            fields.setdefault(name, (Value(text[start:end], text[start:end], start, end),))
        answers.append(Prediction(Extraction(fields)))
    return answers


if __name__ == "__main__":
    main()
