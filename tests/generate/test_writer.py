from __future__ import annotations

from collections import Counter

import pytest
from scripted import Scripted, label_asked, make_spec, make_task, outcome, says, writes

from potstill.data import Example, Rejection, Source
from potstill.generate.grid import Ideas, plan_grid
from potstill.generate.writer import Writer, Written

IDEAS = Ideas(rivals={"card": ("loan",), "loan": ("card",), "account_closed": ("card",)})
GOLD = Source(kind="person", name="gold.jsonl", contributed=("input", "target"), stage="read")


def make_writer(asker, **given):
    known = {"task": make_task(), "spec": make_spec(), "seed": 7}
    known["teacher"] = known["task"].teacher
    return Writer(asker, **(known | given))


def cells_for(target=30, **given):
    return plan_grid(make_task(), make_spec(target=target, **given), IDEAS, seed=7)


def test_every_cell_becomes_a_text_with_its_lineage():
    cells = cells_for()
    found = list(make_writer(Scripted(writes)).write(cells))
    assert all(isinstance(text, Written) for text in found)
    assert Counter(text.cell for text in found) == Counter(cells)
    assert len({text.example.id for text in found}) == 30
    example, cell = found[0].example, found[0].cell
    assert (example.target, example.split) == (None, None)
    assert example.cost_usd == pytest.approx(0.1)
    assert example.sources == (
        Source(
            kind="rule", name=f"grid:{cell.difficulty}", contributed=("prompt",), stage="synthesise"
        ),
        Source(
            kind="model",
            name="scribe-1",
            contributed=("input",),
            stage="synthesise",
            terms="scribe-terms",
            revision="scribe-1-0528",
            endpoint="api.example.com",
            request="row-synthesise:0",
        ),
    )


def test_the_intended_label_is_nowhere_in_the_example():
    def without_label(request):
        return says(request, *(f"{request.id} says {n} things" for n in range(3)))

    found = list(make_writer(Scripted(without_label)).write(cells_for(target=9)))
    written = [text for text in found if isinstance(text, Written)]
    assert len(written) == 9
    for text in written:
        assert not any(label in str(text.example.to_json()) for label in make_task().labels)


def test_requests_hold_cells_of_one_label_and_one_rival():
    asker = Scripted(writes)
    list(make_writer(asker).write(cells_for()))
    assert {request.purpose for request in asker.seen} == {"synthesise"}
    assert [label_asked(request) for request in asker.seen[:2]] == ["card", "card"]
    assert "careless reader" in asker.seen[0].messages[-1]["content"]
    assert "careless reader" not in asker.seen[1].messages[-1]["content"]
    assert {r.messages[0]["content"] for r in asker.seen} == {asker.seen[0].messages[0]["content"]}


def test_no_two_requests_are_one():
    asker = Scripted(writes)
    writer = make_writer(asker, spec=make_spec(styles=["chat"], lengths=["short"]))
    cells = cells_for(target=90, styles=["chat"], lengths=["short"])
    list(writer.write(cells))
    list(writer.write(cells))
    assert len({request.key("x") for request in asker.seen}) == len(asker.seen) == writer.requests


def test_results_do_not_depend_on_the_order_of_replies():
    def texts(request):
        # Half of the texts of different requests are the same: which one stays must be fixed.
        return says(request, "always this one text", f"but {request.id} x", "c d e")

    def run(disorder):
        asker = Scripted(texts, disorder=disorder)
        writer = make_writer(asker)
        rows = []
        for _ in range(2):
            found = list(writer.write(cells_for()))
            writer.show(text for text in found if isinstance(text, Written))
            rows += [(type(r), r.example.to_json()) for r in found]
        return rows, [request.key("x") for request in asker.seen]

    assert run(None) == run(1) == run(2)


def test_texts_of_earlier_rounds_are_shown():
    asker = Scripted(writes)
    writer = make_writer(asker)
    first = list(writer.write(cells_for()))
    assert not any("there already" in r.messages[-1]["content"] for r in asker.seen)
    writer.show(first)
    count = len(asker.seen)
    list(writer.write(cells_for(target=3)))
    later = asker.seen[count].messages[-1]["content"]
    beginnings = [" ".join(text.example.text.split()[:10]) for text in first]
    assert sum(f"- {words}\n" in later for words in beginnings) == 4


def test_seeds_of_the_label_are_shown_and_in_the_lineage():
    seeds = [
        Example(id=f"{label}{n}", input=f"real {label} {n}", target=label, sources=(GOLD,))
        for label in ("card", "loan")
        for n in range(5)
    ]
    asker = Scripted(writes)
    found = list(make_writer(asker, seeds=seeds).write(cells_for()))
    for request in asker.seen:
        shown = [s.input for s in seeds if s.input in request.messages[-1]["content"]]
        label = label_asked(request)
        assert len(shown) == (0 if label == "account_closed" else 2)
        assert all(label in text for text in shown)
    prompt = Source(kind="person", name="gold.jsonl", contributed=("prompt",), stage="synthesise")
    assert all(
        (prompt in text.example.sources) == (text.cell.target != "account_closed") for text in found
    )


def test_unlabelled_rows_show_the_manner_where_no_seed_has_the_label():
    seeds = [Example(id="u1", input="how people here write")]
    asker = Scripted(writes)
    list(make_writer(asker, seeds=seeds).write(cells_for(target=3)))
    assert "- how people here write" in asker.seen[0].messages[-1]["content"]


def test_seeds_can_be_switched_off_but_may_still_not_be_copied():
    seeds = [Example(id="s", input="one two three four five", target="card")]
    asker = Scripted(lambda request: says(request, *["one two three four five"] * 3))
    writer = make_writer(asker, seeds=seeds, spec=make_spec(seeds=False))
    found = list(writer.write(cells_for(target=9)))
    assert {r.cause for r in found} == {"copied_seed"}
    assert "one two" not in asker.seen[0].messages[-1]["content"]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_row_that_judges_is_never_a_seed(split):
    seeds = [Example(id="s", input="one two", target="card", split=split)]
    with pytest.raises(ValueError, match="cannot be a seed"):
        make_writer(Scripted(writes), seeds=seeds)


def test_a_frozen_row_is_not_repeated():
    frozen = [Example(id="t9", input="I was charged twice for one night", split="test")]
    asker = Scripted(lambda request: says(request, frozen[0].text, "quite new", "ok then"))
    found = list(
        make_writer(asker, frozen=frozen).write(cells_for(target=9, hard_fraction=0.0)[:3])
    )
    assert [getattr(row, "cause", None) for row in found] == ["leakage", None, None]
    assert found[0].example.text == frozen[0].text
    assert found[0].cost_usd == pytest.approx(0.1)


def test_a_failed_request_is_one_rejection_with_its_price():
    def reply(request):
        if request.id == "synthesise:1":
            return outcome(request, fault="cut_off", detail="too long", cost_usd=None)
        return writes(request)

    found = list(make_writer(Scripted(reply)).write(cells_for(target=18)))
    failed = [row for row in found if isinstance(row, Rejection)]
    assert [(r.id, r.stage, r.cause, r.detail, r.cost_usd, r.example) for r in failed] == [
        ("synthesise:1", "synthesise", "cut_off", "too long", None, None)
    ]
    assert len(found) > len(failed)
