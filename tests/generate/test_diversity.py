from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from scripted import WORDS

from potstill.generate.diversity import distinct_n, measure_diversity, vendi_score


def sentences(count, words, *, seed=1):
    generator = random.Random(seed)
    return [" ".join(generator.choices(words, k=10)) for _ in range(count)]


def cloud(rows, *, shift=0.0, seed=1, columns=8):
    points = np.random.default_rng(seed).normal(size=(rows, columns))
    points[:, 0] += shift
    return points


def test_distinct_is_different_ngrams_over_all():
    texts = [["a", "b", "a", "b"], ["a", "b"], ["c"]]
    assert distinct_n(texts, 1) == 3 / 7
    assert distinct_n(texts, 2) == 2 / 4  # ab, ba, ab, ab
    assert distinct_n(texts, 3) == 1.0  # aba, bab
    assert distinct_n(texts, 5) == 0.0


def test_vendi_counts_what_is_entirely_different():
    assert vendi_score(np.eye(5)) == pytest.approx(5.0)
    assert vendi_score(np.ones((7, 1))) == pytest.approx(1.0)
    two_of_each = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert vendi_score(two_of_each) == pytest.approx(3.0)
    uneven = np.eye(2)[[0, 0, 0, 1]]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert vendi_score(uneven) == pytest.approx(math.exp(entropy))


def test_words_alone_are_measured_without_anything_else():
    found = measure_diversity(["One two", "three four five", "Two"], seed=7)
    assert (found.written.rows, found.written.vocabulary) == (3, 5)
    assert found.written.words_median == 2
    assert found.written.distinct_words == 6
    assert set(found.to_json()) == {"written"}
    assert len(found.sentences()) == 2


def test_repetition_shows_beside_real_texts_of_any_number():
    written = sentences(300, WORDS[:20])
    real = sentences(40, WORDS)
    found = measure_diversity(written, real_texts=real, seed=7)
    assert found.written.distinct_words == found.real.distinct_words == 400
    assert found.written.distinct[1] < 0.8 * found.real.distinct[1]
    assert "repeat themselves more than people do" in " ".join(found.sentences())


def test_the_same_kind_of_text_is_as_distinct_whatever_its_number():
    found = measure_diversity(
        sentences(1000, WORDS), real_texts=sentences(50, WORDS, seed=2), seed=7
    )
    assert found.written.distinct[1] == pytest.approx(found.real.distinct[1], abs=0.02)
    assert "repeat themselves" not in " ".join(found.sentences())


def test_equal_clouds_are_covered_and_cannot_be_told_apart():
    found = measure_diversity(
        ["a b"] * 300,
        features=cloud(300),
        real_texts=["a b"] * 200,
        real_features=cloud(200, seed=2),
        seed=7,
    )
    assert found.distance.rows == found.spread.rows == found.real_spread.rows == 200
    assert found.distance.told_apart_auc == pytest.approx(0.5, abs=0.08)
    assert found.distance.coverage > 0.9
    assert found.spread.vendi == pytest.approx(found.real_spread.vendi, rel=0.05)
    assert "not far from real ones" in found.sentences()[-1]


def test_a_cloud_elsewhere_covers_nothing_and_is_told_apart():
    found = measure_diversity(
        ["a b"] * 100,
        features=cloud(100, shift=30.0),
        real_texts=["a b"] * 100,
        real_features=cloud(100, shift=-30.0, seed=2),
        seed=7,
    )
    assert found.distance.coverage == 0.0
    assert found.distance.told_apart_auc > 0.99
    assert found.distance.nearest_cosine < 0
    assert "of another kind" in found.sentences()[-1]


def test_copies_of_one_text_are_worth_one():
    same = np.ones((50, 4))
    found = measure_diversity(["a b"] * 50, features=same, seed=7)
    assert found.spread.vendi == pytest.approx(1.0)
    assert found.spread.nearest_cosine == pytest.approx(1.0)
    assert found.real_spread is None


def test_too_few_rows_give_no_distance():
    found = measure_diversity(
        ["a b"] * 50,
        features=cloud(50),
        real_texts=["a b"] * 19,
        real_features=cloud(19),
        seed=7,
    )
    assert found.distance is None
    assert found.real_spread.rows == 19


def test_large_sets_are_sampled_the_same_way_each_time():
    rows = 2300
    one, other = (measure_diversity(["a b"] * rows, features=cloud(rows), seed=7) for _ in range(2))
    assert one == other
    assert one.spread.rows == 2000


def test_one_text_is_measured_too():
    found = measure_diversity([""], features=np.zeros((1, 4)), seed=7)
    assert found.written.distinct == (0.0, 0.0, 0.0)
    assert found.spread.nearest_cosine == 0.0
    assert all(math.isfinite(value) for value in (found.spread.vendi, found.written.words_p5))


def test_json_holds_plain_numbers():
    found = measure_diversity(
        sentences(30, WORDS),
        features=cloud(30),
        real_texts=sentences(30, WORDS, seed=3),
        real_features=cloud(30, seed=2),
        seed=7,
    )
    assert json.loads(json.dumps(found.to_json()))["distance"]["rows"] == 30
    assert len(found.sentences()) == 5


def test_what_does_not_match_is_refused():
    with pytest.raises(ValueError, match="no text"):
        measure_diversity([], seed=7)
    with pytest.raises(ValueError, match="3 features do not match 2 texts"):
        measure_diversity(["a", "b"], features=cloud(3), seed=7)
    with pytest.raises(ValueError, match="2 real_features do not match 1 texts"):
        measure_diversity(["a"], real_texts=["a"], real_features=cloud(2), seed=7)
