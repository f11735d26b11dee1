from __future__ import annotations

import pytest

from potstill.data import Prediction, Predictor
from potstill.errors import DataError, ModelError, SpecError
from potstill.workflow import Workflow


def test_an_input_takes_its_branch_and_the_labels_say_which(intake, predictors):
    answers = intake.predict(
        ["banking lost_card=0.8", "complaint mortgage", "weather=0.7", "complaint=0.5 debt=0.4"]
    )
    assert [answer.answer for answer in answers] == [
        "banking/lost_card",
        "complaints/mortgage",
        "route/weather",
        "complaints/debt",
    ]
    assert isinstance(intake, Predictor)
    assert intake.labels[:3] == ("banking/card_arrival", "banking/lost_card", "complaints/debt")
    assert [answer.target in intake.labels for answer in answers] == [True] * 4
    assert intake.predict([]) == []


def test_the_confidence_is_the_product_of_what_must_be_right_on_the_way(intake):
    found = intake.predict("banking=0.75 lost_card=0.8")
    assert found.confidence == pytest.approx(0.75 * 0.8)
    assert found.scores["banking/lost_card"] == pytest.approx(0.75 * 0.8)
    assert found.scores["route/weather"] == 0.0
    assert list(found.scores) == list(intake.labels)
    assert intake.predict("weather=0.7").confidence == pytest.approx(0.7)


def test_of_a_router_only_the_branch_must_be_right(load):
    nodes = """
route: {model: route}
banking: {model: banking, when: {route.label: [banking, complaint]}}
"""
    workflow = load(nodes, "{first: [banking, route]}")
    # Of the other half of the probability, each of the two other labels has a quarter.
    assert workflow.predict("banking=0.5 lost_card=0.8").confidence == pytest.approx(0.75 * 0.8)


def test_a_node_that_two_conditions_lean_on_counts_once(load):
    nodes = """
route: {model: route}
banking: {model: banking, when: {route.label: [banking, complaint]}}
complaints: {model: complaints, when: {route.label: {not_in: [weather]}, banking.label: lost_card}}
"""
    found = load(nodes, "complaints").predict("banking=0.5 lost_card=0.8 debt=0.6")
    assert found.confidence == pytest.approx(0.75 * 0.8 * 0.6)


def test_what_is_unsure_on_the_way_defers_the_whole(intake):
    router = intake.predict("banking?=0.4 lost_card=0.9")
    assert (router.answer, router.target, router.deferred) == (None, "route/banking", "unsure")
    branch = intake.predict("banking lost_card?=0.4")
    assert (branch.answer, branch.target) == (None, "banking/lost_card")


def test_where_no_output_ran_the_whole_defers_for_the_reason_of_what_it_waited_for(load):
    nodes = "route: {model: route}\nbanking: {model: banking, when: {route.label: banking}}"
    workflow = load(nodes, "banking")
    assert workflow.predict("banking? lost_card") == Prediction(None, deferred="unsure")
    assert workflow.predict("weather") == Prediction(None, deferred="out_of_scope")


def test_a_plainly_false_condition_goes_before_one_that_cannot_be_told(load):
    nodes = """
route: {model: route}
complaints: {model: complaints}
banking: {model: banking, when: {complaints.label: debt, route.label: banking}}
"""
    workflow = load(nodes, "banking")
    assert workflow.predict("banking mortgage? lost_card").deferred == "unsure"
    assert workflow.predict("weather mortgage?").deferred == "out_of_scope"


def test_conditions_on_deferral_confidence_and_guess(load):
    nodes = """
route: {model: route}
second: {model: banking, when: {route.deferred: true}}
third: {model: complaints, when: {route.confidence: {at_least: 0.5, below: 0.8}}}
fourth: {model: tags, when: {route.guess: weather}}
"""
    traces = load(nodes, "{first: [second, third, fourth, route]}").run(
        ["banking?=0.9 lost_card=0.7", "banking=0.79 debt", "banking=0.8", "weather?=0.9 angry"]
    )
    assert [[node.node for node in trace.path if node.ran][1:] for trace in traces] == [
        ["second"],
        ["third"],
        [],
        ["second", "fourth"],
    ]
    # A second opinion does not lean on the first: the confidence is its own.
    assert traces[0].prediction.confidence == pytest.approx(0.7)


