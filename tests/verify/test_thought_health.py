import json
import time
from pathlib import Path

import pytest

from potstill.errors import MissingExtraError
from potstill.verify.conclusion import concluded_label
from potstill.verify.health import estimated_tokens, health
from potstill.verify.language import languages_of
from potstill.verify.loops import find_loop

TRACES = Path(__file__).parents[2] / "benchmarks" / "data" / "traces.jsonl"
LABELS = ("credit_card", "debt_collection", "lost_or_stolen_card")
THOUGHT = (
    "The customer writes that the same purchase appears twice on the statement. There is no "
    "sign that a collector called or that a court was involved. So the label is credit_card."
)


def test_the_detectors_reach_their_targets_on_the_labelled_thoughts():
    rows = [json.loads(line) for line in TRACES.read_text(encoding="utf-8").split("\n") if line]
    assert len(rows) >= 300
    found = [
        {
            finding.cause
            for finding in health(
                row["thought"],
                answer=row.get("answer"),
                labels=row.get("labels", ()),
                quotable=row.get("question", ""),
                max_tokens=row["max_tokens"],
            ).findings
        }
        for row in rows
    ]
    for cause in ("loop", "language_switch", "contradicts", "too_long"):
        pairs = [
            (cause in row["faults"], cause in said) for row, said in zip(rows, found, strict=True)
        ]
        right = pairs.count((True, True))
        assert right / (right + pairs.count((False, True))) >= 0.95, f"precision of {cause}"
        assert right / (right + pairs.count((True, False))) >= 0.9, f"recall of {cause}"


def test_a_healthy_thought_has_no_finding():
    examined = health(THOUGHT, answer="credit_card", labels=LABELS)
    assert examined.findings == ()
    assert examined.loop is None
    assert examined.languages.expected == "en"
    assert 30 <= examined.tokens <= 60


def test_the_worst_stands_first():
    looping = "Let me read the message once more. " * 20
    causes = [f.cause for f in health(looping, max_tokens=50).findings]
    assert causes == ["too_long", "loop"]


def test_an_exact_length_beats_the_estimate():
    assert health(THOUGHT, tokens=9000).findings[0].cause == "too_long"
    assert health(THOUGHT, tokens=10, max_tokens=20).findings == ()


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("", 0, 0), ("the cat sat on the mat", 5, 7), ("1234", 4, 6), ("客户说同一笔款项", 4, 8)],
)
def test_tokens_are_estimated(text, least, most):
    assert least <= estimated_tokens(text) <= most


def test_a_loop_says_where_it_begins_and_how_much_it_takes():
    loop = find_loop(THOUGHT + " I must check the fee again." * 12)
    assert loop is not None
    assert "fee" in loop.excerpt
    assert len(THOUGHT) - 80 <= loop.begins <= len(THOUGHT) + 30
    assert 0.5 < loop.share < 0.9
    assert loop.ratio < 0.4


@pytest.mark.parametrize(
    "thought",
    [
        "\n".join(f"7 x {n} = {7 * n}" for n in range(1, 40)),
        "| label | fits |\n|---|---|\n" + "\n".join(f"| {word} | no |" for word in THOUGHT.split()),
        " ".join(
            f"The label {w} does not fit, since nothing is said of it."
            for w in ("fee", "loan", "card", "rent", "bank")
        ),
        "Wait. " * 3 + THOUGHT,
    ],
)
def test_what_repeats_for_a_reason_is_no_loop(thought):
    assert find_loop(thought) is None


@pytest.mark.parametrize(
    "thought",
    [
        "-" * 150 + "\n" + "- " * 400,
        "a " * 40_000,
        "客" * 30_000,
        '"' * 3000,
        "\\(" * 3000,
        "$$ x " * 3000,
    ],
    ids=["rules", "one word", "one sign", "quotes", "brackets", "dollars"],
)
def test_no_text_takes_long(thought):
    start = time.process_time()
    find_loop(thought)
    concluded_label(thought, LABELS)
    languages_of(thought)
    assert time.process_time() - start < 8.0


def test_another_language_must_be_a_whole_sentence():
    german = "Der Kunde schreibt, dass der Betrag zweimal von seinem Konto abgebucht wurde."
    switched = languages_of(f"{THOUGHT} {german}")
    assert (switched.expected, switched.switch_to) == ("en", "de")
    assert switched.switch is not None and "abgebucht" in switched.switch
    assert languages_of(f'{THOUGHT} He writes: "{german}"').switch is None
    assert languages_of(f"{THOUGHT} {german}", quotable=german).switch is None
    assert languages_of(f"{THOUGHT} ```\n{german}\n```").switch is None
    assert languages_of(german).switch is None
    assert languages_of(german, expected="en").switch_to == "de"


def test_a_text_that_says_nothing_has_no_language():
    assert languages_of("42 = 6 * 7 OK").shares == {}


def test_without_the_library_the_extra_is_named(monkeypatch):
    import sys

    from potstill.verify import language

    monkeypatch.setitem(sys.modules, "lingua", None)
    language._detector.cache_clear()
    language._confidence.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r"potstill\[live\]"):
            languages_of(THOUGHT)
    finally:
        language._detector.cache_clear()


@pytest.mark.parametrize(
    ("thought", "label"),
    [
        ("So the label is credit_card.", "credit_card"),
        ("The answer is credit card.", "credit_card"),
        ("**Final answer: debt collection**", "debt_collection"),
        ("This falls under lost or stolen card.", "lost_or_stolen_card"),
        ("因此标签是credit_card。", "credit_card"),
        ("The label is credit_card. Hmm, no: the answer is debt_collection.", "debt_collection"),
        ("The label is credit_card. But the last line speaks of a collector.", None),
        ("The label is not credit_card.", None),
        ("Is the answer credit_card?", None),
        ("If a collector had called, the label would be debt_collection.", None),
        ("The answer is credit_card or debt_collection.", None),
        ("The customer has a credit card.", None),
    ],
)
def test_a_conclusion_is_said_plainly(thought, label):
    assert concluded_label(thought, LABELS) == label
