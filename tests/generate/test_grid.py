from __future__ import annotations

from collections import Counter

import numpy as np
from scripted import make_spec, make_task

from potstill.generate.grid import (
    Ideas,
    plan_borders,
    plan_grid,
    rivals_from_features,
    vary,
)

IDEAS = Ideas(
    personas=("nurse", "clerk"),
    situations={"card": ("lost it", "charged twice", "fee"), "loan": ("rate rose",)},
    rivals={"card": ("loan",), "loan": ("card", "account_closed"), "account_closed": ("card",)},
)


def test_labels_get_equal_shares_and_the_hard_ones_their_fraction():
    cells = plan_grid(make_task(), make_spec(target=100), IDEAS, seed=7)
    assert Counter(cell.target for cell in cells) == {"card": 34, "loan": 33, "account_closed": 33}
    difficulties = Counter(cell.difficulty for cell in cells)
    assert difficulties["border"] == 30
    assert 0 < difficulties["indirect"] < difficulties["plain"]


def test_a_border_has_a_rival_and_the_rest_has_none():
    cells = plan_grid(make_task(), make_spec(target=60), IDEAS, seed=7)
    for cell in cells:
        assert (cell.rival is not None) == (cell.difficulty == "border")
        assert cell.rival is None or cell.rival in IDEAS.rivals[cell.target]
    assert {cell.rival for cell in cells if cell.target == "loan"} == {
        None,
        "card",
        "account_closed",
    }


def test_without_rivals_no_cell_is_at_a_border():
    cells = plan_grid(make_task(), make_spec(), Ideas(), seed=7)
    assert {cell.difficulty for cell in cells} == {"plain", "indirect"}
    assert {(cell.persona, cell.situation) for cell in cells} == {(None, None)}


def test_styles_and_lengths_are_crossed_evenly():
    spec = make_spec(target=54, styles=["email", "chat"], lengths=["short", "middling", "long"])
    cells = plan_grid(make_task(), spec, IDEAS, seed=7)
    crossed = Counter((cell.target, cell.style, cell.length) for cell in cells)
    assert len(crossed) == 18
    assert set(crossed.values()) == {3}


def test_labels_with_few_rows_get_more():
    cells = plan_grid(
        make_task(), make_spec(target=30), IDEAS, have={"card": 40, "loan": 5}, seed=7
    )
    assert Counter(cell.target for cell in cells) == {"account_closed": 17, "loan": 13}


def test_situations_belong_to_the_label_and_take_turns():
    cells = plan_grid(make_task(), make_spec(target=90), IDEAS, seed=7)
    used = Counter((cell.target, cell.situation) for cell in cells)
    assert {used["card", about] for about in IDEAS.situations["card"]} == {10}
    assert {about for target, about in used if target == "account_closed"} == {None}


def test_a_seed_decides_everything():
    task, spec = make_task(), make_spec(target=40)
    assert plan_grid(task, spec, IDEAS, seed=1) == plan_grid(task, spec, IDEAS, seed=1)
    assert plan_grid(task, spec, IDEAS, seed=1) != plan_grid(task, spec, IDEAS, seed=2)


def test_varied_cells_keep_what_they_mean():
    cells = plan_grid(make_task(), make_spec(target=40), IDEAS, seed=1)
    again = vary(cells, IDEAS, seed=99)
    assert again != cells
    assert [(c.target, c.style, c.length, c.rival) for c in again] == [
        (c.target, c.style, c.length, c.rival) for c in cells
    ]


def test_many_labels_of_few_rows_still_have_their_share_at_borders():
    labels = [f"label{number}" for number in range(20)]
    ideas = Ideas(rivals=dict.fromkeys(labels, (labels[0], labels[1])))
    cells = plan_grid(make_task(labels=labels), make_spec(target=20), ideas, seed=7)
    assert len(cells) == 20
    assert sum(cell.difficulty == "border" for cell in cells) == 6


def test_borders_follow_the_confusions():
    confusions = [("card", "loan")] * 3 + [("loan", "card"), ("loan", "loan"), ("card", "gone")]
    cells = plan_borders(make_task(), make_spec(), IDEAS, confusions=confusions, count=20, seed=7)
    pairs = Counter((cell.target, cell.rival) for cell in cells)
    assert pairs == {("card", "loan"): 15, ("loan", "card"): 5}
    assert {cell.difficulty for cell in cells} == {"border"}


def test_no_confusion_means_no_border():
    assert plan_borders(make_task(), make_spec(), IDEAS, confusions=[], count=9, seed=7) == []


def test_multilabel_cells_hold_single_labels_and_the_pairs_that_occur():
    task = make_task(type="multilabel")
    have = {("card", "loan"): 9, ("card", "loan", "account_closed"): 2, (): 4}
    cells = plan_grid(task, make_spec(target=60), IDEAS, have=have, seed=7)
    targets = Counter(cell.target for cell in cells)
    assert set(targets) == {
        ("card",),
        ("loan",),
        ("account_closed",),
        ("card", "loan"),
        ("card", "account_closed"),
        (),
    }
    assert abs(targets["card", "loan"] + 9 - targets["card",]) <= 1
    both = next(cell for cell in cells if cell.target == ("card", "loan"))
    assert both.situation.endswith("; and rate rose")


def test_multilabel_pairs_without_rows_are_those_that_are_near():
    cells = plan_grid(make_task(type="multilabel"), make_spec(target=60), IDEAS, seed=7)
    assert ("card", "loan") in {cell.target for cell in cells}
    assert all(cell.rival not in cell.labels for cell in cells)


def test_rivals_from_features_are_the_nearest():
    features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 3.0]])
    assert rivals_from_features(("a", "b", "c"), features) == {
        "a": ("b", "c"),
        "b": ("a", "c"),
        "c": ("b", "a"),
    }
