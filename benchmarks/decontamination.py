"""Decontamination: what is found of copies that were changed, what is taken wrongly, and how fast.

Evaluation rows: 1,000 questions of GSM8K, the development abstracts of SciTLDR, and the validation
queries of CLINC150. Copies of them have a share of their words replaced, dropped, inserted, or any
of these, at random places, at least one word each; the same copies also stand inside two rows of
training text. Beside ours: MinHash with word 3-grams and a Jaccard similarity of 0.5, which is
what `potstill.data.duplicates` finds near-copies by, on the same copies.

What is found among the real training rows is printed with examples, to be judged by a reader; in
CLINC150 the intents of both say which of them are surely no copies.

Made rows stream past an index of GSM8K and of 500 rows of each form, so that what is found of the
made rows is wrong, but for sentences of GSM8K that also stand in its evaluation rows:

  mixed    three sentences of three other GSM8K questions
  form     word problems of one form, with other names and figures
  sums     additions, subtractions and chains, with their worked thoughts

    python benchmarks/decontamination.py --data DIR --made 1000000
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from potstill.data import Example
from potstill.data.decontaminate import EvaluationIndex, words_of
from potstill.data.duplicates import NearDuplicates
from potstill.generate.arithmetic import made_examples
from potstill.spec.recipe import MadeSpec

KINDS = ("replace", "drop", "insert", "mixed")
SHARES = (0.05, 0.1, 0.15, 0.2)
PEER_SIMILARITY = 0.5
BATCH = 10_000
SHORTEST = 5
"""Of rows of fewer words one changed word is a fifth and more; they are counted apart."""

NAMES = [
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eve",
    "Finn",
    "Gus",
    "Hal",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Ned",
    "Ola",
    "Pam",
    "Quin",
    "Ron",
    "Sue",
    "Tom",
]
THINGS = [
    "apples",
    "books",
    "cards",
    "coins",
    "dolls",
    "eggs",
    "hats",
    "jars",
    "kites",
    "lamps",
    "maps",
    "nuts",
    "pens",
    "shells",
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--made", type=int, default=1_000_000)
    arguments.add_argument("--rows", type=int, default=1000, help="evaluation rows for recall")
    arguments.add_argument("--examples", type=int, default=5)
    options = arguments.parse_args()

    questions = read(options.data / "gsm8k/train.jsonl", "question")
    sets = {
        "gsm8k": (questions[:1000], questions[1000:]),
        "scitldr": tuple(
            read(options.data / f"scitldr/{split}.jsonl", "text") for split in ("dev", "train")
        ),
        "clinc150": tuple(
            read(options.data / f"clinc150/{split}.jsonl", "text") for split in ("val", "train")
        ),
    }
    intents = [
        read(options.data / f"clinc150/{split}.jsonl", "label") for split in ("val", "train")
    ]
    for name, (held, training) in sets.items():
        recall(name, held[: options.rows], held, training)
    for name, (held, training) in sets.items():
        taken(name, held, training, intents if name == "clinc150" else None, options.examples)
    stream(questions, options.made)


def read(path: Path, key: str) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)[key] for line in lines]


def examples(texts: list[str]) -> list[Example]:
    return [Example(id=str(place), input=text) for place, text in enumerate(texts)]


def changed(text: str, share: float, kind: str, vocabulary: list[str], chance: random.Random):
    words = text.split()
    for _ in range(max(1, round(share * len(words)))):
        what = chance.choice(KINDS[:3]) if kind == "mixed" else kind
        if what == "insert":
            words.insert(chance.randrange(len(words) + 1), chance.choice(vocabulary))
        elif what == "replace":
            words[chance.randrange(len(words))] = chance.choice(vocabulary)
        elif len(words) > 1:
            del words[chance.randrange(len(words))]
    return " ".join(words)


def recall(name: str, wanted: list[str], held: list[str], training: list[str]) -> None:
    """Shares of changed copies that are found, alone and inside other text."""
    index = EvaluationIndex({name: examples(held)})
    peer = NearDuplicates(PEER_SIMILARITY)
    for place, text in enumerate(dict.fromkeys(held)):
        peer.add(str(place), text)
    vocabulary = [word for text in held for word in text.split()]
    short = [text for text in wanted if len(words_of(text)) < SHORTEST]
    wanted = [text for text in wanted if len(words_of(text)) >= SHORTEST]
    exact = sum(index.find(text) is not None for text in [*short, *wanted])
    print(f"\n{name}: {len(index):,} evaluation rows; exact copies found: {exact} of "
          f"{len(short) + len(wanted)}")  # fmt: skip
    print(f"recall on {len(wanted):,} copies of {SHORTEST} and more words")
    print(f"{'':8}{'share':>6}{'alone':>8}{'inside':>8}{'MinHash':>9}")
    for share in SHARES:
        for kind in KINDS:
            chance = random.Random(f"{name}/{share}/{kind}")
            copies = [changed(text, share, kind, vocabulary, chance) for text in wanted]
            inside = [f"{chance.choice(training)} {c} {chance.choice(training)}" for c in copies]
            alone = found(index.find, copies)
            # What is shorter than a run is looked for as a whole alone.
            long = [i for i, text in zip(inside, wanted, strict=True) if len(words_of(text)) >= 10]
            print(f"{kind:8}{share:6.2f}{alone:8.3f}{found(index.find, long):8.3f}"
                  f"{found(peer.find, copies):9.3f}")  # fmt: skip
    for what, find in (("index", index.find), ("MinHash", peer.find)):
        started = time.perf_counter()
        found(find, training[:2000])
        print(
            f"{what}: {len(training[:2000]) / (time.perf_counter() - started):,.0f} real rows a second"
        )
    if short:
        chance = random.Random(name)
        copies = [changed(text, 0.1, "mixed", vocabulary, chance) for text in short]
        print(f"{len(short)} shorter rows with one word changed: {found(index.find, copies):.3f}")


def found(find: Callable[[str], object], texts: list[str]) -> float:
    return sum(find(text) is not None for text in texts) / len(texts)


def taken(
    name: str, held: list[str], training: list[str], intents: list[list[str]] | None, shown: int
) -> None:
    """Real training rows that are found."""
    index = EvaluationIndex({name: examples(held)})
    started = time.perf_counter()
    hits = [(place, hit) for place, row in enumerate(training) if (hit := index.find(row))]
    seconds = time.perf_counter() - started
    words = sum(len(words_of(row)) for row in training) / len(training)
    kinds = Counter(hit.kind for _, hit in hits)
    print(f"\n{name}: {len(hits)} of {len(training):,} real training rows found ({dict(kinds)}), "
          f"{len(training) / seconds:,.0f} rows a second of {words:.0f} words")  # fmt: skip
    if intents is not None:
        other = sum(intents[0][int(hit.id)] != intents[1][place] for place, hit in hits)
        print(f"of another intent, so surely no copy: {other}")
    for place, hit in random.Random(0).sample(hits, min(shown, len(hits))):
        print(f"  {hit}\n    {training[place][:160]!r}\n    {held[int(hit.id)][:160]!r}")


def form_row(chance: random.Random) -> str:
    one, other = chance.sample(NAMES, 2)
    thing = chance.choice(THINGS)
    few, many, price = chance.randrange(2, 30), chance.randrange(30, 900), chance.randrange(2, 90)
    return (
        f"{one} has {many} {thing} in a box and gives {few} of them to {other} on Monday. "
        f"On Tuesday {other} sells each of the {thing} for ${price} at the market. "
        f"How many dollars does {other} have in the end if {other} had nothing before?"
    )


def made_rows(questions: list[str], rows: int) -> Iterator[tuple[str, Example]]:
    """Kinds and rows: a third of each kind, but the sums that the index holds."""
    chance = random.Random(1)
    sentences = [s for q in questions for s in re.split(r"(?<=[.?])\s+", q) if len(s.split()) > 3]
    third = rows // 3
    for place in range(third):
        text = " ".join(chance.choice(sentences) for _ in range(3))
        yield "mixed", Example(id=f"m{place}", input=text)
        yield "form", Example(id=f"f{place}", input=form_row(chance))
    for start in range(0, third, BATCH):
        size = min(BATCH, third - start)
        yield from (("sums", row) for row in sums(size, seed=start + 1))


def sums(rows: int, *, seed: int) -> list[Example]:
    made = made_examples(
        {
            operation: MadeSpec(
                operation=operation,
                digits=digits,
                rows=max(1, rows * share // 100),
                worked=True,
                seed=seed,
            )
            for operation, digits, share in (
                ("addition", 4, 30), ("subtraction", 4, 30), ("chain", 3, 40)
            )
        },
        stage="made",
    )  # fmt: skip
    return [row for found in made.values() for row in found]


def stream(questions: list[str], rows: int) -> None:
    """Made rows past the index: wrong finds, rows a second, peak memory."""
    chance = random.Random(0)
    held_sums = sums(500, seed=0)
    held = {row.id for row in held_sums}
    index = EvaluationIndex(
        {
            "gsm8k": examples(questions[:1000]),
            "form": examples([form_row(chance) for _ in range(500)]),
            "sums": held_sums,
        }
    )
    seen, hits, seconds, told = Counter[str](), Counter[tuple[str, str, str]](), 0.0, rows // 10
    source = made_rows(questions[1000:], rows)
    wrong: list[str] = []
    while batch := list(islice(source, BATCH)):
        batch = [(kind, row) for kind, row in batch if row.id not in held]
        started = time.perf_counter()
        results = [index.find(row) for _, row in batch]
        seconds += time.perf_counter() - started
        for (kind, row), hit in zip(batch, results, strict=True):
            seen[kind] += 1
            if hit is not None:
                hits[kind, hit.data, hit.kind] += 1
                if kind != "mixed" and len(wrong) < 5:
                    wrong.append(f"  {row.input!r}: {hit}")
        if seen.total() >= told:
            print(f"{seen.total():10,} made rows, {seen.total() / seconds:,.0f} a second, "
                  f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")  # fmt: skip
            told += rows // 10
    print(f"found of {dict(seen)}: {dict(hits)}")
    print(*wrong, sep="\n")


if __name__ == "__main__":
    main()
