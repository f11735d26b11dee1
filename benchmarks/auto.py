"""`base: auto` beside each of its candidates trained alone: score, latency, and time.

    python benchmarks/auto.py --data DATA --set banking77 --work WORK

One data set a call. `auto` chooses on the training file alone; then every candidate that it could
have taken is trained by itself, on the same rows, and all are scored on the same test rows:

    complaints   five-fold over the 750 rows: a division alone is all noise; gold labels
    banking77    its test file
    clinc150     its validation file; nothing was tuned on it
    spam         advertisements that this script makes up, among CLINC150's requests

A tenth of the training rows steer. The goal: a score within 0.01 of the best candidate's, at no
more than its latency, in at most 2.5 times the time of training that one alone. Finished
trainings stay in WORK and are not repeated, so that an interrupted call can be made again.
`--reuse` takes the candidates that the comparison trained to the end at the seconds they took
there, in place of training the chosen one again: it is the same training.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from potstill.data import Example
from potstill.data.example import Prediction
from potstill.evaluate import compare
from potstill.export import footprint
from potstill.spec.task import StudentSpec
from potstill.train import Trained, load_student, opinions, train_student

ALONE = (
    ("tfidf", "frozen"),
    ("static", "frozen"),
    ("minilm-l6", "frozen"),
    ("minilm-l6", "tuned"),
    ("mpnet-base", "frozen"),
)
"""Fine-tuning `mpnet-base` is more than half an hour of work on these rows: not affordable."""

SEED = 7
FOLDS = 5
SPAM_ROWS = 3000


@dataclass(frozen=True)
class Rows:
    """One data set, divided."""

    train: list[Example]
    dev: list[Example]
    test: list[Example]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, taught: list[Example], test: list[Example]) -> Rows:
        """A tenth of the rows that are not test rows steer."""
        order = np.random.default_rng(SEED).permutation(len(taught))
        mixed = [taught[at] for at in order]
        steer = len(mixed) // 10
        labels = tuple(sorted({str(row.target) for row in taught}))
        return cls(mixed[steer:], mixed[:steer], test, labels)


@dataclass(frozen=True)
class Result:
    """One student on the test rows."""

    name: str
    right: np.ndarray
    seconds: float
    ms: float
    megabytes: float
    answers: list[Prediction]

    @classmethod
    def of(cls, folds: Sequence[Result]) -> Result:
        """The same student of all divisions together: mean latency and size, all its seconds."""
        return cls(
            folds[0].name,
            np.concatenate([one.right for one in folds]),
            sum(one.seconds for one in folds),
            float(np.mean([one.ms for one in folds])),
            float(np.mean([one.megabytes for one in folds])),
            [answer for one in folds for answer in one.answers],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", required=True, choices=READERS)
    parser.add_argument("--work", type=Path, required=True, help="where students are kept")
    parser.add_argument("--reuse", action="store_true", help="do not train the chosen one again")
    arguments = parser.parse_args()
    folds = READERS[arguments.set](arguments.data)
    found = [
        measure(rows, arguments.work / arguments.set / str(fold), reuse=arguments.reuse)
        for fold, rows in enumerate(folds)
    ]
    chosen, *alone = map(Result.of, zip(*found, strict=True))
    if len(folds) > 1:
        print(f"all {len(folds)} folds:")
        for one in (*alone, chosen):
            show(one)
    best = max(alone, key=lambda one: (one.right.mean(), -one.ms))
    test = [row for rows in folds for row in rows.test]
    paired = compare(
        chosen.answers, best.answers, test, labels=folds[0].labels, names=("auto", best.name)
    )
    print(f"best alone: {best.name}")
    print(f"  score   {paired.difference}  (goal: at least -0.010)")
    print(f"  latency {chosen.ms / best.ms:.2f} times the best one's  (goal: at most 1)")
    print(
        f"  time    {chosen.seconds / best.seconds:.2f} times the best one's  (goal: at most 2.5)"
    )


def measure(rows: Rows, work: Path, *, reuse: bool) -> list[Result]:
    """What `auto` chose, and every candidate alone, on the test rows of one division."""
    print(f"{len(rows.train)} train, {len(rows.dev)} steer, {len(rows.test)} test")
    trained = train(rows, StudentSpec(base="auto"), work / "auto")
    for row in trained.candidates:
        score = "-" if row["score"] is None else f"{row['score']:.4f}"
        print(f"  {row['name']:18} {score:>7}  {row['seconds']:7.1f} s  {row['dropped'] or ''}")
    print(f"  {trained.reason}")
    chosen = judge(rows, "auto", trained)
    results = [chosen]
    for base, mode in ALONE:
        name = f"{base} {mode}"
        if reuse and (base, mode) == (trained.base, trained.mode):
            results.append(replace(chosen, name=name, seconds=own_seconds(trained)))
        else:
            options = StudentSpec(base=base, mode=mode)  # pyright: ignore[reportArgumentType]
            results.append(judge(rows, name, train(rows, options, work / f"{base}-{mode}")))
        show(results[-1])
    show(chosen)
    return results


def train(rows: Rows, options: StudentSpec, folder: Path) -> Trained:
    return train_student(
        rows.train,
        rows.dev,
        labels=rows.labels,
        multilabel=False,
        options=options,
        seed=SEED,
        folder=folder,
    )


def own_seconds(trained: Trained) -> float:
    """Seconds of the chosen candidate's own steps: a tuned one begins with the frozen one."""
    mine = [row for row in trained.candidates if row["base"] == trained.base]
    modes = {"frozen"} if trained.mode == "frozen" else {"frozen", "tuned"}
    return sum(row["seconds"] for row in mine if row["mode"] in modes)


