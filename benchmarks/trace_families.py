"""Made thoughts for `make_traces.py`: healthy ones of many styles, and each fault in many forms.

Every family comes twice, in other words and languages: once for development, once for the
report. What they say stands in ``data/trace_sentences.json``.
"""
# ruff: noqa: RUF001 - the signs of other languages are meant

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from trace_lists import INTENTS, LABELS, SPLITS, Row, enumerations, row

with (Path(__file__).parent / "data" / "trace_sentences.json").open(encoding="utf-8") as _file:
    _TEXTS = json.load(_file)
SENTENCES: dict[str, tuple[list[str], list[str]]] = _TEXTS["sentences"]
PLAIN: tuple[list[str], list[str]] = _TEXTS["plain"]
UNDECIDED: tuple[list[str], list[str]] = _TEXTS["undecided"]


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def talk(draw: random.Random, half: int, count: int, language: str = "en") -> list[str]:
    pool = SENTENCES[language][half]
    return draw.sample(pool, min(count, len(pool)))


def solutions(draw: random.Random, half: int, path: Path) -> Iterator[Row]:
    """Solutions of GSM8K, with and without the calculator's marks."""
    problems = read(path)
    size = len(problems) // 2
    for number, problem in enumerate(draw.sample(problems[half * size : (half + 1) * size], 32)):
        thought = problem["solution"].partition("\n####")[0]
        if number % 2:
            thought = re.sub(r"<<[^>]*>>", "", thought)
        yield row("gsm8k", SPLITS[half], thought, [], question=problem["question"])


def names_and_code(draw: random.Random, half: int) -> Iterator[Row]:
    """Foreign names, titles, quotations, code and formulas inside English thoughts."""
    split, say = SPLITS[half], talk(draw, half, 4)
    inserts = (
        [
            (
                "names",
                "The account belongs to Jean-Baptiste de la Fontaine, Maria del Carmen Sánchez Rodríguez, Wolfgang Müller-Lüdenscheidt and Giuseppe Verdi.",
            ),
            (
                "quoted German",
                'He writes: "Ich habe die Karte nie bekommen und möchte mein Geld zurück." That is a delivery problem.',
            ),
            (
                "quoted Chinese",
                "The message ends with “请尽快把钱退给我，谢谢你们的帮助”, which is a polite request.",
            ),
            (
                "code",
                "I try it:\n```python\nfor label, score in sorted(scores.items(), key=lambda item: -item[1]):\n    print(label, score)\nwhile not done:\n    done = step(state)\n```\nThe first one wins.",
            ),
            (
                "formula",
                r"The total is $$\sum_{i=1}^{n} \frac{a_i}{b_i} = \int_0^1 x^2 \, dx + \alpha \cdot \beta$$ and with \(n = 3\) this gives \[ x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a} \]",
            ),
            (
                "dish",
                "She bought a croissant, a pain au chocolat and a crème brûlée at the Café de la Paix in Paris.",
            ),
            (
                "command",
                "He ran `sudo apt-get install openssl libssl-dev build-essential` and then the app started.",
            ),
            ("latin", "This is a de facto standard, pro bono, and quid pro quo is not meant here."),
        ],
        [
            (
                "streets",
                "The letters went to Calle de los Reyes Católicos, Rue du Faubourg Saint-Honoré, Große Bergstraße and Via della Conciliazione.",
            ),
            (
                "quoted French",
                "Her own words are « je voudrais fermer mon compte et récupérer mon argent », so she wants to leave.",
            ),
            (
                "quoted Spanish",
                'The subject line is "No he recibido la transferencia que me prometieron ayer", and the rest is in English.',
            ),
            (
                "quoted Russian",
                "The note says „верните мне деньги за эту операцию“ and gives a date.",
            ),
            (
                "sql",
                "The query would be:\n```sql\nSELECT account, SUM(amount) FROM payments WHERE day > '2024-01-01' GROUP BY account ORDER BY 2 DESC;\n```\nIt returns nothing.",
            ),
            (
                "tex",
                r"With $p(y \mid x) = \frac{e^{w_y^\top x}}{\sum_k e^{w_k^\top x}}$ and \(\lambda \to 0\) the penalty vanishes.",
            ),
            (
                "banks",
                "He compared Deutsche Bank, Crédit Agricole, Banco Santander, Intesa Sanpaolo, ING Groep, Société Générale and Caixa Geral de Depósitos.",
            ),
            (
                "hashes",
                "The reference is 9f86d081884c7d65-9a2feaa0c55ad015 and the link https://bank.example/de/konto/ueberweisung?id=33 is dead.",
            ),
        ],
    )[half]
    for family, insert in inserts:
        yield row(family, split, " ".join([*say[:2], insert, *say[2:]]), [])
    repeated = SENTENCES["de" if half == 0 else "es"][half]
    yield row(
        "input repeated without marks",
        split,
        " ".join([say[0], repeated[0], repeated[1], say[1], say[2]]),
        [],
        question=" ".join(repeated[:2]),
    )
    waits = (
        ["Wait.", "Hmm, let me think again.", "Wait, that is not right."],
        ["Let me check.", "Let me check that again.", "OK."],
    )[half]
    yield row(
        "waits",
        split,
        " ".join(f"{a} {b}" for a, b in zip(say, [*waits, waits[0]], strict=True)),
        [],
    )


