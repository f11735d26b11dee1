from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from scripted import Scripted, make_spec, make_task, outcome, says, wanted, writes

from potstill.data import Example, Rejection, Source
from potstill.generate import Labelled
from potstill.generate.grid import Cell, Ideas, plan_grid
from potstill.generate.synthesis import agreeing, synthesise
from potstill.generate.writer import Writer, Written

IDEAS = Ideas(
    situations={"card": tuple(f"matter {n}" for n in range(40))},
    rivals={"card": ("loan",), "loan": ("card",), "account_closed": ("card",)},
)


def written(key, target, cost=0.1):
    cell = Cell(target=target, style="chat", length="short", difficulty="plain")
    return Written(Example(id=key, input=f"text {key}", cost_usd=cost), cell)


def answered(text, target, cost=0.2):
    return replace(text.example, target=target, cost_usd=cost)


def first_word(examples):
    """An answering pass that reads the label off the first word of the text."""
    full = {label.split("_")[0]: label for label in make_task().labels}
    return Labelled(
        [replace(e, target=full[e.text.split()[0]], cost_usd=0.2) for e in examples], [], []
    )


def run(asker, answer=first_word, target=30):
    task, spec = make_task(), make_spec(target=target)
    writer = Writer(asker, task=task, spec=spec, teacher=task.teacher, seed=7)
    cells = plan_grid(task, spec, IDEAS, seed=7)
    return synthesise(cells, writer, answer, ideas=IDEAS, seed=7)


def test_only_what_was_meant_is_kept():
    one, two, three = (written(key, "card") for key in "abc")
    agreed = agreeing([one, two, three], [answered(two, "loan"), answered(one, "card")])
    assert [text.example.id for text in agreed.kept] == ["a"]
    kept = agreed.kept[0].example
    assert (kept.target, kept.cost_usd) == ("card", pytest.approx(0.3))
    assert kept.sources == (
        Source(
            kind="rule",
            name="answer equals intention",
            contributed=("verdict",),
            stage="synthesise",
        ),
    )
    (lost,) = agreed.rejected
    assert (lost.id, lost.stage, lost.cause) == ("b", "synthesise", "intended_otherwise")
    assert lost.detail == "written as 'card', answered as 'loan'"
    assert lost.cost_usd == pytest.approx(0.3)


def test_an_unknown_price_stays_unknown():
    one, two = written("a", "card", cost=None), written("b", "card")
    agreed = agreeing([one, two], [answered(one, "card"), answered(two, "card", cost=None)])
    assert [text.example.cost_usd for text in agreed.kept] == [None, None]


def test_sets_of_labels_agree_in_any_order_and_only_whole():
    texts = [written("a", ("card", "loan")), written("b", ("card", "loan")), written("c", ())]
    answers = [
        answered(texts[0], ("loan", "card")),
        answered(texts[1], ("loan",)),
        answered(texts[2], ()),
    ]
    agreed = agreeing(texts, answers)
    assert [text.example.id for text in agreed.kept] == ["a", "c"]
    assert agreed.rejected[0].detail == "written as 'card+loan', answered as 'loan'"


def test_one_round_is_enough_where_all_agree():
    found = run(Scripted(writes))
    assert len(found.examples) == 30
    assert Counter(example.target for example in found.examples) == dict.fromkeys(
        make_task().labels, 10
    )
    assert (found.rejected, found.warnings) == ([], ())
    assert found.requests == 12  # of each label one at a border, and three of 3, 3 and 1
    assert sum(row.kept for row in found.by_difficulty) == 30


def test_short_cells_are_asked_again_until_the_target():
    asker = Scripted(writes)

    def fickle(examples):
        answers = first_word(examples)
        wrong = [
            replace(e, target="loan" if e.target == "card" else "card") if place % 3 == 0 else e
            for place, e in enumerate(answers.examples)
        ]
        return Labelled(wrong, [], [])

    found = run(asker, fickle)
    assert len(found.examples) >= 29
    assert Counter(r.cause for r in found.rejected) == {"intended_otherwise": len(found.rejected)}
    assert all(row.kept <= row.wanted for row in found.by_label)
    again = [r for r in asker.seen if "there already" in r.messages[-1]["content"]]
    assert len(again) == len(asker.seen) - 12
    assert found.to_json()["rows"] == len(found.examples)


