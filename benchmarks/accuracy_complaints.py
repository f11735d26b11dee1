"""A student of recorded teachers against the teachers themselves, and against TF-IDF.

    python benchmarks/accuracy_complaints.py --answers answers.jsonl --base minilm-l6

Repeated 5-fold cross-validation on consumer complaints: each fold's student learns from four
fifths of the rows and answers the fifth, which is scored against gold. Nothing is chosen on
the scored fold: the penalty of the heads, their weights and the class prior come from the
training rows alone. Embeddings are computed once; they depend on no label. What is fitted is
the frozen candidate of `potstill.train`, on

    one teacher    the labels of DeepSeek-R1
    committee      the soft labels of all fourteen teachers
    gold           a person's labels
    gold + votes   the mean of gold and the committee's soft labels

Beside it stands TF-IDF with logistic regression on the very same rows and labels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold

from potstill.data import Example
from potstill.evaluate.baselines import TfidfLogistic
from potstill.teacher import Answer, reach_consensus
from potstill.train import embed, resolve_base
from potstill.train.frozen import fit_heads
from potstill.train.targets import log_prior, target_matrix
from potstill.train.tokens import load_tokenizer, read_texts

TEACHER = "deepseek-reasoner"
FOLDS = 5
RESAMPLES = 2000
MAX_TOKENS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path, required=True, help="the published answers.jsonl")
    parser.add_argument("--base", default="minilm-l6")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.answers.read_text("utf-8").splitlines()]
    labels = tuple(sorted({row["label"] for row in rows}))
    gold = [row["label"] for row in rows]
    texts = [row["text"] for row in rows]
    embeddings = embed(texts, base=arguments.base, max_tokens=MAX_TOKENS)
    base = resolve_base(arguments.base)
    tokenizer = load_tokenizer(base.folder / "tokenizer.json", MAX_TOKENS)
    tokens = read_texts(texts, tokenizer)

    teachers = sorted(rows[0]["answers"])
    right = {
        name: [row["answers"][name]["label"] == row["label"] for row in rows] for name in teachers
    }
    best = max(teachers, key=lambda name: np.mean(right[name]))
    print(f"{len(rows)} rows, {FOLDS} folds, {arguments.seeds} seeds, base {arguments.base}")
    for name in (TEACHER, best):
        print(f"{'teacher ' + name:36}{interval(np.array(right[name], dtype=float))}")
    for lesson, examples in lessons(rows, labels, teachers).items():
        student = np.zeros((arguments.seeds, len(rows)))
        peer = np.zeros_like(student)
        targets = target_matrix(examples, labels, False)
        for seed in range(arguments.seeds):
            split = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(texts, gold)
            for train, test in split:
                heads = fit_heads(
                    [tokens[row] for row in train],
                    embeddings[train],
                    targets[train],
                    tokenizer=tokenizer,
                    prior=log_prior(targets[train], "auto", False),
                    multilabel=False,
                    seed=seed,
                )
                logits = heads.factors[0] * heads.deep(embeddings[test])
                words = heads.terms.features([tokens[row] for row in test])
                logits += heads.factors[1] * heads.words(words)
                said = [labels[index] for index in logits.argmax(axis=1)]
                student[seed, test] = [a == gold[row] for a, row in zip(said, test, strict=True)]
                tfidf = TfidfLogistic.fit([examples[row] for row in train], labels, False, seed)
                answers = tfidf.predict([texts[row] for row in test])
                peer[seed, test] = [
                    a.target == gold[row] for a, row in zip(answers, test, strict=True)
                ]
        print(f"{lesson}, student", end="", flush=True)
        print(f"{'':{36 - len(lesson) - 9}}{interval(student.mean(axis=0))}")
        print(f"{lesson + ', TF-IDF':36}{interval(peer.mean(axis=0))}")
        print(f"{'  student minus TF-IDF':36}{interval((student - peer).mean(axis=0))}")
        against = student - np.array(right[TEACHER], dtype=float)
        print(f"{'  student minus ' + TEACHER:36}{interval(against.mean(axis=0))}", flush=True)


def lessons(
    rows: list[dict[str, Any]], labels: tuple[str, ...], teachers: list[str]
) -> dict[str, list[Example]]:
    """What the student is taught: name of the lesson -> an example a row."""
    answers = [
        [
            Answer(teacher=name, target=said if said in labels else None, raw=said)
            for name in teachers
            for said in [row["answers"][name]["label"]]
        ]
        for row in rows
    ]
    verdicts = reach_consensus(answers, labels=labels, multilabel=False).verdicts
    soft = [dict(verdict.soft or {}) if verdict else {} for verdict in verdicts]
    # Gold and votes in equal parts; where no teacher could be read, gold alone.
    mixed = [
        {name: (share.get(name, 0.0) + (name == row["label"])) / 2 for name in labels}
        for row, share in zip(rows, soft, strict=True)
    ]

    def example(index: int, **target: Any) -> Example:
        return Example(id=str(index), input=rows[index]["text"], **target)

    order = range(len(rows))
    return {
        "one teacher": [example(i, target=rows[i]["answers"][TEACHER]["label"]) for i in order],
        "committee": [example(i, soft_target=soft[i]) for i in order],
        "gold": [example(i, target=rows[i]["label"]) for i in order],
        "gold + votes": [example(i, soft_target=mixed[i]) for i in order],
    }


def interval(per_row: np.ndarray) -> str:
    """The mean over rows with its 95 % interval: percentile bootstrap over rows."""
    draws = np.random.default_rng(0).integers(0, len(per_row), (RESAMPLES, len(per_row)))
    low, high = np.percentile(per_row[draws].mean(axis=1), [2.5, 97.5])
    return f"{per_row.mean():+.3f}  [{low:+.3f}, {high:+.3f}]"


if __name__ == "__main__":
    main()