def whole_languages(draw: random.Random, half: int) -> Iterator[Row]:
    """Healthy thoughts in one language."""
    for language in SENTENCES:
        if language != "en":
            yield row(
                f"all in {language}", SPLITS[half], " ".join(talk(draw, half, 5, language)), []
            )
    for _ in range(4):
        yield row("all in en", SPLITS[half], " ".join(talk(draw, half, 5)), [])


def loops(draw: random.Random, half: int) -> Iterator[Row]:
    """Periods from one word to a paragraph, with and without noise, at several places."""
    split, say = SPLITS[half], talk(draw, half, 7)
    paragraph = " ".join(say[:4]) + " "
    sentence, other = say[5] + " ", say[6] + " "
    cases: list[tuple[str, str]]
    if half == 0:
        noise = ["Wait, ", "Hmm, ", "So ", "Okay, ", "Right, "]
        cases = [
            ("one word", "fee " * 60),
            ("two words", say[0] + " the bank" + " the bank" * 40),
            ("sentence", say[0] + " " + sentence * 6),
            ("sentence, then on", sentence * 5 + say[0] + " " + say[1]),
            ("two sentences", (sentence + other) * 5),
            ("paragraph", say[6] + " " + paragraph * 4),
            ("with fillers", "".join(draw.choice(noise) + sentence for _ in range(9))),
            ("with counters", "\n".join(f"{n}. {sentence.strip()}" for n in range(1, 12))),
            ("steps", "\n".join(f"Step {n}: {sentence.strip()}" for n in range(1, 10))),
            ("long healthy, short tail", paragraph + "So it is about the card. " * 8),
            (
                "in the middle",
                say[0]
                + " "
                + say[1]
                + " "
                + "I need to check the fee again. " * 9
                + say[2]
                + " "
                + say[3],
            ),
            ("digits", "The share is 0." + "3" * 160),
            ("letters", "Hm" + "a" * 200),
            ("signs", say[0] + "!" * 400),
            ("German", "Ich muss noch einmal prüfen, ob es um die Karte geht. " * 7),
            ("Chinese", "让我再想一想这个问题。" * 14),
            ("list of lines", "credit card\ndebit card\nmortgage loan\nbank account\n" * 7),
            ("comma list", "cards, loans, fees, " * 15),
        ]
    else:
        noise = ["Actually, ", "But ", "Now ", "Well, ", "Alternatively, "]
        cases = [
            ("no, no", "no, " * 70),
            ("three words", say[0] + " of the account" * 30),
            ("clause", say[1] + " and then the customer calls the bank" * 9),
            ("sentence, cut off", (say[2] + " ") * 6 + say[2][:30]),
            ("three sentences", (sentence + other + say[0] + " ") * 4),
            ("long paragraph", (paragraph + sentence) * 3 + "In the end"),
            (
                "with other fillers",
                "".join(
                    draw.choice(noise) + say[3][0].lower() + say[3][1:] + " " for _ in range(9)
                ),
            ),
            ("with bullets", "\n".join(f"- {sentence.strip()}" for n in range(10))),
            ("with roman counters", "\n".join(f"({n}) {sentence.strip()}" for n in range(1, 10))),
            (
                "healthy, then a tail",
                " ".join(say[:5]) + " The answer must be one of the labels." * 7,
            ),
            (
                "inside",
                " ".join(say[:3])
                + " Let me read the message once more." * 8
                + " "
                + " ".join(say[3:5]),
            ),
            ("sevens", "The result is 1.428571" + "428571" * 20),
            ("syllables", "Ha" * 120),
            ("dashes of thought", say[0] + " " + "?" * 300),
            ("French", "Je dois encore vérifier si le client parle de sa carte. " * 7),
            ("Russian", "Нужно ещё раз проверить, идёт ли речь о карте. " * 7),
            ("question", "Is it a loan? Or is it a card? " * 9),
            (
                "with slips",
                " ".join(
                    "the customer asks for a refund of the fee" + ("" if n % 4 else " again") + "."
                    for n in range(10)
                ),
            ),
        ]
    for family, thought in cases:
        yield row(f"loop: {family}", split, thought, ["loop"])


