from __future__ import annotations

import json
import re

import pytest
from labeller import Labeller, failed, outcome

from potstill.data import Example, Extraction, Source, Text, Value
from potstill.errors import TeacherError
from potstill.generate.label import label_examples
from potstill.generate.method import Method
from potstill.generate.open import ask_open, open_method, open_requests, question_of
from potstill.spec.task import Columns, Task
from potstill.teacher import RecordedAnswers
from potstill.teacher.prices import estimate_tokens
from potstill.teacher.request import Reply

FIELDS = {
    "party": {"many": True, "description": "Who signs."},
    "term": {"type": "duration"},
    "days": {"type": "integer", "required": True},
    "metal": {"type": "choice", "choices": {"gold": ["Au"], "silver": []}},
}
DOCUMENT = "Acme, Inc. and Beta LLC agree for two (2) years. Notice is 30 days. Paid in gold."


def make_task(kind="extraction", **given) -> Task:
    teacher = {"model": "local:tiny", "terms": "oracle-terms"} | given.pop("teacher", {})
    own = (
        {"fields": FIELDS}
        if kind == "extraction"
        else {"text": {"max_words": 12, "rubric": ["Say 'you'."]}}
    )
    known = {
        "kind": "task",
        "version": 1,
        "name": "t",
        "type": kind,
        "data": {"gold": "gold.jsonl"},
    }
    return Task.model_validate(
        known | own | {"teacher": teacher, "rules": ["Never guess."]} | given
    )


def entry(value, evidence):
    return {"evidence": evidence, "value": value}


def right(_=None):
    """The values of DOCUMENT, as a teacher gives them."""
    return {
        "fields": {
            "party": [
                entry("Acme Inc.", "Acme, Inc. and"),
                entry("Beta LLC", "and Beta LLC agree"),
            ],
            "term": [entry("2 years", "for two (2) years")],
            "days": [entry(30, "Notice is 30 days")],
            "metal": [entry("gold", "Paid in gold")],
        }
    }


def one(text=DOCUMENT, name="d1"):
    return Example(id=name, input=text)


def ask(rows, asker, task=None, method=None, **given):
    task = task or make_task()
    return list(ask_open(rows, asker, task=task, method=method or Method(), **given))


def load(folder, rows, task, columns=None):
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RecordedAnswers.load([path], answer=task.answer, terms="oracle-terms", columns=columns)


def test_fields_are_asked_with_their_evidence_and_come_back_located(tmp_path):
    asker = Labeller(right)
    task = make_task()
    answers = load(tmp_path, ask([one()], asker, task), task)
    (example,) = label_examples([one()], answers).examples
    values = {
        name: [(v.value, v.text) for v in found] for name, found in example.target.fields.items()
    }
    assert values == {
        "party": [("Acme Inc.", "Acme, Inc."), ("Beta LLC", "Beta LLC")],
        "term": [("2 years", "two (2) years")],
        "days": [(30, "30")],
        "metal": [("gold", "gold")],
    }
    for found in example.target.fields.values():
        for value in found:
            assert DOCUMENT[value.start : value.end] == value.text
    (source,) = example.sources
    assert (source.name, source.terms, source.request) == ("oracle-1", "oracle-terms", "d1/0")
    assert (example.cost_usd, example.soft_target) == (0.25, None)
    assert Example.from_json(json.loads(json.dumps(example.to_json()))) == example


def test_the_prompt_says_how_values_are_written_and_the_schema_holds_to_it():
    asker = Labeller(right)
    ask([one(), one("Another.", "d2")], asker, make_task(description="Who agrees on what?"))
    first, second = asker.seen
    assert first.messages[0] == second.messages[0]
    system = first.messages[0]["content"]
    for said in (
        "Who agrees on what?",
        "- party (text, all values, in the words of the document): Who signs.",
        "- term (duration, at most one value, as number and unit, e.g. 18 months)",
        "- metal (choice, at most one value, one of gold, silver)",
        "- Never guess.",
    ):
        assert said in system
    assert [m["content"] for m in (first.messages[1], second.messages[1])] == [DOCUMENT, "Another."]
    fields = first.schema["properties"]["fields"]
    assert list(fields["properties"]) == list(FIELDS) == fields["required"]
    party, days = fields["properties"]["party"], fields["properties"]["days"]
    assert list(party["items"]["properties"]) == ["evidence", "value"]
    assert (party["maxItems"], days["maxItems"]) == (50, 1)
    assert days["items"]["properties"]["value"] == {"type": "integer"}
    assert fields["properties"]["metal"]["items"]["properties"]["value"]["enum"] == [
        "gold",
        "silver",
    ]


