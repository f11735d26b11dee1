"""Watching production: false alarms, delay, accuracy without labels, and picks.

The model answers rows that it was not trained on. From its answers, reference and stream are
drawn together and without replacement, so that without a shift they are exchangeable. A stream
is looked at after every row by ours, and after every 25 rows by the peers: a
Kolmogorov-Smirnov test of the confidence and a chi-squared test of the labels, which is what
drift dashboards offer, at the same level in all (Bonferroni); and the linear bets of the
composite jumper martingale (Vovk et al. 2021) in place of ours. A shift begins at row 250:

  labels    a tenth of the labels make half of the rows
  typos     every tenth letter is another one
  cut       only the first four words are left
  foreign   a third of the rows comes from another task (--foreign), and no answer is right

Accuracy is estimated on rows of which all are shifted, and compared with the truth: ours, the
mean confidence as it is, and average thresholded confidence (Garg et al., ICLR 2022). Picks:
TF-IDF students that begin with --seed-rows labels get as many again, of rows picked in three
ways.

    python benchmarks/drift.py --model runs/banking77/latest/model --dev dev.jsonl \
        --test test.jsonl --train train.jsonl --foreign clinc150/val.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy import stats

from potstill.data import Example, Prediction, Source
from potstill.data.production import Kept
from potstill.evaluate import drift
from potstill.evaluate import watch as watching
from potstill.evaluate.baselines import TfidfLogistic
from potstill.evaluate.estimate import estimate_accuracy
from potstill.evaluate.picks import pick
from potstill.evaluate.watch import watch
from potstill.runtime import Model
from potstill.runtime.reference import CELLS, Judged, Reference, probability_cell

ALPHA = 0.05
SHIFT_AT = 250
LOOK_EVERY = 25
PERSON = Source(kind="person", name="gold", contributed=("input", "target"), stage="read")

Rng = np.random.Generator
Row = tuple[Example, Prediction]


def read(path: Path) -> list[Example]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Example(
            id=str(at),
            input=row.get("text") or row["input"],
            target=row.get("label") or row["target"],
            sources=(PERSON,),
        )
        for at, row in enumerate(rows)
    ]


def typos(text: str, rng: Rng) -> str:
    letters = list(text)
    for at in np.flatnonzero(rng.random(len(letters)) < 0.1):
        letters[at] = chr(97 + rng.integers(26))
    return "".join(letters)


def cut(text: str, rng: Rng) -> str:
    return " ".join(text.split()[:4])


def answered(model: Model, rows: Sequence[Example]) -> list[Row]:
    given = model.predict([row.input for row in rows])
    return [(row, replace(one, scores=None)) for row, one in zip(rows, given, strict=True)]


def changed(rows: Sequence[Row], model: Model, change: Callable[[str, Rng], str]) -> list[Row]:
    rng = np.random.default_rng(0)
    return answered(model, [replace(row, input=change(row.text, rng)) for row, _ in rows])


def some_labels(rows: Sequence[Row], rng: Rng) -> list[Row]:
    """Rows of which half have one of a random tenth of the labels."""
    labels = sorted({str(row.target) for row, _ in rows})
    chosen = set(rng.choice(labels, len(labels) // 10, replace=False))
    few = [pair for pair in rows if pair[0].target in chosen]
    return [*few, *draw(rows, len(few), rng)]


def draw(rows: Sequence[Row], most: int, rng: Rng) -> list[Row]:
    return [rows[at] for at in rng.permutation(len(rows))[:most]]


def kept(pairs: Sequence[Row]) -> list[Kept]:
    return [
        Kept(
            at=f"{at}",
            request="",
            model="m",
            version="v",
            id=row.id,
            length=len(row.text),
            prediction=given,
            by="model",
            ms=0.0,
            input=row.input,
        )
        for at, (row, given) in enumerate(pairs)
    ]


def reference_of(pairs: Sequence[Row], labels: Sequence[str]) -> Reference:
    return Reference.of([given for _, given in pairs], [row for row, _ in pairs], labels)


def ours(before: list[Row], stream: list[Row], labels: Sequence[str]) -> int | None:
    seen = watch(kept(stream), reference_of(before, labels), version="v", alpha=ALPHA)
    return min((int(one.alarmed or 0) for one in seen.alarms), default=None)


def linear_bets(before: list[Row], stream: list[Row], labels: Sequence[str]) -> int | None:
    width = np.diff(np.concatenate([[0.0], drift._EDGES, [1.0]]))
    middle = np.cumsum(width) - width / 2
    linear = np.stack([1.0 + slope * (middle - 0.5) for slope in (-1.0, 0.0, 1.0)], axis=1)
    bets = np.vstack([linear, np.ones(3)])
    with patch.multiple(watching, BETS=bets, LABEL_BETS=bets):
        return ours(before, stream, labels)


def repeated_tests(before: list[Row], stream: list[Row], labels: Sequence[str]) -> int | None:
    place = {label: at for at, label in enumerate(labels)}

    def columns(pairs: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (
            np.array([len(row.text) for row, _ in pairs]),
            np.array([given.confidence for _, given in pairs]),
            np.array([place[str(given.target)] for _, given in pairs]),
        )

    length, confidence, label = columns(before)
    known = np.bincount(label, minlength=len(labels))
    lengths, confidences, given = columns(stream)
    for n in range(LOOK_EVERY, len(stream) + 1, LOOK_EVERY):
        table = np.stack([known, np.bincount(given[:n], minlength=len(labels))])
        p_values = (
            stats.ks_2samp(length, lengths[:n]).pvalue,
            stats.ks_2samp(confidence, confidences[:n]).pvalue,
            stats.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue,
        )
        if min(p_values) <= ALPHA / 3:
            return n - 1
    return None


def alarms(pools: dict[str, list[Row]], labels: Sequence[str], arguments: Any) -> None:
    ways = {"ours": ours, "linear bets": linear_bets, "repeated tests": repeated_tests}
    same = pools["none"]
    rows = len(same) - arguments.reference
    print(f"\n{arguments.reference} development rows, streams of {rows}, alpha {ALPHA}")
    print(f"{'shift':10}{'streams':>8}" + "".join(f"{way:>42}" for way in ways))
    for shift, pool in pools.items():
        streams = arguments.streams if shift == "none" else arguments.streams // 4
        found: dict[str, list[int | None]] = {way: [] for way in ways}
        for seed in range(streams):
            rng = np.random.default_rng(seed)
            drawn = draw(same, len(same), rng)
            before, stream = drawn[: arguments.reference], drawn[arguments.reference :]
            if shift != "none":
                later = some_labels(same, rng) if shift == "labels" else pool
                stream = [*stream[:SHIFT_AT], *draw(later, rows - SHIFT_AT, rng)]
                if shift == "foreign":
                    mixed = [*draw(pool, rows // 3, rng), *draw(same, 2 * rows // 3, rng)]
                    stream = [*stream[:SHIFT_AT], *draw(mixed, rows - SHIFT_AT, rng)]
            for way, look in ways.items():
                found[way].append(look(before, stream, labels))
        print(f"{shift:10}{streams:8}" + "".join(f"{told(found[way], shift):>42}" for way in ways))


def told(found: list[int | None], shift: str) -> str:
    rows = [at for at in found if at is not None]
    share = f"{len(rows) / len(found):.3f} alarmed"
    if shift == "none":
        return share
    early = sum(at < SHIFT_AT for at in rows) / len(found)
    late = [at - SHIFT_AT for at in rows if at >= SHIFT_AT]
    delay = f"{statistics.median(late):.0f} rows" if late else "never"
    return f"{share}, {early:.2f} early, {delay}"


def estimates(pools: dict[str, list[Row]], dev: list[Row], labels: Sequence[str]) -> None:
    judged = reference_of(dev, labels).judged
    assert judged is not None
    print(f"\n{'shift':10}{'rows':>6}{'truth':>8}{'ours':>26}{'mean':>8}{'ATC':>8}")
    for shift, pool in pools.items():
        pairs = some_labels(pool, np.random.default_rng(1)) if shift == "labels" else pool
        confidence = np.array([given.confidence or 0.0 for _, given in pairs])
        right = np.mean([given.target == row.target for row, given in pairs])
        cells = np.bincount([probability_cell(value) for value in confidence], minlength=CELLS)
        found = estimate_accuracy(cells, judged, answered=True)
        assert found is not None
        inside = "" if found.accuracy.low <= right <= found.accuracy.high else " !"
        atc = np.mean(confidence >= atc_threshold(dev))
        print(
            f"{shift:10}{len(pairs):6}{right:8.3f}{found.accuracy!s:>24}{inside:2}"
            f"{confidence.mean():8.3f}{atc:8.3f}"
        )


def atc_threshold(dev: list[Row]) -> float:
    """The confidence that as large a share of the development rows reaches as is right."""
    confidence = np.array([given.confidence or 0.0 for _, given in dev])
    right = np.mean([given.target == row.target for row, given in dev])
    return float(np.quantile(confidence, 1.0 - right))


def intervals(dev: list[Row], test: list[Row], labels: Sequence[str], repeats: int) -> None:
    """How often the interval holds the truth where the assumption does."""
    held = 0
    rows = [*dev, *test]
    for seed in range(repeats):
        drawn = draw(rows, len(rows), np.random.default_rng(seed))
        judged: Judged | None = reference_of(drawn[:300], labels).judged
        assert judged is not None
        stream = drawn[300:800]
        cells = [probability_cell(given.confidence or 0.0) for _, given in stream]
        found = estimate_accuracy(np.bincount(cells, minlength=CELLS), judged, answered=True)
        assert found is not None
        truth = np.mean([given.target == row.target for row, given in stream])
        held += found.accuracy.low <= truth <= found.accuracy.high
    print(
        f"\nno shift, 300 development rows: 95% interval held in {held / repeats:.3f} of {repeats}"
    )


def picks(train: list[Example], test: list[Example], labels: Sequence[str], args: Any) -> None:
    """Accuracy of a student with as many labels again, by the way in which rows were picked."""
    gained: dict[str, list[float]] = {}
    for seed in range(args.repeats):
        rng = np.random.default_rng(seed)
        rows = [train[at] for at in rng.permutation(len(train))]
        known, inbox = rows[: args.seed_rows], rows[args.seed_rows : args.seed_rows + 4000]
        first = TfidfLogistic.fit(known, labels, False, seed)
        given = first.predict([row.input for row in inbox])
        by_id = {row.id: row for row in inbox}
        unsure = np.argsort([one.confidence for one in given])[: args.seed_rows]
        chosen = {
            "none": [],
            "at random": inbox[: args.seed_rows],
            "least sure": [inbox[at] for at in unsure],
            "ours": [
                by_id[one.id]
                for one in pick(kept(list(zip(inbox, given, strict=True))), args.seed_rows)
            ],
        }
        for way, more in chosen.items():
            student = TfidfLogistic.fit([*known, *more], labels, False, seed)
            answers = student.predict([row.input for row in test])
            right = [one.target == row.target for one, row in zip(answers, test, strict=True)]
            gained.setdefault(way, []).append(float(np.mean(right)))
    print(f"\n{args.seed_rows} labels, and as many picked; test accuracy, {args.repeats} seeds")
    for way, values in gained.items():
        print(f"  {way:12}{np.mean(values):.3f} (deviation {np.std(values):.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "dev", "test", "train", "foreign"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--reference", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed-rows", type=int, default=400)
    parser.add_argument("--parts", nargs="*", default=["alarms", "estimates", "picks"])
    args = parser.parse_args()
    model = Model.load(args.model)
    labels = model.labels
    test = read(args.test)
    if "picks" in args.parts:
        picks(read(args.train), test, labels, args)
    if not {"alarms", "estimates"} & set(args.parts):
        return
    dev, here = answered(model, read(args.dev)), answered(model, test)
    pools = {
        "none": here,
        "labels": here,
        "typos": changed(here, model, typos),
        "cut": changed(here, model, cut),
        "foreign": answered(model, read(args.foreign)),
    }
    if "estimates" in args.parts:
        estimates(pools, dev, labels)
        intervals(dev, here, labels, 500)
    if "alarms" in args.parts:
        alarms({**pools, "none": [*dev, *here]}, labels, args)


if __name__ == "__main__":
    main()
