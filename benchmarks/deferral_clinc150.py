"""Does a model keep its promise of at most 5% errors among its answers, and how much does it answer?

CLINC150 (Larson et al. 2019): a student of the 150 intents, trained on ``train``, and the int8
graph that ships. Its development rows, ``val`` with the out-of-scope ``oos_val``, are divided at
random into a half that calibrates and a half that judges, a hundred times. A split fails where
more than `max_error` of the answers on its judging half are wrong; an answer to an out-of-scope
row is. Beside the policy of Potstill stand the usual ones on the same halves: confidence after
temperature scaling with the bound ``1 - max_error``, which promises nothing, and the same
confidence with a certified bound.

    python benchmarks/deferral_clinc150.py --data FOLDER

FOLDER holds train, val, oos_train and oos_val as JSON lines of ``text`` and ``label``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer

from potstill.data import Example, Prediction, Source
from potstill.export import export_student
from potstill.export.calibrate import calibrate
from potstill.export.certify import certify
from potstill.export.deferral import Answered, certifying_rows, settle
from potstill.runtime.decision import Decision
from potstill.runtime.deferral import DeferralPolicy
from potstill.runtime.folder import read_folder
from potstill.runtime.reading import Reader
from potstill.runtime.session import open_session, run_one
from potstill.spec.deferral import DeferSpec
from potstill.spec.task import StudentSpec
from potstill.train import load_student, train_student

MOST_FAILURES = 10
LEAST_AUROC = 0.95
SHARES = (0.0, 0.03, 0.1, 0.18, 0.3)
"""Shares of out-of-scope rows under which the answers are judged besides."""

PERSON = Source(kind="person", name="CLINC150", contributed=("input", "target"), stage="read")


def read(path: Path) -> list[Example]:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Example(id=f"{path.stem}-{at}", input=row["text"], target=row["label"], sources=(PERSON,))
        for at, row in enumerate(rows)
    ]


def export(data: Path, base: str, work: Path) -> Path:
    train, val = read(data / "train.jsonl"), read(data / "val.jsonl")
    labels = tuple(sorted({str(row.target) for row in train}))
    options = StudentSpec(mode="frozen", base=base, max_tokens=64)
    # Every row of val takes part in some certificate: none may choose anything in the training.
    train_student(
        train, [], labels=labels, multilabel=False, options=options, seed=7, folder=work / "student"
    )
    student = load_student(work / "student")
    export_student(
        student, name="clinc150", dev=val, options=options, folder=work / "model", seed=7
    )
    return work / "model"


def ask(model: Path, rows: Sequence[Example]) -> NDArray[np.float32]:
    """Logits (row, label) of the graph that ships, one text a run."""
    contents = read_folder(model)
    session = open_session(contents.graph, where=str(model))
    reader = Reader(Tokenizer.from_buffer(contents.tokenizer))
    return np.stack([run_one(session, reader.read(row.input)[0]) for row in rows])


def plain(blank: Decision, half: Answered, spec: DeferSpec, seed: int) -> tuple[Decision, Decision]:
    """Temperature-scaled confidence with the customary bound, and with a certified one."""
    kept = {row.id for row in certifying_rows(half.rows, seed=seed)}
    fitting = half.only([row.id not in kept for row in half.rows])
    certifying = half.only([row.id in kept for row in half.rows])
    inside = fitting.only([row.target in blank.labels for row in fitting.rows])
    scaled, _ = calibrate(blank, inside.logits, inside.rows)
    predictions = [scaled.answer(logits) for logits in certifying.logits]
    certificate = certify(
        predictions,
        np.array([p.target == r.target for p, r in zip(predictions, certifying.rows, strict=True)]),
        outside=0,
        earlier=[scaled.answer(logits) for logits in fitting.logits],
        spec=spec,
    )
    return (
        replace(scaled, deferral=DeferralPolicy(1.0 - spec.max_error)),
        replace(scaled, deferral=DeferralPolicy(certificate.min_confidence)),
    )


class Tally:
    """What one policy did over all splits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.coverage: list[float] = []
        self.error: list[float] = []
        self.auroc: list[float] = []
        self.found: list[float] = []
        self.moved: list[list[tuple[float, float]]] = []

    def add(self, decision: Decision, half: Answered) -> None:
        """Judge one split."""
        given = [decision.answer(logits) for logits in half.logits]
        outside = np.array([row.target not in decision.labels for row in half.rows])
        answered = np.array([one.answer is not None for one in given])
        pairs = zip(given, half.rows, strict=True)
        wrong = np.array(
            [one.answer is not None and one.answer != row.target for one, row in pairs]
        )
        self.coverage.append(float(answered.mean()))
        self.error.append(float(wrong.sum() / max(answered.sum(), 1)))
        self.auroc.append(float(roc_auc_score(outside, [outsideness(one) for one in given])))
        self.found.append(float((~answered[outside]).mean()))
        self.moved.append([moved(answered, wrong, outside, share) for share in SHARES])

    def row(self, max_error: float) -> str:
        """A line of the table."""
        failures = sum(error > max_error for error in self.error)
        return (
            f"{self.name:42}{np.median(self.coverage):10.1%}{np.median(self.error):9.2%}"
            f"{max(self.error):9.2%}{failures:10}{np.median(self.auroc):9.4f}"
            f"{np.median(self.found):12.1%}"
        )