def test_every_schema_keeps_to_the_strict_dialect_and_to_its_own_answers():
    from potstill.teacher.structured import read_answer, response_format

    for task, value in ((make_task(), right()), (make_task("generation"), {"answer": "You win."})):
        for thought in (False, True):
            schema = question_of(task).schema(thought=thought)
            assert response_format(schema, "schema")["json_schema"]["strict"] is True
            given = ({"thought": "Hm."} if thought else {}) | value
            reading = read_answer(Reply(text=json.dumps(given)), schema, "schema")
            assert (reading.value, reading.fault) == (given, None)
            assert next(iter(schema["properties"])) == ("thought" if thought else next(iter(value)))


def test_a_value_that_is_not_in_the_document_is_lost_and_the_row_kept(tmp_path):
    def inventive(_):
        said = right()
        said["fields"]["party"].append(entry("Umbrella", "Umbrella Corporation of Raccoon City"))
        return said

    task = make_task()
    labelled = label_examples([one()], load(tmp_path, ask([one()], Labeller(inventive)), task))
    (example,) = labelled.examples
    assert example.target.unsure == ("party",) and len(example.target.of("party")) == 2
    (lost,) = labelled.lost
    assert (lost.id, lost.stage, lost.cause, lost.cost_usd) == (
        "d1",
        "label",
        "evidence_not_found",
        0.0,
    )
    assert lost.detail == "party: 'Umbrella Corporation of Raccoon City' is not in the document"
    assert labelled.rejected == []


def test_a_row_whose_required_field_is_lost_is_rejected(tmp_path):
    def forgetful(request):
        said = right()
        if request.id == "d1":
            said["fields"]["days"] = []
        elif request.id == "d2":
            said["fields"]["days"] = [entry(31, "Notice is 30 days")]
        return said

    rows = [one(name=f"d{number}") for number in range(1, 4)]
    task = make_task()
    labelled = label_examples(rows, load(tmp_path, ask(rows, Labeller(forgetful)), task))
    assert [example.id for example in labelled.examples] == ["d3"]
    causes = {r.id: (r.cause, r.cost_usd, r.example is not None) for r in labelled.rejected}
    assert causes == {
        "d1": ("required_missing", 0.25, True),
        "d2": ("value_not_in_evidence", 0.25, True),
    }
    (teacher,) = labelled.teachers
    assert (teacher["answered"], teacher["agreement"]) == (1, 1.0)
    with pytest.raises(TeacherError, match=r"can be used: required_missing \(1\); days: every"):
        label_examples(rows[:1], load(tmp_path, ask(rows[:1], Labeller(forgetful)), task))


LONG = "\n".join(
    f"Section {n}. Clause {n} of this long agreement says nothing." for n in range(400)
)


def test_a_long_document_is_asked_in_parts_that_leave_nothing_out():
    text = f"{LONG}\nAcme, Inc. signs.\n{LONG}"
    task = make_task(teacher={"part_tokens": 2000})
    requests = list(open_requests([one(text)], task=task, method=Method(), purpose="plan"))
    turns = [request.messages[1]["content"] for request in requests]
    assert len(turns) > 5
    place = 0
    for number, turn in enumerate(turns, 1):
        head, part = turn.split("\n", 1)
        assert head == f"(Part {number} of {len(turns)} of a document.)"
        assert estimate_tokens(part) < 2400
        start = text.index(part, max(0, place - 2000))
        assert start <= max(0, place - 300)  # they overlap
        assert text[start : start + len(part)] == part
        place = start + len(part)
    assert place == len(text)
    assert len({request.id for request in requests}) == len(turns)


