from __future__ import annotations

import json
import math

import numpy as np
import pytest
from labeller import (
    LABELS,
    Labeller,
    about,
    embed,
    failed,
    make_rows,
    make_task,
    offered,
    outcome,
    text_asked,
)

from potstill.errors import BudgetReached, TeacherError
from potstill.generate import label_examples
from potstill.generate.asking import ask_examples
from potstill.generate.fusion import Fusion
from potstill.generate.method import Method
from potstill.generate.retrieval import Shown
from potstill.teacher import RecordedAnswers
from potstill.teacher.request import Reply

GOLD = make_rows(24, prefix="g")


def right(request):
    return {"label": about(text_asked(request))}


def ask(rows, asker, method=None, *, task=None, shown=None, **given):
    task = task or make_task()
    shown = shown or Shown.of(task, GOLD, embed=embed, name="words")
    return list(
        ask_examples(rows, asker, task=task, method=method or Method(), shown=shown, **given)
    )


def load(folder, answers, *, multilabel=False):
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in answers))
    return RecordedAnswers.load([path], labels=LABELS, multilabel=multilabel, terms="oracle-terms")


def test_what_is_asked_is_what_recorded_answers_read(tmp_path):
    rows = make_rows(12, gold=False)
    answers = load(tmp_path, ask(rows, Labeller(right, disorder=1)))
    assert answers.problems == () and answers.teachers == ("oracle-1",)
    labelled = label_examples(rows, answers)
    assert [e.target for e in labelled.examples] == [about(row.text) for row in rows]
    assert not labelled.rejected
    (source,) = labelled.examples[3].sources
    assert (source.kind, source.name, source.revision) == ("model", "oracle-1", "oracle-1-0528")
    assert (source.endpoint, source.request, source.terms) == (
        "api.example.com",
        "r3/0",
        "oracle-terms",
    )
    (answer,) = answers.of(rows[3])
    assert (answer.cost_usd, answer.seconds, answer.prompt_tokens) == (0.25, 2.0, 50)


def test_the_prefix_is_the_same_for_all_rows_and_holds_none_of_theirs():
    asker = Labeller(right)
    ask(make_rows(300, gold=False), asker, Method(examples=24, shortlist=2))
    assert len({request.messages[0]["content"] for request in asker.seen}) == 1
    system = asker.seen[0].messages[0]["content"]
    assert all(example.text in system for example in GOLD)
    assert {request.messages[1]["content"] for request in asker.seen} == {
        row.text for row in make_rows(300, gold=False)
    }
    assert all(request.temperature == 0.0 and request.purpose == "label" for request in asker.seen)


def test_a_shortlist_is_the_enumeration_likeliest_first():
    asker = Labeller(right)
    ask(make_rows(40, gold=False), asker, Method(shortlist=2))
    for request in asker.seen:
        assert len(offered(request)) == 2
        assert offered(request)[0] == about(text_asked(request))
    bare = Labeller(right)
    ask(make_rows(1), bare)
    assert offered(bare.seen[0]) == list(LABELS)


def test_examples_that_are_too_many_for_the_prefix_stand_beside_the_question():
    asker = Labeller(right)
    ask(make_rows(5, gold=False), asker, Method(examples=3))
    for request in asker.seen:
        said = request.messages[1]["content"].splitlines()
        assert sum(" -> " in line for line in said) == 3
        assert said[3].endswith(f" -> {about(text_asked(request))}")
        assert '"' not in request.messages[0]["content"].partition("Answer with")[0]


def test_every_vote_is_a_row_and_a_part_of_the_soft_label(tmp_path):
    def wavering(request):
        return {"label": "loan" if request.sample == 1 else about(text_asked(request))}

    rows = make_rows(20, gold=False)
    asker = Labeller(wavering, window=7, disorder=3)
    found = ask(rows, asker, Method(votes=3))
    assert {request.temperature for request in asker.seen} == {0.7}
    assert [row["id"] for row in found[::3]] == [row["id"] for row in found[2::3]]
    assert sorted(row["request"] for row in found) == sorted(
        f"{row.id}/{vote}" for row in rows for vote in range(3)
    )
    labelled = label_examples(rows, load(tmp_path, found))
    for example in labelled.examples:
        share = 1.0 if about(example.text) == "loan" else 1 / 3
        assert example.soft_target["loan"] == pytest.approx(share)
        assert example.cost_usd == 0.75


def test_a_thought_is_kept_with_its_answer(tmp_path):
    def thoughtful(request):
        return {"thought": f"It says {text_asked(request)}.", **right(request)}

    asker = Labeller(thoughtful)
    rows = make_rows(4, gold=False)
    found = ask(rows, asker, Method(reasoning=True))
    assert list(asker.seen[0].schema["properties"]) == ["thought", "label"]
    labelled = label_examples(rows, load(tmp_path, found))
    assert [e.reasoning for e in labelled.examples] == [f"It says {row.text}." for row in rows]
    assert labelled.examples[0].sources[0].contributed == ("target", "reasoning")


def test_a_model_that_thinks_by_itself_is_not_asked_to():
    def thinks(request):
        reply = Reply(text=json.dumps(right(request)), thought="Hm, so.")
        return outcome(request, right(request), reply=reply)

    asker = Labeller(thinks)
    (row,) = ask(make_rows(1), asker, Method(reasoning=True), thinks=True)
    assert list(asker.seen[0].schema["properties"]) == ["label"]
    assert (row["reasoning"], "revision" in row, "prompt_tokens" in row) == (
        "Hm, so.",
        False,
        False,
    )


