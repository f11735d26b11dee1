from __future__ import annotations

import pytest

from potstill.data import Example, Extraction, Source, Text, Value
from potstill.filter import (
    Agreement,
    Duplicates,
    FieldValidity,
    IdentityLeak,
    TextValidity,
    Validity,
    choose_filters,
    validity_of,
)
from potstill.spec.answer import AnswerSpec
from potstill.spec.extraction import FieldSpec
from potstill.spec.generation import TextSpec
from potstill.spec.task import Task

TEACHER = Source(kind="model", name="m", contributed=("target",), stage="label")
PERSON = Source(kind="person", name="p", contributed=("target",), stage="read")
FIELDS = {
    "party": FieldSpec(many=True),
    "term": FieldSpec(),
    "metal": FieldSpec(type="choice", choices={"gold": [], "silver": []}),
}
DOCUMENT = "Acme and Beta agree for two years, in gold."


def row(name="r", text=DOCUMENT, source=TEACHER, soft=None, **fields):
    target = Extraction({key: tuple(values) for key, values in fields.items()})
    return Example(id=name, input=text, target=target, sources=(source,), soft_target=soft)


def placed(text, part):
    return Value(part, part, text.index(part), text.index(part) + len(part))


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"party": [placed(DOCUMENT, "Acme"), placed(DOCUMENT, "Beta")]}, None),
        ({"party": [Value("Acme")], "metal": [Value("gold")]}, None),
        ({}, None),
        ({"partys": [Value("Acme")]}, "unknown_field"),
        ({"term": [Value("two years"), Value("gold")]}, "several_values"),
        ({"metal": [Value("copper")]}, "outside_choices"),
        ({"party": [Value("Acme", "Acme", 40, 44)]}, "bad_offsets"),
        ({"party": [Value("Acme", "Acme", 2, 2)]}, "bad_offsets"),
        ({"party": [Value("Acme", "Acme", -4, 4)]}, "bad_offsets"),
        ({"party": [Value("Acme", "Acme", 1, 5)]}, "evidence_mismatch"),
    ],
)
def test_values_must_stand_where_they_say(fields, cause):
    found = FieldValidity(FIELDS)([row(**fields)])
    assert [rejection.cause for rejection in found] == ([] if cause is None else [cause])


def test_rows_without_text_or_target_are_not_valid():
    nobody = Example(id="n", input="x", target=None)
    labelled = Example(id="l", input="x", target="a")
    empty = Example(id="e", input=" ", target=Extraction())
    noise = Example(id="c", input="\x00" * 9, target=Text("x"))
    for judge in (FieldValidity(FIELDS), TextValidity(TextSpec())):
        found = judge([nobody, labelled, empty, noise])
        assert [r.cause for r in found] == [
            "no_target",
            "no_target",
            "empty_text",
            "unreadable_text",
        ]


def said(text, source="The fee is 30 dollars.", by=TEACHER, name="t"):
    return Example(id=name, input=source, target=Text(text), sources=(by,))


def test_a_teachers_text_must_pass_the_guards_and_a_persons_need_not():
    judge = TextValidity(TextSpec(max_words=6))
    assert judge([said("You pay 30 dollars.")]) == []
    broken = {"copied": "You pay 40 dollars.", "length": "You pay and pay and pay 30 dollars."}
    for guard, text in broken.items():
        (found,) = judge([said(text)])
        assert (found.cause, found.stage) == (f"guard_{guard}", "filter:validity")
        assert judge([said(text, by=PERSON)]) == []
    assert "40" in judge([said(broken["copied"])])[0].detail
    assert TextValidity(TextSpec(max_words=6, guards=[]))([said(broken["copied"])]) == []


def test_a_person_who_wrote_nothing_is_rejected():
    assert [r.cause for r in TextValidity(TextSpec())([said(" ", by=PERSON)])] == ["no_target"]


def test_two_contracts_from_one_form_are_two_documents():
    form = " ".join(f"clause {n} says that word{n} holds" for n in range(60))
    one, other = (f"{name} signs. {form}" for name in ("Acme", "Beta"))
    rows = [
        row("a", one, party=[Value("Acme")]),
        row("b", other, party=[Value("Beta")]),
        row("c", one.replace("signs", "undersigns"), party=[Value("ACME")]),
        row("d", f"{one} ", party=[Value("Gamma")]),
    ]
    found = {r.id: r.cause for r in Duplicates(0.9)(rows[:3])}
    assert found == {"c": "duplicate"}
    # The same words with other values are a contradiction.
    found = {r.id: r.cause for r in Duplicates(0.9)([rows[0], rows[3]])}
    assert found == {"a": "conflicting_duplicate", "d": "conflicting_duplicate"}


def test_texts_of_one_document_never_contradict_each_other():
    source = " ".join(f"word{n}" for n in range(60))
    found = Duplicates(0.9)([said("One.", source, name="a"), said("Two.", source, name="b")])
    assert [(r.id, r.cause) for r in found] == [("b", "duplicate")]


def test_places_and_confidence_are_no_difference():
    placed_ = Value("Acme", "Acme", 0, 4, confidence=0.5)
    found = Duplicates(0.9)([row("a", party=[placed_]), row("b", party=[Value("acme")])])
    assert [(r.id, r.cause) for r in found] == [("b", "duplicate")]


def test_fields_that_the_teachers_do_not_agree_on():
    sure = row("a", soft={"party": 1.0, "term": 0.5})
    torn = row("b", soft={"party": 0.5, "term": 0.4})
    hard = row("c")
    (found,) = Agreement(0.6)([sure, torn, hard, said("A text.")])
    assert (found.id, found.cause) == ("b", "low_agreement")
    assert found.detail == "its fields won with 0.45, below 0.60"


def test_a_text_in_which_a_model_speaks_of_itself():
    leak = said("As an AI language model, I cannot read contracts.")
    (found,) = IdentityLeak()([leak, said("You may leave.", name="u")])
    assert (found.id, found.cause) == ("t", "identity_leak") and found.detail.startswith("its text")
    assert IdentityLeak()([said(leak.target.text, by=PERSON)]) == []


def make_task(kind, **given):
    own = {"extraction": {"fields": {"party": {}}}, "generation": {}}[kind]
    known = {"kind": "task", "version": 1, "name": "t", "type": kind, "data": {"gold": "g.jsonl"}}
    return Task.model_validate(known | own | given)


@pytest.mark.parametrize("kind", ["extraction", "generation"])
def test_the_usual_filters_judge_open_tasks_as_they_are(kind):
    task = make_task(kind)
    filters = choose_filters(task, [], embed=lambda _: pytest.fail("nothing wants embeddings"))
    assert [judge.name for judge in filters] == task.filter
    good = (
        row(party=[placed(DOCUMENT, "Acme")])
        if kind == "extraction"
        else said("You pay 30 dollars.")
    )
    assert [r for judge in filters for r in judge([good])] == []


def test_what_is_valid_depends_on_the_type():
    assert validity_of(AnswerSpec(type="classification", labels=("a", "b"))) == Validity(("a", "b"))
    assert isinstance(validity_of(make_task("extraction").answer), FieldValidity)
    assert isinstance(validity_of(make_task("generation").answer), TextValidity)


def test_noise_is_for_labels():
    with pytest.raises(ValueError, match="'noise' is for tasks with labels"):
        make_task("extraction", filter=["validity", "noise"])