@pytest.mark.parametrize("words", [" ", "", ". "])
def test_parts_overlap_and_cover_a_document_of_any_script(words):
    from potstill.generate.fields import parts_of

    text = words.join(chr(0x4E00 + number) for number in range(20_000))
    place, parts = 0, parts_of(text, 300)
    for part in parts:
        start = text.index(part)
        assert start <= place and estimate_tokens(part) < 360
        place = start + len(part)
    assert place == len(text) and len(parts) < 100 * (1 + len(words))


def test_short_and_endless_documents_end():
    from potstill.generate.fields import parts_of

    assert parts_of("", 300) == [""] and parts_of("a", 300) == ["a"]
    assert 2 < len(parts_of("\u0301" * 30_000, 300)) < 200
    assert all(parts_of(" 1" * 5_000, 256))


def test_the_answers_to_all_parts_are_one_answer(tmp_path):
    text = f"Acme, Inc. signs for two (2) years.\n{LONG}\nAcme, Inc. and Beta LLC: 30 days, three years."

    def reads(request):
        part = request.messages[1]["content"]
        says = {
            "party": [("Acme Inc.", "Acme, Inc."), ("Beta LLC", "and Beta LLC")],
            "term": [("2 years", "two (2) years"), ("3 years", "three years")],
            "days": [(30, "30 days")],
            "metal": [],
        }
        found = {
            name: [entry(value, evidence) for value, evidence in pairs if evidence in part]
            for name, pairs in says.items()
        }
        return {"thought": f"{len(found['party'])} sign.", "fields": found}

    task = make_task(teacher={"part_tokens": 3000})
    asker = Labeller(reads, disorder=2)
    (row,) = ask([one(text)], asker, task, Method(reasoning=True))
    parts = len(asker.seen)
    assert parts > 2
    assert row["fields"]["party"] == [
        entry("Acme Inc.", "Acme, Inc."),
        entry("Beta LLC", "and Beta LLC"),
    ]
    assert row["fields"]["term"] == [entry("2 years", "two (2) years")]
    assert (row["id"], row["cost_usd"], row["seconds"]) == ("d1", 0.25 * parts, 2.0 * parts)
    assert row["prompt_tokens"] == 50 * parts
    assert row["reasoning"].startswith("1 sign.\n0 sign.")
    assert row["request"] == " ".join(f"d1#{n}/0" for n in range(1, parts + 1))
    (example,) = label_examples([one(text)], load(tmp_path, [row], task)).examples
    assert [v.value for v in example.target.of("party")] == ["Acme Inc.", "Beta LLC"]


def test_a_part_that_fails_fails_its_answer_and_says_which():
    def unsteady(request):
        return failed(request, "timed_out", cost_usd=None) if request.id.endswith("#2") else right()

    task = make_task(teacher={"part_tokens": 3000})
    asker = Labeller(unsteady)
    (row,) = ask([one(LONG)], asker, task)
    assert "fields" not in row and "cost_usd" not in row
    assert (row["fault"], row["detail"]) == (
        "timed_out",
        f"part 2 of {len(asker.seen)}: it was timed_out",
    )


def test_votes_on_fields_are_joined_value_by_value(tmp_path):
    def wavering(request):
        said = right()
        if request.sample == 0:
            said["fields"]["party"].pop()
            said["fields"]["metal"] = []
        return said

    task = make_task()
    asker = Labeller(wavering, disorder=4)
    rows = [one(name=f"d{number}") for number in range(5)]
    found = ask(rows, asker, task, Method(votes=3))
    assert {request.temperature for request in asker.seen} == {0.7}
    labelled = label_examples(rows, load(tmp_path, found, task))
    assert len(labelled.examples) == 5
    for example in labelled.examples:
        shares = {v.value: v.confidence for v in example.target.of("party")}
        assert shares == {"Acme Inc.": 1.0, "Beta LLC": pytest.approx(2 / 3)}
        assert example.soft_target["metal"] == pytest.approx(2 / 3)
        assert example.cost_usd == 0.75


def test_context_goes_before_the_document():
    row = Example(id="d", input={"contract": DOCUMENT, "client": "Beta"})
    asker = Labeller(right)
    ask([row], asker)
    assert asker.seen[0].messages[1]["content"] == f"client: Beta\n\nThe document:\n{DOCUMENT}"