def judge(rows: Rows, name: str, trained: Trained) -> Result:
    said = opinions(trained.folder, [row.text for row in rows.test])
    answers = [
        Prediction(
            rows.labels[int(row.argmax())],
            float(row.max()),
            dict(zip(rows.labels, row, strict=True)),
        )
        for row in said.astype(float)
    ]
    right = np.array([a.target == r.target for a, r in zip(answers, rows.test, strict=True)])
    inputs = [row.input for row in rows.dev]
    cost = footprint(load_student(trained.folder), inputs, precision="auto")
    return Result(name, right, trained.seconds, cost["latency_ms"], cost["megabytes"], answers)


def show(one: Result) -> None:
    print(
        f"{one.name:18} {one.right.mean():.4f}  {one.seconds:7.1f} s  "
        f"{one.ms:7.3f} ms  {one.megabytes:6.1f} MB",
        flush=True,
    )


def complaints(data: Path) -> list[Rows]:
    rows = read(data / "complaints" / "answers.jsonl")
    fold = np.random.default_rng(SEED).permutation(len(rows)) % FOLDS
    return [
        Rows.of(
            [row for row, its in zip(rows, fold, strict=True) if its != at],
            [row for row, its in zip(rows, fold, strict=True) if its == at],
        )
        for at in range(FOLDS)
    ]


def banking77(data: Path) -> list[Rows]:
    return [Rows.of(*(read(data / "banking77" / f"{name}.jsonl") for name in ("train", "test")))]


def clinc150(data: Path) -> list[Rows]:
    return [Rows.of(*(read(data / "clinc150" / f"{name}.jsonl") for name in ("train", "val")))]


def spam(data: Path) -> list[Rows]:
    """Made-up advertisements among real requests: a task that its words alone give away."""
    generator = random.Random(SEED)
    ham = [row.text for row in read(data / "clinc150" / "train.jsonl")]
    generator.shuffle(ham)
    texts = [(text, "ham") for text in ham[: SPAM_ROWS // 2]]
    texts += [(advertisement(generator), "spam") for _ in range(SPAM_ROWS // 2)]
    generator.shuffle(texts)
    rows = [Example(id=str(n), input=text, target=label) for n, (text, label) in enumerate(texts)]
    return [Rows.of(rows[: -SPAM_ROWS // 3], rows[-SPAM_ROWS // 3 :])]


def advertisement(generator: random.Random) -> str:
    """One of some hundred thousand."""
    start = generator.choice(["congrats", "urgent", "hello dear", "last chance", "good news", ""])
    offer = generator.choice(
        [
            "you have won a {gift}",
            "claim your free {gift} today",
            "cheap {gift} with {n}% off",
            "your {gift} is waiting",
            "we selected you for a {gift}",
        ]
    )
    gift = generator.choice(["cruise", "voucher", "phone", "loan offer", "watch", "holiday", "tv"])
    end = generator.choice(
        [
            "reply yes to {n}",
            "text {n} now",
            "click the link before midnight",
            "call {n} free",
            "no fee, act fast",
        ]
    )
    sentence = " ".join(filter(None, [start, offer, end]))
    return sentence.format(gift=gift, n=generator.randrange(10, 99999))


def read(path: Path) -> list[Example]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [
        Example(id=f"{path.stem}-{n}", input=row["text"], target=row["label"])
        for n, row in enumerate(rows)
    ]


READERS = {"complaints": complaints, "banking77": banking77, "clinc150": clinc150, "spam": spam}


if __name__ == "__main__":
    main()
