from __future__ import annotations

import json
import random
from dataclasses import replace

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

from potstill.data import Example
from potstill.errors import TeacherError
from potstill.generate.audition import audition
from potstill.generate.method import Method
from potstill.generate.retrieval import Shown
from potstill.generate.trial import Share
from potstill.teacher.request import Reply

GOLD = make_rows(48, prefix="g")
DEV = make_rows(60, prefix="d")


def skilled(share, *, usd=0.1, wavers=False):
    """A teacher that is right on a share of the rows, and misreads the same rows every time.

    Args:
        share: a number, or a function of what was asked.
        usd: price of a request, likewise.
        wavers: whether each vote is right or wrong for itself.
    """

    def answer(request):
        right = about(text_asked(request))
        odds = share(request) if callable(share) else share
        key = text_asked(request) + (str(request.sample) if wavers else "")
        if random.Random(key).random() < odds:
            label = right
        else:
            label = random.Random(key + "!").choice([x for x in LABELS if x != right])
        value = {"label": label if label in offered(request) else offered(request)[0]}
        if thought_asked(request):
            value = {"thought": "So.", **value}
        price = usd(request) if callable(usd) else usd
        return outcome(request, value, cost_usd=price)

    return answer


def thought_asked(request):
    return "thought" in request.schema["properties"]


def examples_shown(request):
    return any(f'"{row.text}"' in request.messages[0]["content"] for row in GOLD)


def shown(gold=GOLD, task=None):
    return Shown.of(task or make_task(), gold, embed=embed, name="words")


def unembedded(gold=GOLD):
    return Shown.of(make_task(), gold)


def names(found):
    return [trial.method.name for trial in found.trials]


def test_the_method_that_is_right_more_often_is_taken():
    asker = Labeller(skilled(lambda r: 0.95 if examples_shown(r) else 0.5), disorder=1)
    found = audition(make_task(), asker, shown=unembedded(), dev=DEV)
    assert found.method == Method(examples=48)
    assert names(found) == [
        "bare",
        "48 examples",
        "48 examples + reasoning",
        "48 examples + reasoning + 3 votes",
    ]
    by_name = {trial.method.name: trial for trial in found.trials}
    assert by_name["bare"].right.mean() < 0.7 < 0.85 < by_name["48 examples"].right.mean()
    assert found.chosen is by_name["48 examples"]
    assert (found.rows, found.split, found.majority) == (60, "dev", 0.25)
    assert {request.purpose for request in asker.seen} == {"audition"}
    assert found.fusion is None and found.warnings == ()


def test_of_methods_within_noise_the_cheapest_is_taken():
    asker = Labeller(skilled(0.9, usd=lambda r: 0.5 if examples_shown(r) else 0.1))
    found = audition(make_task(), asker, shown=unembedded(), dev=DEV)
    assert found.method == Method()
    by_name = {trial.method.name: trial for trial in found.trials}
    assert by_name["bare"].usd == pytest.approx(0.1)
    assert by_name["48 examples"].usd == pytest.approx(0.5)


def test_where_nothing_is_paid_seconds_decide():
    def slow(request):
        value = skilled(0.9)(request)
        return replace(value, cost_usd=0.0, seconds=1.0 if examples_shown(request) else 3.0)

    found = audition(make_task(), Labeller(slow), shown=unembedded(), dev=DEV)
    assert found.method == Method(examples=48)


def test_reasoning_and_votes_are_taken_where_they_pay():
    wise = skilled(lambda r: 0.7 if thought_asked(r) else 0.3, wavers=True)
    found = audition(make_task(), Labeller(wise), shown=unembedded(), dev=DEV)
    assert found.method.reasoning and found.method.votes == 3
    flips = {trial.method.votes: trial.flips for trial in found.trials}
    assert flips[1] is None and 0.3 < flips[3] < 0.9
    assert found.chosen.usd == pytest.approx(0.3)