def gold(text, target, name="g"):
    person = Source(kind="person", name="gold", contributed=("target",), stage="read")
    return Example(id=name, input=text, target=target, sources=(person,))


def placed(text, *parts):
    return tuple(
        Value(part, part, text.index(part), text.index(part) + len(part)) for part in parts
    )


def test_gold_documents_are_shown_with_their_answers():
    target = Extraction({"party": placed(DOCUMENT, "Acme, Inc.", "Beta LLC")})
    asker = Labeller(right)
    ask([one()], asker, method=Method(examples=2), gold=[gold(DOCUMENT, target)] * 3)
    system = asker.seen[0].messages[0]["content"]
    assert system.count(f'An example. The document: "{DOCUMENT}"') == 2
    shown = json.loads(re.search(r"The answer: (.*)", system)[1])
    assert shown["fields"]["party"][0] == entry("Acme, Inc.", "Acme, Inc.")
    assert shown["fields"]["term"] == []
    assert system.index("An example.") < system.index("Answer with all fields")


def test_of_a_long_gold_document_the_passages_are_shown_and_of_one_without_places_none():
    text = f"{LONG} Acme, Inc. signs. {LONG} Beta LLC signs. {LONG}"
    long = gold(text, Extraction({"party": placed(text, "Acme, Inc.", "Beta LLC")}))
    bare = gold(DOCUMENT, Extraction({"party": (Value("Acme Inc."),)}))
    question = question_of(make_task())
    shown = question.demonstration(long)
    assert "Acme, Inc. signs." in shown and " […] " in shown and len(shown) < 1500
    assert question.demonstration(bare) is None
    assert question.demonstration(gold(LONG, Extraction())) is None
    asker = Labeller(right)
    ask([one()], asker, method=Method(examples=4), gold=[bare, long])
    assert asker.seen[0].messages[0]["content"].count("An example.") == 1


def test_a_text_is_asked_for_and_read(tmp_path):
    task = make_task("generation", description="What may the user do?")
    asker = Labeller(lambda _: {"thought": "Leave.", "answer": " You may leave. "})
    rows = [one("Users are entitled to terminate.")]
    shown = [
        gold("Payment is due.", Text("You must pay."), "g1"),
        gold("x" * 3000, Text("No."), "g2"),
    ]
    found = ask(rows, asker, task, Method(reasoning=True, examples=2), gold=shown)
    assert found[0]["answer"] == "You may leave."
    labelled = label_examples(rows, load(tmp_path, found, task))
    (example,) = labelled.examples
    assert (example.target, example.reasoning) == (Text("You may leave."), "Leave.")
    system = asker.seen[0].messages[0]["content"]
    for said in (
        "What may the user do?",
        "at most 12 words",
        "Every figure",
        "Say 'you'.",
        "Never guess.",
    ):
        assert said in system
    assert 'The document: "Payment is due."\nThe answer: {"answer":"You must pay."}' in system
    assert "xxx" not in system


def test_of_several_texts_the_one_like_the_others_teaches(tmp_path):
    texts = ["You may leave now.", "Bananas are yellow.", "You may leave right now."]
    task = make_task("generation")
    found = ask([one()], Labeller(lambda r: {"answer": texts[r.sample]}), task, Method(votes=3))
    labelled = label_examples([one()], load(tmp_path, found, task))
    (example,) = labelled.examples
    assert example.target in (Text(texts[0]), Text(texts[2]))
    assert labelled.teachers[0]["agreement"] == 1.0


def test_a_text_that_invents_a_figure_has_no_vote_where_another_does_not(tmp_path):
    texts = ["You pay 40 dollars now.", "You pay 30 dollars.", "You pay 40 dollars right now."]
    task = make_task("generation")
    row = one("The fee is 30 dollars.")
    found = ask([row], Labeller(lambda r: {"answer": texts[r.sample]}), task, Method(votes=3))
    labelled = label_examples([row], load(tmp_path, found, task))
    assert labelled.examples[0].target == Text(texts[1])
    assert labelled.examples[0].cost_usd == 0.75
    # Where all of them break a guard, one is left for the filter to reject with its cause.
    found = ask([row], Labeller(lambda r: {"answer": texts[0]}), task, Method(votes=3))
    labelled = label_examples([row], load(tmp_path, found, task))
    assert labelled.examples[0].target == Text(texts[0])