def test_a_condition_on_one_of_several_labels(load):
    nodes = "tags: {model: tags}\nbanking: {model: banking, when: {tags.labels: {has: urgent}}}"
    workflow = load(nodes, "{first: [banking, tags]}")
    assert workflow.multilabel
    urgent, calm = workflow.predict(["urgent angry lost_card=0.5", "angry=0.9"])
    assert (urgent.target, calm.target) == (("lost_card",), ("angry",))


def test_each_clause_is_answered_and_the_answers_joined(load, predictors):
    nodes = """
clauses: {step: split_clauses}
each: {model: complaints, map: clauses}
all: {step: union, input: each}
"""
    workflow = load(nodes, "all")
    found, single = workflow.predict(
        ["debt=0.9 first. mortgage=0.5 then; debt=0.8.", "mortgage=0.7"]
    )
    assert found.target == ("debt", "mortgage")
    assert found.confidence == pytest.approx(0.9 * 0.5 * 0.8)
    assert found.scores["mortgage"] == pytest.approx(0.5)
    assert single.target == ("mortgage",)
    assert len(predictors["complaints"].calls) == 1  # every clause of every input in one call
    assert workflow.predict("debt. mortgage?").deferred == "unsure"


def test_every_model_sees_all_its_inputs_of_a_batch_in_one_call(intake, predictors):
    intake.predict(["banking lost_card", "weather", "complaint debt", "banking"])
    assert predictors["route"].calls == [
        ["banking lost_card", "weather", "complaint debt", "banking"]
    ]
    assert predictors["banking"].calls == [["banking lost_card", "banking"]]
    assert predictors["complaints"].calls == [["complaint debt"]]
    assert list(intake.stream(iter(["weather"] * 130)))[129].answer == "route/weather"
    assert len(predictors["route"].calls) == 4  # 130 inputs in batches of 64


def test_a_branch_that_nothing_reaches_is_not_asked(intake, predictors):
    intake.predict("weather")
    assert predictors["banking"].calls == []


def test_the_surest_of_several_answers(load):
    nodes = """
banking: {model: banking}
complaints: {model: complaints}
best: {step: surest, input: [banking, complaints]}
"""
    workflow = load(nodes, "best")
    assert workflow.predict("lost_card=0.6 debt=0.8").answer == "debt"
    assert workflow.predict("lost_card=0.6 debt?=0.8").answer == "lost_card"
    assert workflow.predict("lost_card=0.6 debt=0.8").confidence == pytest.approx(0.8)


def test_one_label_and_several_make_several(load):
    nodes = "tags: {model: tags}\nroute: {model: route}\nbest: {step: surest, input: [tags, route]}"
    workflow = load(nodes, "best")
    assert workflow.multilabel
    assert workflow.predict("weather=0.95 angry=0.7").target == ("weather",)
    assert workflow.predict("weather=0.5 angry=0.7 urgent").target == ("angry", "urgent")


def test_a_text_of_the_input_can_be_a_condition(load):
    more = "columns: {input: [channel, body]}\n"
    nodes = "a: {model: route, input: input.body, when: {input.channel: [mail, chat]}}"
    workflow = load(nodes, "a", more)
    assert workflow.predict({"channel": "mail", "body": "weather"}).answer == "weather"
    assert workflow.predict({"channel": "phone", "body": "weather"}).deferred == "out_of_scope"
    assert workflow.predict({"body": "weather"}).answer is None


def test_named_fields_reach_a_model_in_its_own_order(load, predictors):
    from types import SimpleNamespace

    seen = []
    predictors["letters"] = SimpleNamespace(
        labels=("yes", "no"),
        predict=lambda inputs: seen.extend(inputs) or [Prediction("yes", 0.9) for _ in inputs],
    )
    more = "columns: {input: [body, subject]}\n"
    nodes = """
same: {model: letters, input: {body: input.body, subject: input.subject}}
text: {step: join, input: {a: input.subject, b: input.body}, separator: " / "}
route: {model: route, input: text, when: {same.label: 'yes'}}
"""
    workflow = load(nodes, "route", more)
    found = workflow.predict({"body": "weather", "subject": "hello", "extra": "x"})
    assert found.answer == "weather"
    assert list(seen[0].items()) == [("subject", "hello"), ("body", "weather")]
    assert predictors["route"].calls == [["hello / weather"]]
    with pytest.raises(DataError, match="reads the fields body, subject"):
        workflow.predict("a text")
    with pytest.raises(DataError, match="not int"):
        workflow.predict([5])  # type: ignore[list-item]