def test_rows_of_the_training_gold_are_asked_without_themselves():
    def watched(request):
        system, text = request.messages[0]["content"], text_asked(request)
        assert f'"{text}"' not in system and f'"{text}" ->' not in request.messages[1]["content"]
        return skilled(0.9)(request)

    asker = Labeller(watched)
    found = audition(make_task(), asker, shown=shown())
    assert (found.rows, found.split) == (48, "train")
    prefixes = {
        r.messages[0]["content"] for r in asker.seen if examples_shown(r) and not thought_asked(r)
    }
    assert len(prefixes) == 2
    assert all(sum(row.text in prefix for row in GOLD) == 24 for prefix in prefixes)


def test_the_rows_are_a_sample_with_labels_in_proportion():
    asker = Labeller(skilled(0.9))
    many = [
        row for row in make_rows(800, prefix="d") if row.target != "loan" or row.id.endswith("2")
    ]
    task = make_task(teacher={"audition_rows": 40, "reasoning": False, "examples": 0})
    found = audition(task, asker, shown=unembedded(), dev=many)
    counts = [sum(row.target == label for row in many) / len(many) * 40 for label in LABELS]
    asked = [about(text_asked(r)) for r in asker.seen[3:]]
    assert found.rows == len(asked) == 40
    assert [asked.count(label) for label in LABELS] == pytest.approx(counts, abs=1.5)


def test_what_the_task_fixes_is_not_tried_otherwise():
    task = make_task(teacher={"reasoning": True, "votes": 2, "examples": 0, "shortlist": 2})
    found = audition(task, Labeller(skilled(0.9)), shown=shown(), dev=DEV)
    assert names(found) == ["shortlist of 2 + reasoning + 2 votes"]


def guess(texts):
    """Scores of eight labels of which the right one is among the four best, anywhere."""
    scores = []
    for text in texts:
        order = [label for label in LABELS if label != about(text)]
        order.insert(random.Random(text).randrange(4), about(text))
        scores.append([-float(order.index(label)) for label in LABELS] + [-9.0] * 4)
    return np.array(scores)


def blurred(texts):
    """An embedding that mistakes every other text for another."""
    return embed([text if sum(map(ord, text)) % 2 else "deposit" for text in texts])


def test_parents_that_clearly_lost_have_no_children():
    spoilt = skilled(lambda r: 0.3 if examples_shown(r) else 0.9)
    task = make_task(
        labels=dict.fromkeys([*LABELS, *(f"never {n}" for n in range(4))]),
        teacher={"reasoning": False, "votes": 1},
    )
    vague = Shown.of(task, GOLD, embed=blurred, rank=guess)
    found = audition(task, Labeller(spoilt), shown=vague, dev=DEV)
    assert names(found) == ["bare", "shortlist of 4", "48 examples"]
    kind = skilled(0.9)
    found = audition(task, Labeller(kind), shown=vague, dev=DEV)
    assert names(found)[3] == "48 examples + shortlist of 4"


def test_a_teacher_no_better_than_the_most_frequent_answer_stops_the_run():
    with pytest.raises(TeacherError, match=r"oracle-1 is right on \d+% of 60 gold rows") as caught:
        audition(make_task(), Labeller(skilled(0.25)), shown=shown(), dev=DEV)
    assert "the most frequent answer alone on 25%" in str(caught.value)
    with pytest.raises(TeacherError, match="'min_accuracy' of 90%"):
        task = make_task(teacher={"min_accuracy": 0.9})
        audition(task, Labeller(skilled(0.6)), shown=unembedded(), dev=DEV)
    task = make_task(teacher={"min_accuracy": 0.1})
    assert audition(task, Labeller(skilled(0.25)), shown=unembedded(), dev=DEV).trials


def test_a_teacher_without_usable_answers_stops_after_one_trial():
    asker = Labeller(lambda request: failed(request, "outside_schema"))
    with pytest.raises(
        TeacherError, match="no usable answer to any of 60 gold rows: it was outside"
    ):
        audition(make_task(), asker, shown=shown(), dev=DEV)
    assert len(asker.seen) == 63


def test_a_teacher_that_is_always_right_is_not_tried_further():
    found = audition(make_task(), Labeller(skilled(1.0)), shown=unembedded(), dev=DEV)
    assert names(found) == ["bare"] and found.method == Method()