def test_recorded_texts_stand_under_answer_or_in_the_column_of_the_target(tmp_path):
    task = make_task("generation", data={"gold": "g.jsonl", "columns": {"target": "summary"}})
    rows = [one("Some text.", "1"), one("Other text.", "2"), one("Third text.", "3")]
    recorded = [
        {"id": "1", "text": "Some text.", "answer": "A."},
        {"id": "2", "summary": "B.", "model": "m", "seconds": 1.5},
        {"id": "3", "answers": {"m": "C.", "n": {"answer": "C."}}},
    ]
    answers = load(tmp_path, recorded, task, Columns(target="summary"))
    labelled = label_examples(rows, answers)
    assert [e.target for e in labelled.examples] == [Text("A."), Text("B."), Text("C.")]
    assert [row["name"] for row in labelled.teachers] == ["answers", "m", "n"]


def test_a_chat_log_of_extractions_teaches(tmp_path):
    def logged(text, content):
        return {
            "request": {"model": "big", "messages": [{"role": "user", "content": text}]},
            "response": {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]},
        }

    good = json.dumps({"party": ["Acme Inc."], "days": "30"})
    rows = [one(), one("Nothing.", "d2"), one("No JSON.", "d3")]
    log = [
        logged(DOCUMENT, f"<think>Two.</think>```json\n{good}\n```"),
        logged("Nothing.", good),
        logged("No JSON.", "I found nothing."),
    ]
    task = make_task()
    labelled = label_examples(rows, load(tmp_path, log, task))
    (example,) = labelled.examples
    assert example.target.fields == {"party": (Value("Acme Inc."),), "days": (Value(30),)}
    assert (example.reasoning, example.sources[0].name) == ("Two.", "big")
    causes = {r.id: (r.cause, r.detail) for r in labelled.rejected}
    assert causes["d2"][0] == "evidence_not_found"
    assert causes["d3"] == (
        "outside_schema",
        "not an object of the task's fields: big said 'I found nothing.'",
    )


def test_teachers_are_predictors_of_fields_and_texts(tmp_path):
    task = make_task()
    recorded = [
        {"id": "d1", "answers": {"m": {"party": "Acme", "days": 30}, "n": {"days": 30}}},
    ]
    answers = load(tmp_path, recorded, task)
    assert answers.predictor("m", [one()]).labels == tuple(FIELDS)
    (alone,) = answers.predictor("n", [one()]).predict([DOCUMENT])
    assert alone.target.fields == {"days": (Value(30),)} and alone.scores is None
    (joint,) = answers.committee([one()]).predict([DOCUMENT])
    assert joint.scores["days"] == 1.0
    assert answers.committee([one()]).predict(["Other."])[0].target is None


def test_how_an_open_question_is_asked_unless_the_task_says():
    rows = [one(name=str(number)) for number in range(9)]
    teacher = make_task().teacher
    assert open_method(teacher, rows) == Method(examples=4)
    teacher = make_task(teacher={"reasoning": True, "votes": 5, "examples": 0}).teacher
    assert open_method(teacher, rows) == Method(reasoning=True, votes=5)
    bare = Task.model_validate(
        {"kind": "task", "version": 1, "name": "t", "type": "extraction", "fields": FIELDS}
        | {"data": {"gold": "g.jsonl"}}
    )
    with pytest.raises(TeacherError, match="names no teacher"):
        question_of(bare)


def test_rows_are_drawn_as_they_are_asked():
    drawn = []

    def rows():
        for number in range(100):
            drawn.append(number)
            yield one(name=str(number))

    answers = ask_open(rows(), Labeller(right, window=4), task=make_task(), method=Method())
    next(answers)
    assert len(drawn) <= 8


def test_a_reply_that_thinks_by_itself_brings_its_thought():
    def thinks(request):
        return outcome(request, right(), reply=Reply(text="…", thought="Hm, so."))

    (row,) = ask([one()], Labeller(thinks))
    assert row["reasoning"] == "Hm, so." and "prompt_tokens" not in row
