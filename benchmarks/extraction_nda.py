"""Fields of non-disclosure agreements: five-fold cross-validation by document.

    python benchmarks/extraction_nda.py --data train.jsonl --work nda-folds

Recorded are values without places, as in Kleister-NDA: the effective date, the jurisdiction, the
parties and the term. They are located in the text, the student learns from every mention, and
its answers are scored on the documents of the fold that it has not seen. A fifth of the other
documents tells when to stop and calibrates the answers; nothing is chosen on the scored fold.

Scored is Kleister's measure: micro F1 over the upper-cased values of all fields, each document's
as a set. Published, on the test file of the shared task and with other training documents:
Flair 0.78, LayoutLM-base and LAMBERT, which see the layout, 0.81.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from potstill.data import Example, Prediction
from potstill.data.extraction import Extraction, Value
from potstill.evaluate import evaluate_fields
from potstill.export.extraction import export_extractor
from potstill.runtime.extraction.extractor import Extractor
from potstill.spec.extraction import FieldSpec, WindowSpec
from potstill.spec.task import StudentSpec
from potstill.train import load_extractor, train_extractor

FIELDS = {
    "effective_date": FieldSpec(type="date"),
    "jurisdiction": FieldSpec(),
    "party": FieldSpec(many=True),
    "term": FieldSpec(type="duration"),
}
FOLDS = 5
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the published train.jsonl")
    parser.add_argument("--base", default="minilm-l6")
    parser.add_argument("--mode", default="tuned", choices=["frozen", "tuned", "auto"])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=8, help="windows a step")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--tokens", type=int, default=256, help="of a window")
    parser.add_argument("--folds", type=int, nargs="*", default=[*range(FOLDS)], help="from 0")
    parser.add_argument("--work", type=Path, required=True, help="keeps what is trained")
    arguments = parser.parse_args()
    documents = read(arguments.data)
    options = StudentSpec(
        base=arguments.base,
        mode=arguments.mode,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
    )
    windows = WindowSpec(tokens=arguments.tokens, widest_value=16)
    order = np.random.default_rng(SEED).permutation(len(documents))
    answers: list[Prediction] = []
    gold: list[Example] = []
    for fold in arguments.folds:
        held = [documents[at] for at in order[fold::FOLDS]]
        rest = [documents[at] for at in np.setdiff1d(order, order[fold::FOLDS])]
        mixed = np.random.default_rng([SEED, fold]).permutation(len(rest))
        dev = [rest[at] for at in mixed[: len(rest) // 5]]
        train = [rest[at] for at in mixed[len(rest) // 5 :]]
        said = answered(train, dev, held, windows, options, arguments.work / str(fold))
        print(f"fold {fold}: {line(said, held)}", flush=True)
        answers += said
        gold += held
    report(answers, gold)


def read(file: Path) -> list[Example]:
    """The published contracts, their values without places."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [
        Example(
            id=row["id"],
            input=row["text"],
            target=Extraction(
                {name: tuple(map(Value, values)) for name, values in row["fields"].items()}
            ),
        )
        for row in rows
    ]


def answered(
    train: Sequence[Example],
    dev: Sequence[Example],
    held: Sequence[Example],
    windows: WindowSpec,
    options: StudentSpec,
    folder: Path,
) -> list[Prediction]:
    """What a student of one fold, packed as it would ship, says of the fold's documents."""
    trained = train_extractor(
        train,
        dev,
        fields=FIELDS,
        windows=windows,
        options=options,
        seed=SEED,
        folder=folder / "student",
    )
    print(f"trained in {trained.seconds:.0f} s: {trained.candidates}", flush=True)
    exported = export_extractor(
        load_extractor(trained.folder),
        name="nda",
        dev=dev,
        more=train,
        options=options,
        folder=folder / "model",
        seed=SEED,
    )
    extractor = Extractor.load(folder / "model", workers=1)
    started = time.perf_counter()
    answers = extractor.predict([document.input for document in held])
    taken_s = (time.perf_counter() - started) / len(held)
    print(f"{exported.precision}, {taken_s:.2f} s a document on one thread", flush=True)
    return list(answers)


def line(answers: Sequence[Prediction], gold: Sequence[Example]) -> str:
    found = evaluate_fields(answers, gold, fields=FIELDS, resamples=2)
    fields = ", ".join(f"{score.label} {score.f1.value:.3f}" for score in found.per_label)
    return f"{found.metrics['value_f1'].value:.3f} ({fields})"


def report(answers: Sequence[Prediction], gold: Sequence[Example]) -> None:
    found = evaluate_fields(answers, gold, fields=FIELDS, seed=SEED)
    print(f"\n{len(gold)} documents")
    for name in ("value_f1", "document_accuracy"):
        figure = found.metrics[name]
        print(f"{name:20}{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    for score in found.per_label:
        precision, recall, f1 = (
            f"{part.value:.3f} [{part.low:.3f}, {part.high:.3f}]"
            for part in (score.precision, score.recall, score.f1)
        )
        print(f"{score.label:20}precision {precision}  recall {recall}  F1 {f1}")


if __name__ == "__main__":
    main()