def test_some_rows_without_an_answer_count_as_wrong():
    def unsteady(request):
        return failed(request, "timed_out") if request.id.endswith("0") else skilled(1.0)(request)

    task = make_task(teacher={"reasoning": False, "examples": 0, "votes": 1})
    found = audition(task, Labeller(unsteady), shown=unembedded(), dev=DEV)
    (trial,) = found.trials
    assert trial.unanswered == pytest.approx(0.1) and trial.right.mean() == pytest.approx(0.9)


def test_a_model_that_thinks_is_found_out_and_not_asked_to():
    def thinking(request):
        known = skilled(0.9)(request)
        return replace(known, reply=Reply(text=json.dumps(known.value), thought="Hm."))

    asker = Labeller(thinking)
    task = make_task(teacher={"reasoning": False})
    found = audition(task, asker, shown=unembedded(), dev=DEV)
    assert found.thinks and found.method.reasoning
    assert not any(map(thought_asked, asker.seen))
    assert "although the task says 'reasoning: false'" in found.warnings[0]


def test_without_gold_the_method_follows_a_rule_and_nobody_is_asked():
    asker = Labeller(skilled(1.0))
    found = audition(make_task(), asker, shown=Shown())
    assert (found.method, found.trials, asker.seen) == (Method(), (), [])
    assert found.warnings[0].startswith("no gold row is there to try the teacher on")
    few = audition(make_task(teacher={"votes": 3}), asker, shown=unembedded(GOLD[:5]))
    assert few.method == Method(examples=5, votes=3)
    assert few.warnings[0].startswith("only 5 gold rows are there")
    json.dumps(few.to_json())


def test_the_nearest_gold_lifts_a_weak_teacher():
    found = audition(make_task(), Labeller(skilled(0.5), disorder=4), shown=shown(), dev=DEV)
    trial = found.chosen
    assert trial.fused.pays and found.fusion is trial.fused.fusion
    assert found.fusion.name == "nearest gold by words"
    assert trial.fused.right.mean() > trial.right.mean() + 0.2
    assert trial.fused.loss.mean() < trial.fused.teacher_loss
    assert found.nearest > 0.9
    assert "the nearest gold examples without any teacher on" in found.warnings[0]
    known = json.loads(json.dumps(found.to_json()))
    assert known["trials"][0]["fused"]["accuracy"]["low"] < trial.fused.right.mean()
    assert known["fusion"]["nearness"] > 0


def test_a_useless_embedding_is_not_joined():
    def blind(texts):
        return np.array(
            [np.random.default_rng(len(t) * 7 + ord(t[0])).normal(size=8) for t in texts]
        )

    shown = Shown.of(make_task(), GOLD, embed=blind)
    found = audition(make_task(), Labeller(skilled(0.97)), shown=shown, dev=DEV)
    joined = found.chosen.fused
    assert joined.right.mean() == pytest.approx(found.chosen.right.mean(), abs=0.05)
    assert joined.loss.mean() < joined.nearest_loss - 0.5


def test_multilabel_methods_are_compared_by_f1():
    sets = [("card",), ("card",), ("card", "loan"), ()]
    task = make_task(type="multilabel", teacher={"reasoning": False, "votes": 1})
    dev = [Example(id=f"d{n}", input=f"text {n}", target=sets[n % 4]) for n in range(48)]
    asker = Labeller(lambda request: {"labels": ["card"]})
    with pytest.raises(TeacherError, match="most frequent answer"):
        audition(task, asker, shown=Shown(), dev=dev)
    asker = Labeller(lambda request: {"labels": ["card"] if int(request.id[1:]) % 4 < 3 else []})
    (trial,) = audition(task, asker, shown=Shown(), dev=dev).trials
    assert sorted(set(trial.right.round(3))) == [0.667, 1.0]
    assert trial.fused is None


def test_wilson_interval():
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263.
    share = Share.of(np.array([1.0] * 81 + [0.0] * 182))
    assert (share.low, share.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    none = Share.of(np.zeros(29))
    assert (none.low, none.high) == pytest.approx((0.0, 0.1170), abs=5e-5)
