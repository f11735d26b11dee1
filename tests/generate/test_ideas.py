from __future__ import annotations

import json

import jsonschema
from scripted import Scripted, label_asked, make_spec, make_task, outcome

from potstill.generate.ideas import invent_ideas

TEACHER = make_task().teacher


def lists(request):
    """Ten subjects a request, one of them the same in every list; rivals for each label."""
    name, _, rest = request.id.partition(":")
    if name == "rivals":
        value = {"labels": request.schema["properties"]["labels"]["items"]["enum"][:1]}
    else:
        key = "people" if name == "personas" else "situations"
        items = [f"{rest} item {number}" for number in range(7)]
        value = {key: [*items, "The Usual One."]}
    jsonschema.validate(value, dict(request.schema))
    return value


def test_everything_is_invented_from_the_description():
    asker = Scripted(lists, disorder=3)
    ideas, rejected = invent_ideas(asker, make_task(), make_spec(), teacher=TEACHER)
    assert rejected == []
    assert ideas.personas[:2] == ("0 item 0", "0 item 1")
    assert len(ideas.personas) == 15
    assert set(ideas.situations) == {"card", "loan", "account_closed"}
    assert ideas.situations["loan"][:2] == ("1:0 item 0", "1:0 item 1")
    assert ideas.situations["loan"].count("The Usual One") == 1
    assert ideas.rivals == {"card": ("loan",), "loan": ("card",), "account_closed": ("card",)}


def test_the_order_of_replies_does_not_matter():
    found = [
        invent_ideas(Scripted(lists, disorder=seed), make_task(), make_spec(), teacher=TEACHER)[0]
        for seed in (1, 2)
    ]
    assert found[0] == found[1]


def test_what_is_given_is_not_asked_for():
    asker = Scripted(lists)
    spec = make_spec(personas=["a nurse"])
    ideas, _ = invent_ideas(
        asker, make_task(), spec, teacher=TEACHER, rivals={"card": ("account_closed",)}
    )
    assert ideas.personas == ("a nurse",)
    assert ideas.rivals == {"card": ("account_closed",)}
    assert {request.id.partition(":")[0] for request in asker.seen} == {"situations"}


def test_no_rival_is_asked_for_without_borders():
    asker = Scripted(lists)
    invent_ideas(asker, make_task(), make_spec(hard_fraction=0.0), teacher=TEACHER)
    assert not any(request.id.startswith("rivals") for request in asker.seen)


def test_a_larger_target_asks_for_more_situations():
    def requests(target):
        asker = Scripted(lists)
        invent_ideas(asker, make_task(), make_spec(target=target), teacher=TEACHER)
        return [r for r in asker.seen if r.id.startswith("situations:0:")]

    few, many = requests(30), requests(1200)
    assert (len(few), len(many)) == (2, 7)
    assert len({request.key("x") for request in many}) == 7
    assert len(requests(10**6)) == 8


def test_a_label_with_a_colon_takes_no_other_labels_lists():
    task = make_task(labels=["a", "a:0", "b"])
    ideas, _ = invent_ideas(Scripted(lists), task, make_spec(), teacher=TEACHER)
    assert not set(ideas.situations["a"]) & set(ideas.situations["a:0"]) - {"The Usual One"}


def test_a_failed_request_leaves_its_attribute_open():
    def reply(request):
        if request.id.startswith(("personas", "rivals:0", "situations:1")):
            return outcome(request, fault="invalid_json", detail="no JSON", cost_usd=0.5)
        return lists(request)

    ideas, rejected = invent_ideas(Scripted(reply), make_task(), make_spec(), teacher=TEACHER)
    assert ideas.personas == ()
    assert ideas.situations["loan"] == ()
    assert ideas.rivals["card"] == ()
    assert [r.id for r in rejected] == [
        "personas:0",
        "personas:1",
        "situations:1:0",
        "situations:1:1",
        "rivals:0",
    ]
    assert {(r.stage, r.cause, r.cost_usd) for r in rejected} == {("ideas", "invalid_json", 0.5)}


def test_subjects_copied_from_the_demonstration_are_dropped():
    def copies(request):
        if request.id.startswith("situations"):
            before = json.loads(request.messages[2]["content"])["situations"]
            return {"situations": [*before[:7], "one of its own"]}
        return lists(request)

    ideas, _ = invent_ideas(Scripted(copies), make_task(), make_spec(), teacher=TEACHER)
    assert ideas.situations["card"] == ("one of its own",)


def test_every_label_is_asked_about_by_name_and_description():
    asker = Scripted(lists)
    invent_ideas(asker, make_task(), make_spec(), teacher=TEACHER)
    asked = {label_asked(r) for r in asker.seen if r.id.startswith(("situations", "rivals"))}
    assert asked == {"card", "loan", "account_closed"}
