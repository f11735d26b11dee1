"""Workflows of models that find values and write texts: references, passages, answers of parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from potstill.data.composed import Composed
from potstill.data.example import Input, Prediction, Text, document_of
from potstill.data.extraction import Extraction, Money, Value
from potstill.errors import SpecError
from potstill.runtime.folder import seal
from potstill.spec.answer import AnswerSpec
from potstill.workflow import Workflow
from potstill.workflow.steps import passage

FIELDS = {
    "term": {"type": "duration"},
    "party": {"many": True},
    "law": {"type": "choice", "choices": ["Ohio", "Utah"]},
    "fee": {"type": "money"},
    "confidence": {"type": "integer"},
}
CONTRACT = (
    "This is an agreement. It was made by Ann and Bob. It lasts two years. "
    "Ohio is where it holds. The fee is 100 dollars. Nothing else was said."
)


class Finder:
    """Finds what it was told to; a field that is named after ``doubt`` is unsure."""

    name = "contract"
    labels = tuple(FIELDS)

    def __init__(self) -> None:
        self.sure = 0.9

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        return [self._answer(document_of(value)) for value in inputs]

    def _answer(self, text: str) -> Prediction:
        found: dict[str, tuple[Value, ...]] = {}
        for name, words, value in (
            ("term", "two years", "2 years"),
            ("party", "Ann", "Ann"),
            ("party", "Bob", "Bob"),
            ("law", "Ohio", "Ohio"),
            ("law", "Utah", "Utah"),
            ("fee", "100 dollars", Money("100.00", "USD")),
            ("confidence", "seven", 7),
        ):
            at = text.find(words)
            if at >= 0:
                one = Value(value, words, at, at + len(words), 0.8)
                found[name] = (*found.get(name, ()), one)
        unsure = tuple(name for name in FIELDS if f"doubt {name}" in text)
        scores = {name: 0.5 if name == "law" else 0.8 for name in FIELDS}
        deferred = "unsure" if "doubt everything" in text else None
        return Prediction(Extraction(found, unsure), self.sure, scores, False, deferred)


class Shouter:
    """Writes a text in capital letters."""

    name = "shout"
    labels = ()

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        if any("boom" in str(value) for value in inputs):
            raise RuntimeError("no voice left")
        return [Prediction(Text(str(value).upper())) for value in inputs]


@pytest.fixture
def open_workflow(
    cards: Path, write: Callable[..., Path], predictors: dict
) -> Callable[..., Workflow]:
    """Load a workflow that may have the models ``contract`` and ``shout``."""
    known = {**predictors, "contract": Finder(), "shout": Shouter()}
    for name, facts in (
        ("contract", {"type": "extraction", "fields": FIELDS}),
        ("shout", {"type": "generation"}),
    ):
        (cards / name).mkdir()
        answer = AnswerSpec.model_validate(facts).model_dump(mode="json")
        task = {"answer": answer, "columns": {"input": "text"}}
        card = {"name": name, "type": facts["type"], "task": task}
        (cards / name / "model.json").write_bytes(seal(card))

    def load(nodes: str, output: str, more: str = "") -> Workflow:
        return Workflow.load(
            write(nodes, output, more), load_model=lambda folder: known[folder.name], workers=1
        )

    return load


CHAIN = """
find: {model: contract}
clause: {step: passage, most: 1, input: {document: input, evidence: find.fields.term}}
loud: {model: shout, input: clause}
"""


def test_the_evidence_of_a_value_leads_to_its_sentence_and_on(open_workflow):
    workflow = open_workflow(CHAIN, "loud")
    answer = workflow.predict(CONTRACT)
    assert answer.answer == Text("IT LASTS TWO YEARS.")
    # Of the values only the term was read, of which the finder is sure at 0.8; who writes texts
    # states no confidence, and so the whole has none.
    assert answer.confidence is None
    assert workflow.labels == ()


def test_a_value_that_is_not_there_asks_nobody_and_one_that_is_unsure_is_deferred(open_workflow):
    workflow = open_workflow(CHAIN, "{text: loud.text, term: find.fields.term.value}")
    missing = workflow.predict("It never ends.")
    assert isinstance(missing, Composed)
    assert missing.parts == {"text": None, "term": None}
    assert missing.unanswered == {}
    assert missing.deferred == "out_of_scope"
    unsure = workflow.predict(CONTRACT + " doubt term")
    assert unsure.to_json() == {
        "parts": {"text": None, "term": None},
        "unanswered": {"text": "unsure", "term": "unsure"},
        "deferred": "unsure",
    }


def test_an_answer_of_parts_holds_predictions_values_and_texts(open_workflow):
    workflow = open_workflow(
        "route: {model: route}\n" + CHAIN.strip(),
        "{kind: route.label, all: find, fields: find.fields, parties: find.fields.party.value, "
        "fee: find.fields.fee, dollars: find.fields.fee.value.amount, clause: clause, loud: loud}",
    )
    answer = workflow.predict(CONTRACT + " weather")
    found = answer.to_json()["parts"]
    assert found["kind"] == "weather"
    assert found["parties"] == ["Ann", "Bob"]
    assert found["fee"]["value"] == {"amount": "100.00", "currency": "USD"}
    start, end = found["fee"]["start"], found["fee"]["end"]
    assert CONTRACT[start:end] == found["fee"]["text"] == "100 dollars"
    assert found["dollars"] == 100.0
    assert found["clause"] == "It lasts two years."
    assert found["loud"] == {"text": "IT LASTS TWO YEARS."}
    assert found["all"]["confidence"] == 0.9
    assert found["fields"]["term"] == found["all"]["fields"]["term"]
    assert list(found) == [*workflow.card["parts"]]
    assert answer.answer is None
    assert answer.deferred is None


def test_the_card_tells_what_the_parts_are(open_workflow):
    workflow = open_workflow(
        "find: {model: contract}\nroute: {model: route}",
        "{kind: route, found: find, law: find.fields.law.value, sure: find.confidence, "
        "parties: find.fields.party, fee: find.fields.fee.value}",
    )
    parts = workflow.card["parts"]
    assert workflow.card["type"] == "composite"
    assert parts["kind"] == {
        "type": "classification",
        "labels": ["banking", "complaint", "weather"],
    }
    assert list(parts["found"]["fields"]) == list(FIELDS)
    assert parts["law"] == {"type": "label", "labels": ["Ohio", "Utah"]}
    assert parts["sure"] == {"type": "number"}
    assert parts["parties"]["items"]["field"]["many"] is True
    assert parts["fee"] == {"type": "amount"}


def test_a_workflow_may_answer_values_alone(open_workflow):
    workflow = open_workflow("find: {model: contract}", "find")
    answer = workflow.predict(CONTRACT)
    assert isinstance(answer.answer, Extraction)
    assert [value.value for value in answer.answer.of("party")] == ["Ann", "Bob"]
    assert answer.scores == {name: 0.5 if name == "law" else 0.8 for name in FIELDS}
    assert AnswerSpec.of_card(workflow.card).names == workflow.labels == tuple(FIELDS)


def test_conditions_test_values_choices_and_amounts(open_workflow):
    workflow = open_workflow(
        "find: {model: contract}\n"
        "ohio: {model: route, when: {find.fields.law.value: Ohio}}\n"
        "dear: {model: banking, when: {find.fields.fee.value.amount: {at_least: 50}}}\n"
        "few: {model: complaints, when: {find.fields.confidence.value: {below: 8}}}",
        "{ohio: ohio.label, dear: dear.label, few: few.label}",
    )
    parts = workflow.predict(CONTRACT).to_json()["parts"]
    assert parts == {"ohio": "banking", "dear": "card_arrival", "few": None}
    parts = workflow.predict("Utah, and seven of them").to_json()["parts"]
    assert parts == {"ohio": None, "dear": None, "few": "debt"}


def test_a_part_is_as_sure_as_what_led_to_it(open_workflow):
    workflow = open_workflow(
        "find: {model: contract}\n"
        "ohio: {model: route, input: find.fields.term.text, when: {find.fields.law.value: Ohio}}\n"
        "any: {model: banking, when: {find.deferred: false, find.fields.confidence.confidence:"
        " {below: 2}}}",
        "{ohio: ohio, any: any}",
    )
    parts = workflow.predict(CONTRACT + " seven").parts
    # The finder is right on the term with 0.8 and on the law with 0.5; the router states 0.6.
    assert parts["ohio"].confidence == pytest.approx(0.8 * 0.5 * 0.6)
    assert parts["any"].confidence == pytest.approx(0.6)


def test_a_text_in_place_of_one_that_could_not_be_written(open_workflow):
    nodes = "loud: {model: shout, on_error: default, default: (nothing to say)}"
    workflow = open_workflow(nodes, "loud")
    assert workflow.predict("boom").answer == Text("(nothing to say)")


def test_a_workflow_inside_a_workflow_hands_on_its_parts(open_workflow, write):
    write("find: {model: contract}", "{found: find, who: find.fields.party.value}", name="inner")
    workflow = open_workflow(
        "inner: {workflow: inner.yaml}\n"
        "all: {step: join, separator: ' and ', input: inner.who}\n"
        "loud: {model: shout, input: all}\n"
        "term: {model: shout, input: inner.found.fields.term.text}",
        "{loud: loud.text, term: term.text, who: inner.who}",
    )
    parts = workflow.predict(CONTRACT).parts
    assert parts == {"loud": "ANN AND BOB", "term": "TWO YEARS", "who": ["Ann", "Bob"]}


def test_traces_tell_which_values_were_found(open_workflow):
    [traced] = open_workflow(CHAIN, "loud").run([CONTRACT])
    shown = traced.to_json()
    [found] = [node for node in shown["nodes"] if node["node"] == "find"]
    assert found["output"]["fields"]["term"][0]["text"] == "two years"
    assert traced.node("clause").output == "It lasts two years."
    assert shown["prediction"]["text"] == "IT LASTS TWO YEARS."


@pytest.mark.parametrize(
    ("nodes", "output", "said"),
    [
        ("f: {model: contract}\ns: {model: shout, input: f.fields.tern}", "s", "'f.fields.tern': 'f.fields' is the values of fields, and there is no 'tern' in it. Did you mean 'term'?"),
        ("f: {model: contract}\ns: {model: shout, input: f}", "s", "model 's' reads a text, not an extraction."),
        ("f: {model: contract}\ns: {model: shout, input: f.fields.term}", "s", "reads a text, not a value with its evidence. Read its evidence or its value: add '.text' or '.value'."),
        ("f: {model: contract}\ns: {model: shout, input: f.fields.party.value}", "s", "reads a text, not a list of texts. Use 'map'"),
        ("a: {model: shout}\ns: {model: shout, input: a}", "s", "reads a text, not an answer in words. Read its text: add '.text'."),
        ("f: {model: contract, when: {input: x}}", "f", ""),
        ("f: {model: contract}\ns: {model: shout, when: {f.fields.law.value: Ohjo}}", "s", "'law' has no choice 'Ohjo'. Did you mean 'Ohio'?"),
        ("f: {model: contract}\ns: {model: shout, when: {f.fields.term: {is: 2 years}}}", "s", "a condition cannot test that. Test a field: f.fields.term.value"),
        ("f: {model: contract}\np: {step: passage, input: {document: input, evidence: f.fields.party}}\ns: {model: shout, input: p}", "s", "'evidence' must be a value of an extraction, not a list of values with their evidence. Name a field that has one value"),
        ("f: {model: contract}\np: {step: passage, input: {document: input, evidence: input}}\ns: {model: shout, input: p}", "s", "'evidence' must be a value of an extraction, not a text. Name one: 'NODE.fields.NAME'."),
        ("p: {step: passage}\ns: {model: shout, input: p}", "s", "'passage' reads a mapping {document: …, evidence: NODE.fields.NAME}, not a text."),
        ("f: {model: contract}\np: {step: pick, field: term, input: f}", "p", "Name the field in a reference"),
        ("f: {model: contract}\nu: {step: union, input: [f, f]}", "u", "'input' lists what does not go together"),
        ("f: {model: contract, on_error: default, default: x}", "f", "the default of 'f' must be left out: it is for labels and texts."),
        ("r: {model: route}\nf: {model: contract, when: {r.label: weather}}", "{first: [f, r]}", "'r' is an answer, and 'f' is an extraction. Give each a name"),
        ("f: {model: contract}", "{first: [f], prefix: true}", "'prefix' is for labels."),
        ("f: {model: contract}", "{found: g}", "workflow.yaml:6: 'g': no node is called 'g'."),
        ("f: {model: contract}", "{parts: {found: f.term}}", "workflow.yaml:6: 'f.term': 'f' is an extraction, and there is no 'term' in it. Its fields are fields, guess, confidence, deferred."),
        ("f: {model: contract}", "{found: input}", "'input' is what was asked, and no answer."),
        ("f: {model: contract}", "{}", "'output': the output is what 'first' of some nodes answers, or has 'parts'"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_remedy(open_workflow, nodes, output, said):
    if not said:
        assert open_workflow(nodes, output).labels
        return
    with pytest.raises(SpecError) as caught:
        open_workflow(nodes, output)
    assert said in str(caught.value)


def at(words: str, text: str = CONTRACT) -> Value:
    start = text.index(words)
    return Value(words, words, start, start + len(words))


def test_a_passage_is_the_sentences_around_the_evidence():
    assert passage(CONTRACT, at("two years"), most=1) == "It lasts two years."
    assert passage(CONTRACT, at("two years"), most=2) == (
        "It lasts two years. Ohio is where it holds."
    )
    assert passage(CONTRACT, at("two years"), most=3) == (
        "It was made by Ann and Bob. It lasts two years. Ohio is where it holds."
    )
    assert passage(CONTRACT, at("Nothing else"), most=2) == (
        "The fee is 100 dollars. Nothing else was said."
    )
    assert passage(CONTRACT, at("This is"), most=2) == CONTRACT[: CONTRACT.index(" It lasts")]
    assert passage(CONTRACT, at("Bob. It"), most=1) == (
        "It was made by Ann and Bob. It lasts two years."
    )
    assert passage(CONTRACT, at("fee"), most=50) == CONTRACT


def test_a_passage_of_a_book_is_found_by_its_offset():
    book = "It lasts two years. " * 20_000 + "At last it lasts nine years. " + "The end. " * 20_000
    assert passage(book, at("nine years", book), most=1) == "At last it lasts nine years."


def test_a_value_that_nobody_located_has_no_passage():
    assert passage(CONTRACT, Value("2 years")) != CONTRACT
    assert not isinstance(passage(CONTRACT, Value("2 years")), str)