def with_logprobs(request, label, share):
    """A reply whose log-probabilities give the label a share and its neighbour the rest."""
    other = LABELS[(LABELS.index(label) + 1) % 4]
    marks = (
        {'{"label":"': 0.0},
        {f'{label}"': math.log(share), f'{other}"': math.log(1 - share)},
        {"}": 0.0},
    )
    reply = Reply(text=json.dumps({"label": label}, separators=(",", ":")), logprobs=marks)
    return outcome(request, {"label": label}, reply=reply)


def test_log_probabilities_become_soft_labels(tmp_path):
    asker = Labeller(lambda request: with_logprobs(request, about(text_asked(request)), 0.8))
    rows = make_rows(8, gold=False)
    found = ask(rows, asker)
    assert {request.logprobs for request in asker.seen} == {20}
    labelled = label_examples(rows, load(tmp_path, found))
    for example in labelled.examples:
        assert example.soft_target[example.target] == pytest.approx(0.8, abs=1e-4)
        assert sum(example.soft_target.values()) == pytest.approx(1.0)
    hard = Labeller(right)
    ask(rows, hard, task=make_task(teacher={"soft_labels": False}))
    assert {request.logprobs for request in hard.seen} == {0}


def test_fusion_joins_all_votes_with_the_nearest_gold(tmp_path):
    def wrong(request):
        return with_logprobs(request, "account", 0.6 if request.sample else 0.9)

    task = make_task()
    shown = Shown.of(task, GOLD, embed=embed, name="words")
    fusion = Fusion("nearest gold by words", LABELS, 1.0, 30.0, 0.5)
    rows = make_rows(8, gold=False)
    found = ask(rows, Labeller(wrong, disorder=5), Method(votes=2), shown=shown, fusion=fusion)
    assert {row["label"] for row in found} == {"account"}
    labelled = label_examples(rows, load(tmp_path, found))
    scores = shown.index.scores_of(rows)
    for example, score in zip(labelled.examples, scores, strict=True):
        expected = fusion.join({"account": 0.75, "card": 0.25}, score)
        assert example.soft_target == pytest.approx(expected, abs=2e-4)
        assert example.target == about(example.text)
        last = example.sources[-1]
        assert (last.kind, last.name, last.contributed) == ("rule", fusion.name, ("target",))


def test_failures_are_rows_with_their_cause_and_their_price(tmp_path):
    def unsteady(request):
        number = int(request.id[1:])
        if number == 1:
            return failed(request, "timed_out", cost_usd=None)
        if number == 2:
            return failed(request, "cut_off", cost_usd=0.5)
        if number == 3 and request.sample == 0:
            return failed(request, "outside_schema")
        return right(request)

    rows = make_rows(5, gold=False)
    found = ask(rows, Labeller(unsteady, disorder=2), Method(votes=2))
    assert len(found) == 10
    labelled = label_examples(rows, load(tmp_path, found))
    assert [example.id for example in labelled.examples] == ["r0", "r3", "r4"]
    assert {(r.id, r.cause, r.detail, r.cost_usd) for r in labelled.rejected} == {
        ("r1", "timed_out", "it was timed_out", None),
        ("r2", "cut_off", "it was cut_off", 1.0),
    }


def test_multilabel_answers_are_lists(tmp_path):
    task = make_task(type="multilabel")
    sets = [["card", "loan"], [], ["account"]]
    asker = Labeller(lambda request: {"labels": sets[int(request.id[1:]) % 3]})
    rows = make_rows(6, gold=False)
    found = ask(rows, asker, Method(votes=2), task=task)
    assert {request.logprobs for request in asker.seen} == {0}
    answers = load(tmp_path, found, multilabel=True)
    labelled = label_examples(rows, answers)
    assert [e.target for e in labelled.examples] == [tuple(sets[n % 3]) for n in range(6)]


def test_rows_are_drawn_no_further_ahead_than_a_chunk():
    drawn = 0

    def source():
        nonlocal drawn
        for row in make_rows(2000, gold=False):
            drawn += 1
            yield row

    task, shown = make_task(), Shown.of(make_task(), GOLD, embed=embed)
    answers = ask_examples(
        source(), Labeller(right, disorder=1), task=task, method=Method(votes=2), shown=shown
    )
    for number, _ in enumerate(answers):
        assert drawn * 2 <= number + 2 * (256 + 16)
    assert (number, drawn) == (3999, 2000)


def test_what_stops_the_asker_stops_asking():
    def broke(request):
        if request.id == "r3":
            raise BudgetReached("the next call could pass the cap")
        return right(request)

    found = ask_examples(
        make_rows(9), Labeller(broke), task=make_task(), method=Method(), shown=Shown()
    )
    assert [next(found)["id"] for _ in range(3)] == ["r0", "r1", "r2"]
    with pytest.raises(BudgetReached):
        next(found)


def test_a_shortlist_without_an_embedding_is_an_error():
    with pytest.raises(TeacherError, match="needs an embedding"):
        ask(make_rows(1), Labeller(right), Method(shortlist=2), shown=Shown.of(make_task(), GOLD))


def test_inputs_with_fields_are_found_by_their_ids(tmp_path):
    from dataclasses import replace

    rows = [replace(row, input={"subject": "hi", "body": row.text}) for row in make_rows(3)]
    found = ask(rows, Labeller(lambda request: {"label": about(request.messages[1]["content"])}))
    assert "text" not in found[0]
    labelled = label_examples(rows, load(tmp_path, found))
    assert [e.target for e in labelled.examples] == [about(row.text) for row in rows]
    assert np.isfinite(labelled.examples[0].cost_usd)