def outsideness(prediction: Prediction) -> float:
    if prediction.out_of_scope is not None:
        return prediction.out_of_scope
    return 1.0 - (prediction.confidence or 0.0)


def moved(
    answered: NDArray[np.bool_], wrong: NDArray[np.bool_], outside: NDArray[np.bool_], share: float
) -> tuple[float, float]:
    """Coverage and error if `share` of the rows were out of scope, all else equal."""
    weight = np.where(outside, share / outside.mean(), (1.0 - share) / (1.0 - outside.mean()))
    told = float((weight * answered).mean())
    return told, float((weight * wrong).mean()) / max(told, 1e-12)


def measure(
    pool: Answered,
    more_outside: NDArray[np.float32],
    labels: tuple[str, ...],
    spec: DeferSpec,
    splits: int,
) -> list[Tally]:
    blank = Decision(labels, multilabel=False)
    tallies = [
        Tally("temperature, confidence from 1 - max_error"),
        Tally("temperature, certified bound"),
        Tally("potstill"),
    ]
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(pool.rows))
        calibrates = np.zeros(len(order), dtype=bool)
        calibrates[order[: len(order) // 2]] = True
        half, judges = pool.only(calibrates.tolist()), pool.only((~calibrates).tolist())
        settled = settle(blank, half, more_outside=more_outside, defer=spec, seed=split)
        decisions = [*plain(blank, half, spec, split), settled.decision]
        for tally, decision in zip(tallies, decisions, strict=True):
            tally.add(decision, judges)
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--base", default="minilm-l6")
    parser.add_argument("--work", type=Path, help="keeps the student for another measurement")
    parser.add_argument(
        "--judge", nargs="*", default=["val", "oos_val"], help="files that are divided"
    )
    arguments = parser.parse_args()
    spec = DeferSpec(max_error=0.05, confidence=0.9)
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        model = export(arguments.data, arguments.base, work)
        rows = [row for name in arguments.judge for row in read(arguments.data / f"{name}.jsonl")]
        pool = Answered(rows, ask(model, rows))
        labels = tuple(read_folder(model).card.decision.labels)
        more = ask(model, read(arguments.data / "oos_train.jsonl"))
    inside = np.array([row.target in labels for row in rows])
    right = np.array([labels[at] for at in pool.logits.argmax(axis=1)])[inside]
    accuracy = np.mean(right == np.array([str(row.target) for row in rows])[inside])
    print(
        f"{len(rows):,} rows, {1 - inside.mean():.1%} out of scope; accuracy on the others "
        f"{accuracy:.1%}; {arguments.splits} splits; at most {spec.max_error:.0%} errors with "
        f"confidence {spec.confidence:.0%}"
    )
    tallies = measure(pool, more, labels, spec, arguments.splits)
    print(
        f"{'medians':42}{'answered':>10}{'error':>9}{'worst':>9}{'failures':>10}{'AUROC':>9}"
        f"{'oos deferred':>13}"
    )
    for tally in tallies:
        print(tally.row(spec.max_error))
    print("\nanswered / error of potstill by the share that is out of scope (mean over splits)")
    for share, (told, error) in zip(SHARES, np.mean(tallies[-1].moved, axis=0), strict=True):
        print(f"{share:6.0%}{told:10.1%}{error:9.2%}")
    ours = tallies[-1]
    failures = sum(error > spec.max_error for error in ours.error)
    allowed = MOST_FAILURES * arguments.splits / 100
    print(
        f"\ngoal failures at most {allowed:g}: {'met' if failures <= allowed else 'missed'}; "
        f"goal AUROC {LEAST_AUROC}: "
        f"{'met' if np.median(ours.auroc) >= LEAST_AUROC else 'missed'}"
    )


if __name__ == "__main__":
    main()