def test_a_picked_field_and_a_reference_are_the_same(load, predictors):
    nodes = """
route: {model: route}
label: {step: pick, field: label, input: route}
one: {model: banking, input: label}
two: {model: complaints, input: route.label}
"""
    load(nodes, "{first: [one, two]}").predict("weather")
    assert predictors["banking"].calls == predictors["complaints"].calls == [["weather"]]


def test_a_workflow_is_a_part_of_another(load, write):
    inner = "route: {model: route}\nbanking: {model: banking, when: {route.label: banking}}"
    write(inner, "{first: [banking, route]}", name="inner")
    nodes = "a: {workflow: inner.yaml}\nb: {model: complaints, when: {a.label: complaint}}"
    workflow = load(nodes, "{first: [b, a], prefix: true}")
    found = workflow.predict(["banking=0.75 lost_card=0.8", "complaint debt", "banking? x"])
    assert [answer.answer for answer in found] == ["a/lost_card", "b/debt", None]
    assert found[0].confidence == pytest.approx(0.6)
    assert found[2].deferred == "unsure"
    names = ["workflow.yaml", "inner.yaml", "route", "banking", "complaints"]
    assert [path.name for path in workflow.paths] == names


def test_what_was_cut_anywhere_on_the_way_is_flagged(intake):
    assert intake.predict("banking lost_card cut").truncated
    assert not intake.predict("banking lost_card").truncated


def test_the_facts_that_evaluation_and_the_server_need(intake, cards):
    assert intake.card["task"]["columns"]["input"] == "text"
    assert intake.card["task"]["out_of_scope"] == "oos"
    assert intake.name == "workflow"
    assert len(intake.version) == 12
    parts = [cards / name for name in ("workflow.yaml", "route", "banking", "complaints")]
    assert sorted(intake.paths) == sorted(parts)
    assert not intake.multilabel


def test_a_model_that_changed_since_it_was_checked_is_refused(write, predictors):
    path = write("route: {model: route}", "route")
    with pytest.raises(ModelError, match="labels are not those"):
        Workflow.load(path, load_model=lambda _: predictors["banking"])


def test_a_teacher_answers_where_one_can_be_asked(load, write, cards, predictors):
    (cards / "gold.jsonl").write_text('{"text": "x", "label": "debt"}\n')
    (cards / "answers.jsonl").write_text('{"text": "x", "label": "debt"}\n')
    (cards / "task.yaml").write_text(
        "kind: task\nversion: 1\nname: complaints\ntype: classification\n"
        "labels: [debt, mortgage]\ndata: {gold: gold.jsonl}\nteacher: {answers: answers.jsonl}\n"
    )
    nodes = "route: {model: route}\nasked: {teacher: task.yaml, when: {route.deferred: true}}"
    workflow = load(nodes, "{first: [asked, route]}")
    assert workflow.predict("weather? mortgage").answer == "mortgage"
    [trace] = workflow.run(["weather? mortgage"])
    assert trace.usd is None  # nobody said what its answers cost, and unknown is not zero
    assert workflow.run(["weather"])[0].usd == 0.0
    with pytest.raises(SpecError, match="none can be asked here"):
        Workflow.load(write(nodes, "asked"), load_model=lambda folder: predictors[folder.name])


def test_closing_a_workflow_closes_its_parts_once_each_way_down(load, write, predictors):
    closed = []
    predictors["route"].close = lambda: closed.append("route")
    write("route: {model: route}", "route", name="inner")
    load("a: {workflow: inner.yaml}\nb: {model: banking}", "{first: [b, a]}").close()
    assert closed == ["route"]


def test_less_than_one_worker_is_refused(write):
    with pytest.raises(ValueError, match="at least 1"):
        Workflow.load(write("route: {model: route}", "route"), workers=0)