def switches(draw: random.Random, half: int) -> Iterator[Row]:
    """From one language to another: one sentence or half, early, midway or late."""
    pairs = (
        [
            ("en", "zh"),
            ("en", "de"),
            ("en", "es"),
            ("de", "en"),
            ("fr", "en"),
            ("zh", "en"),
            ("en", "ru"),
            ("en", "nl"),
            ("it", "en"),
            ("es", "en"),
            ("en", "ja"),
        ],
        [
            ("en", "zh"),
            ("en", "fr"),
            ("en", "it"),
            ("en", "pt"),
            ("de", "en"),
            ("de", "fr"),
            ("es", "en"),
            ("en", "pl"),
            ("fr", "en"),
            ("zh", "en"),
            ("ru", "en"),
            ("en", "de"),
        ],
    )[half]
    for first, second in pairs:
        main, guest = talk(draw, half, 6, first), talk(draw, half, 3, second)
        middle = max(1, len(main) // 2)
        glue = "" if first in ("zh", "ja") else " "
        one = glue.join([*main[:middle], guest[0], *main[middle:]])
        yield row(f"{first}-{second}: one sentence", SPLITS[half], one, ["language_switch"])
        late = glue.join([*main, *guest[: 1 + half]])
        yield row(f"{first}-{second}: at the end", SPLITS[half], late, ["language_switch"])
    inside = (
        "We know the balance, 所以客户应该先联系银行确认这笔款项, and then the fee is returned.",
        "So the transfer is late, 但是银行说这个星期之内一定会到账, which means she has to wait.",
    )[half]
    yield row(
        "within a sentence",
        SPLITS[half],
        " ".join([*talk(draw, half, 4), inside]),
        ["language_switch"],
    )


def conclusions(draw: random.Random, half: int) -> Iterator[Row]:
    """Thoughts that mean their answer, that mean another, and that do not settle."""
    for number, plain in enumerate(PLAIN[half]):
        labels = (LABELS, INTENTS)[number % 2]
        meant, other = draw.sample(labels, 2)
        spoken = meant if number % 3 else meant.replace("_", " ")
        thought = " ".join([*talk(draw, half, 3), plain.format(x=spoken)])
        yield row(f"means it: {plain}", SPLITS[half], thought, [], answer=meant, labels=labels)
        yield row(
            f"means another: {plain}",
            SPLITS[half],
            thought,
            ["contradicts"],
            answer=other,
            labels=labels,
        )
        weighing = (
            f"{talk(draw, half, 1)[0]} It could be {other.replace('_', ' ')} at first sight. "
        )
        yield row(
            f"weighs, means another: {plain}",
            SPLITS[half],
            weighing + thought,
            ["contradicts"],
            answer=other,
            labels=labels,
        )
    for number, unclear in enumerate(UNDECIDED[half]):
        labels = (LABELS, INTENTS)[number % 2]
        named, answer = draw.sample(labels, 2)
        thought = " ".join([*talk(draw, half, 2), unclear.format(x=named, y=answer)])
        yield row(
            f"does not settle: {unclear}", SPLITS[half], thought, [], answer=answer, labels=labels
        )


def made(gsm8k: Path) -> Iterator[Row]:
    for half in (0, 1):
        draw = random.Random(half)
        yield from solutions(draw, half, gsm8k)
        yield from enumerations(half)
        yield from names_and_code(draw, half)
        yield from whole_languages(draw, half)
        yield from loops(draw, half)
        yield from switches(draw, half)
        yield from conclusions(draw, half)
        problems = read(gsm8k)
        many = "\n\n".join(p["solution"] for p in draw.sample(problems, 130))
        yield row("solutions beyond 8,000 tokens", SPLITS[half], many, [])
