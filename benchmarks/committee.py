"""How good is a committee of recorded teachers, estimated without gold? Judged here with gold.

Reads answers as `examples/complaints` records them: one JSON object a line with ``id``, a gold
``label`` and ``answers`` (``{model: {label}}``). Prints, for each teacher, its estimated and
true accuracy; and for several ways to join the votes the winner's accuracy and how well the
soft labels fit the gold ones. Committees of fewer teachers are drawn at random and averaged.

    python benchmarks/committee.py --answers answers.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from potstill.teacher.committee import Committee, Floats, Votes, estimate

DRAWS = 20


def read_votes(rows: list[dict[str, Any]], teachers: list[str], labels: list[str]) -> Votes:
    place = {label: number for number, label in enumerate(labels)}
    votes = [
        (i, t, place[said], 1.0)
        for i, row in enumerate(rows)
        for t, teacher in enumerate(teachers)
        if (said := row["answers"][teacher]["label"]) in place
    ]
    return Votes.of(votes, (len(rows), len(teachers), len(labels)))


def vote_shares(votes: Votes, weights: Floats) -> Floats:
    counts = np.zeros((votes.shape[0], votes.shape[2]))
    np.add.at(counts, (votes.rows, votes.labels), votes.shares * weights[votes.teachers])
    return counts / counts.sum(axis=1, keepdims=True)


def tempered(committee: Committee, effective: float, teachers: int) -> Floats:
    """The posterior as if only `effective` of the teachers were independent."""
    prior = np.log(committee.prior)
    evidence = np.log(np.maximum(committee.posterior, 1e-300)) - prior
    logits = prior + evidence * effective / teachers
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def effective_number(votes: Votes, committee: Committee) -> float:
    """T / (1 + (T - 1) r): r is the mean correlation of what the estimate leaves unexplained."""
    n_rows, n_teachers, _ = votes.shape
    right = np.zeros((n_rows, n_teachers))
    right[votes.rows, votes.teachers] = committee.posterior[votes.rows, votes.labels]
    expected = committee.posterior @ np.diagonal(committee.confusion, axis1=1, axis2=2).T
    correlation = np.corrcoef((right - expected).T)
    mean = (correlation.sum() - n_teachers) / (n_teachers * (n_teachers - 1))
    return n_teachers / (1 + (n_teachers - 1) * max(mean, 0.0))


def ways(votes: Votes) -> Mapping[str, Floats]:
    committee = estimate(votes)
    teachers = votes.shape[1]
    shares = vote_shares(votes, committee.weights)
    effective = effective_number(votes, committee)
    even = 1.0 / votes.shape[2]
    return {
        "majority vote, vote shares": vote_shares(votes, np.ones(teachers)),
        "weighted vote shares": shares,
        "Dawid-Skene posterior": committee.posterior,
        "  tempered to effective number": tempered(committee, effective, teachers),
        "  tempered to one teacher": tempered(committee, 1.0, teachers),
        "weighted shares, n_eff + 1 even": (shares * effective + even) / (effective + 1),
        "linear pool (what potstill does)": committee.soft_labels(votes),
    }


def judge(soft: Floats, gold: np.ndarray) -> np.ndarray:
    """Accuracy of the winner, log-loss, Brier score (0 to 2), mean confidence, ECE of 10 bins."""
    rows = np.arange(len(gold))
    right = soft.argmax(axis=1) == gold
    log_loss = -np.log(np.maximum(soft[rows, gold], 1e-6)).mean()
    brier = ((soft - np.eye(soft.shape[1])[gold]) ** 2).sum(axis=1).mean()
    sure = soft.max(axis=1)
    bins = np.minimum((sure * 10).astype(int), 9)
    ece = sum(
        abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    )
    return np.array([right.mean(), log_loss, brier, sure.mean(), ece])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with options.answers.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    labels = sorted({row["label"] for row in rows})
    teachers = list(rows[0]["answers"])
    gold = np.array([labels.index(row["label"]) for row in rows])

    committee = estimate(read_votes(rows, teachers, labels))
    true = [np.mean([r["answers"][t]["label"] == r["label"] for r in rows]) for t in teachers]
    print(
        f"{len(rows)} rows, {len(teachers)} teachers\n\nteacher                 estimated  true   weight"
    )
    for place in np.argsort(true)[::-1]:
        figures = committee.accuracy[place], true[place], committee.weights[place]
        print(f"{teachers[place]:24s}{figures[0]:8.3f}{figures[1]:8.3f}{figures[2]:8.3f}")
    rank = spearmanr(committee.accuracy, true)
    print(
        f"rank correlation of estimated and true accuracy: {rank.statistic:.2f} (p = {rank.pvalue:.3f})"
    )

    draw = random.Random(options.seed)
    for size in (2, 3, 5, len(teachers)):
        draws = 1 if size == len(teachers) else DRAWS
        found: dict[str, list[np.ndarray]] = {}
        for _ in range(draws):
            votes = read_votes(rows, draw.sample(teachers, size), labels)
            for name, soft in ways(votes).items():
                found.setdefault(name, []).append(judge(soft, gold))
        print(f"\n{size} teachers, mean of {draws} committee(s)")
        print(f"{'':36s}accuracy  log-loss  Brier  confidence  ECE")
        for name, figures in found.items():
            a, ll, b, c, e = np.mean(figures, axis=0)
            print(f"{name:36s}{a:8.3f}{ll:10.3f}{b:7.3f}{c:12.3f}{e:7.3f}")


if __name__ == "__main__":
    main()
