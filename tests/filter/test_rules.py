import numpy as np

from potstill.data import Example, Source
from potstill.filter import Agreement, Duplicates, Policy, Validity, apply_filters
from potstill.filter.noise import Noise

LABELS = ("a", "b")
PERSON = Source(kind="person", name="p", contributed=("target",), stage="read")


def test_validity_names_each_fault():
    rows = [
        Example(id="ok", input="fine", target="a"),
        Example(id="blank", input=" \n", target="a"),
        Example(id="control", input="\0\0\0x", target="a"),
        Example(id="outside", input="fine", target="auto_loan"),
        Example(id="none", input="fine"),
        Example(id="several", input="fine", target=("a", "nope")),
        Example(id="nothing applies", input="fine", target=()),
    ]
    causes = {r.id: r.cause for r in Validity(LABELS)(rows)}
    assert causes == {
        "blank": "empty_text",
        "control": "unreadable_text",
        "outside": "outside_taxonomy",
        "none": "no_target",
        "several": "outside_taxonomy",
    }


def test_a_single_nul_in_a_long_text_is_no_reason():
    assert Validity(LABELS)([Example(id="1", input="a long text \0 with one", target="a")]) == []


def test_policy_denies_by_pattern():
    def taught_by(name):
        source = Source(kind="model", name=name, contributed=("target",), stage="label")
        return Example(id=name, input="t", target="a", sources=(source,))

    rejected = Policy(("OpenAI/*",))([taught_by("openai/gpt-4o"), taught_by("deepseek-r1")])
    assert [r.id for r in rejected] == ["openai/gpt-4o"]
    assert "'OpenAI/*'" in rejected[0].detail


def test_duplicates_keep_the_first_and_distrust_contradictions():
    text = "they charged my card twice and will not pay back"
    rows = [
        Example(id="1", input=text, target="a"),
        Example(id="2", input=text.upper(), target="a"),
        Example(id="3", input="a quite different story about a loan", target="a"),
        Example(id="4", input="a quite different story about a loan!", target="b"),
    ]
    assert {r.id: r.cause for r in Duplicates(0.9)(rows)} == {
        "2": "duplicate",
        "3": "conflicting_duplicate",
        "4": "conflicting_duplicate",
    }


def test_a_person_outweighs_a_teacher_among_duplicates():
    rows = [
        Example(id="gold", input="the very same words", target="a", sources=(PERSON,)),
        Example(id="silver", input="the very same words", target="b"),
    ]
    assert [r.id for r in Duplicates(0.9)(rows)] == ["silver"]


def test_agreement_looks_at_the_winner():
    rows = [
        Example(id="split", input="t", target="a", soft_target={"a": 0.55, "b": 0.45}),
        Example(id="clear", input="t", target="a", soft_target={"a": 0.9, "b": 0.1}),
        Example(id="hard", input="t", target="a"),
    ]
    assert [r.id for r in Agreement(0.6)(rows)] == ["split"]


def test_noise_finds_planted_errors_and_respects_its_limit():
    generator = np.random.default_rng(0)
    centres = {"a": np.array([3.0, 0.0]), "b": np.array([-3.0, 0.0])}
    rows, features = [], {}
    for i in range(200):
        truth = "ab"[i % 2]
        given = "ab"[(i + 1) % 2] if i < 20 else truth
        rows.append(Example(id=str(i), input=f"row {i}", target=given))
        features[str(i)] = (centres[truth] + generator.normal(size=2)).astype(np.float32)
    found = {r.id for r in Noise(max_share=0.2, seed=0, features=features)(rows)}
    planted = {str(i) for i in range(20)}
    assert len(found & planted) >= 18
    assert len(found - planted) <= 4
    assert len(Noise(max_share=0.03, seed=0, features=features)(rows)) == 6


def test_noise_never_overrules_a_person():
    rows = [
        Example(
            id=str(i),
            input=f"{word} {word} number {i}",
            target="b" if i < 4 else label,
            sources=(PERSON,) if i < 2 else (),
        )
        for i, (word, label) in enumerate([("apple", "a"), ("brick", "b")] * 30)
    ]
    assert {r.id for r in Noise(max_share=0.2, seed=0)(rows)} == {"2"}


def test_noise_with_words_as_features():
    rows = [
        Example(id=str(i), input=f"{word} {word} number {i}", target="b" if i < 3 else label)
        for i, (word, label) in enumerate([("apple", "a"), ("brick", "b")] * 30)
    ]
    assert {r.id for r in Noise(max_share=0.2, seed=0)(rows)} == {"0", "2"}


def test_the_table_counts_what_each_filter_took_and_the_money_lost():
    rows = [
        Example(id="1", input="fine", target="a", cost_usd=0.5),
        Example(id="2", input="fine", target="a", cost_usd=0.25),
        Example(id="3", input=" ", target="a", cost_usd=0.125),
        Example(id="4", input="other words", target="x", cost_usd=None),
    ]
    result = apply_filters([Validity(LABELS), Duplicates(0.9)], rows)
    assert [e.id for e in result.kept] == ["1"]
    first, second = result.table
    assert (first.checked, first.rejected, first.lost_usd) == (4, 2, None)
    assert first.causes == {"empty_text": 1, "outside_taxonomy": 1}
    assert (second.checked, second.rejected, second.lost_usd) == (2, 1, 0.25)
