from __future__ import annotations

from dataclasses import replace

import numpy as np
from labeller import LABELS, about, embed, make_rows, make_task

from potstill.generate.method import Method
from potstill.generate.retrieval import Shown


def shown(count=24, **given):
    return Shown.of(make_task(), make_rows(count, prefix="g"), embed=embed, name="words", **given)


def test_the_nearest_labels_and_examples():
    rows = make_rows(40, gold=False)
    found = shown().look_up(rows, Method(examples=3))
    for row, one in zip(rows, found, strict=True):
        assert LABELS[int(one.scores.argmax())] == about(row.text)
        assert len(one.nearest) == 3
        assert one.nearest[-1].target == about(row.text)


def test_a_gold_row_is_looked_up_as_if_it_were_not_there():
    task, gold = make_task(), make_rows(24, prefix="g")
    whole = Shown.of(task, gold, embed=embed)
    for row in gold[:6]:
        without = Shown.of(task, [other for other in gold if other is not row], embed=embed)
        (found,) = whole.look_up([row], Method(examples=5))
        (expected,) = without.look_up([row], Method(examples=5))
        np.testing.assert_allclose(found.scores, expected.scores)
        assert found.nearest == expected.nearest
        (stranger,) = whole.look_up([replace(row, id="new")], Method(examples=5))
        assert stranger.scores[LABELS.index(row.target)] > found.scores[LABELS.index(row.target)]
        assert stranger.nearest[-1] == row


def test_names_alone_are_enough_to_rank_labels():
    def names(texts):
        return np.array([[len(set(text) & set(word)) for word in LABELS] for text in texts], float)

    (found,) = Shown.of(make_task(), [], embed=names).look_up(make_rows(1), Method())
    assert found.scores.shape == (4,) and found.nearest == ()


def test_a_better_ranking_makes_the_shortlist_and_leaves_the_scores():
    rows = make_rows(2)
    fixed = shown(rank=lambda texts: np.tile([0.0, 3.0, 1.0, 2.0], (len(texts), 1)))
    assert fixed.index.rule == "nearest gold by words"
    found = fixed.look_up(rows, Method())
    assert [one.ranking.tolist() for one in found] == [[1, 3, 2, 0]] * 2
    for one, plain in zip(found, shown().look_up(rows, Method()), strict=True):
        np.testing.assert_array_equal(one.scores, plain.scores)
        assert plain.ranking[0] == plain.scores.argmax()


def test_all_examples_stand_in_the_prefix_or_the_nearest_beside_the_question():
    some = shown()
    assert some.prefix(Method(examples=24)) == some.examples and some.all_fit
    assert some.prefix(Method(examples=5)) == () == some.prefix(Method())
    (found,) = some.look_up(make_rows(1), Method(examples=24))
    assert found.nearest == ()
    hidden = some.examples[::2]
    half = some.but(hidden)
    assert half.prefix(Method(examples=24)) == some.examples[1::2]
    assert half.look_up(make_rows(1), Method(examples=24))[0].nearest == ()
    long = [replace(row, input=row.input * 40) for row in make_rows(40)]
    assert not Shown.of(make_task(), long).all_fit


def test_without_an_embedding_some_examples_of_each_label_stand_in_the_prefix():
    plain = Shown.of(make_task(), sorted(make_rows(24), key=lambda row: row.target))
    targets = [example.target for example in plain.prefix(Method(examples=8))]
    assert sorted(targets) == sorted(LABELS * 2)
    (found,) = plain.look_up(make_rows(1), Method(examples=8))
    assert (found.scores, found.nearest) == (None, ())