def test_cells_that_are_asked_again_are_about_something_else():
    subjects = []

    def reply(request):
        lines = request.messages[-1]["content"].splitlines()
        subjects.append([line.partition("Subject: ")[2] for line in lines if "Subject" in line])
        if request.id == "synthesise:0":
            return outcome(request, fault="invalid_json", detail="no JSON")
        return writes(request)

    found = run(Scripted(reply))
    assert len(found.examples) == 30
    assert len(subjects) == 13
    assert subjects[0]
    assert len(subjects[-1]) == len(subjects[0])
    assert subjects[-1] != subjects[0]


def test_a_teacher_that_never_agrees_ends_within_the_bound():
    def contrary(examples):
        return Labelled(
            [
                replace(e, target="loan" if e.target != "loan" else "card")
                for e in first_word(examples).examples
            ],
            [],
            [],
        )

    asker = Scripted(writes)
    found = run(asker, contrary)
    assert found.examples == []
    # Ten texts of a label without one that is confirmed end it.
    assert len(found.rejected) == 30
    assert len(found.warnings) == 3
    assert "0 of 10 rows for 'card'" in found.warnings[0]


def test_what_is_asked_for_is_bounded():
    asked = []

    def reply(request):
        asked.append(wanted(request))
        return says(request, *["card always the same words here"] * 3)

    found = run(Scripted(reply))
    assert 60 < sum(asked) <= 90
    assert len(found.examples) <= 1
    assert Counter(r.cause for r in found.rejected)["duplicate"] == sum(asked) - 1


def test_rows_that_the_answering_pass_lost_are_reported_with_its_own_cause():
    def lossy(examples):
        answers = first_word(examples)
        if len(examples) < 30:
            return answers
        gone = Rejection(id=examples[0].id, stage="label", cause="cut_off", detail="cut")
        return Labelled(answers.examples[1:], [gone], [])

    found = run(Scripted(writes), lossy)
    assert {r.cause for r in found.rejected} == {"cut_off"}
    assert len(found.examples) == 30


def test_labels_that_come_out_short_are_named():
    def no_loans(examples):
        answers = first_word(examples).examples
        return Labelled(
            [replace(e, target="card") if e.target == "loan" else e for e in answers], [], []
        )

    found = run(Scripted(writes), no_loans)
    assert [row.kept for row in found.by_label] == [10, 0, 10]
    assert len(found.warnings) == 1
    assert "'loan'" in found.warnings[0]


def test_the_answering_pass_sees_inputs_alone():
    seen = []

    def spying(examples):
        seen.extend(examples)
        return first_word(examples)

    run(Scripted(writes), spying)
    assert {example.target for example in seen} == {None}
    assert not any("account_closed" in str(example.to_json()) for example in seen)


def test_a_run_that_goes_on_asks_the_very_same_and_pays_nothing(tmp_path):
    import json

    from potstill.spec.teacher import Price
    from potstill.teacher.engine import Engine
    from potstill.teacher.ledger import Ledger
    from stub_teacher import StubTeacher, reply

    def fickle(examples):
        answers = first_word(examples).examples
        wrong = [replace(e, target="loan") if "word7" in e.text else e for e in answers]
        return Labelled(wrong, [], [])

    def once():
        teacher = StubTeacher(lambda request: reply(json.dumps(writes(request))))
        price = Price(input_usd_per_million=1.0, output_usd_per_million=2.0)
        with (
            Ledger.open(tmp_path / "ledger.sqlite") as ledger,
            Engine(teacher, ledger, price=price) as engine,
        ):
            found = run(engine, fickle)
        return len(teacher.calls), found

    calls, first = once()
    assert calls == first.requests > 12
    again, second = once()
    assert again == 0
    assert [e.to_json() for e in second.examples] == [e.to_json() for e in first.examples]
