import json
import time
from pathlib import Path

import pytest

from potstill.data import Example, Source
from potstill.errors import MissingExtraError
from potstill.filter import TraceHealth, health
from potstill.filter.conclusion import concluded_label
from potstill.filter.health import estimated_tokens
from potstill.filter.language import languages_of
from potstill.filter.loops import find_loop

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

    from potstill.filter import language

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


def row(**more):
    return Example(
        **{"id": "1", "input": "my card", "target": "credit_card", "reasoning": THOUGHT, **more}
    )


def voted(*names):
    return tuple(
        Source(kind="model", name=n, contributed=("target",), stage="label") for n in names
    )


def test_rows_without_a_thought_and_rows_of_a_person_stay():
    person = Source(kind="person", name="p", contributed=("target",), stage="read")
    looping = "Let me read the message once more. " * 20
    assert TraceHealth(LABELS)([row(reasoning=None)]) == []
    assert TraceHealth(LABELS)([row(reasoning=looping, sources=(person,))]) == []
    assert [r.cause for r in TraceHealth(LABELS)([row(reasoning=looping)])] == ["loop"]


def test_a_thought_against_its_answer():
    (rejected,) = TraceHealth(LABELS)([row(target="debt_collection")])
    assert rejected.cause == "contradicts"
    assert "'credit_card'" in rejected.detail and "'debt_collection'" in rejected.detail
    assert TraceHealth(LABELS)([row(target=("debt_collection", "credit_card"))]) == []


def test_a_teacher_who_contradicts_himself_is_unstable_and_a_committee_is_not():
    split = {"credit_card": 0.4, "debt_collection": 0.35, "lost_or_stolen_card": 0.25}
    (rejected,) = TraceHealth(LABELS)([row(soft_target=split, sources=voted("m", "m", "m"))])
    assert rejected.cause == "unstable"
    assert TraceHealth(LABELS)([row(soft_target=split, sources=voted("m", "n"))]) == []
    firm = {"credit_card": 0.67, "debt_collection": 0.33}
    assert TraceHealth(LABELS)([row(soft_target=firm, sources=voted("m", "m", "m"))]) == []


def test_known_lengths_are_used():
    assert TraceHealth(LABELS, tokens={"1": 9000})([row()])[0].cause == "too_long"


def test_one_unsure_answer_is_not_unstable():
    def row(*sources: Source) -> Example:
        return Example(
            id="r",
            input="a card that was charged twice",
            target="a",
            soft_target={"a": 0.47, "b": 0.46, "c": 0.07},
            reasoning="The words decide here.",
            sources=sources,
        )

    def vote(request: str) -> Source:
        return Source(
            kind="model", name="big", contributed=("target",), stage="label", request=request
        )

    rule = Source(kind="rule", name="nearest gold", contributed=("target",), stage="label")
    judge = TraceHealth(("a", "b", "c"))
    assert judge([row(vote("1"))]) == []
    assert judge([row(vote("1"), vote("2"), rule)]) == []
    [rejected] = judge([row(vote("1"), vote("2"))])
    assert rejected.cause == "unstable"
