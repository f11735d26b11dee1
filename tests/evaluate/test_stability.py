"""Sampled answers: figures by hand, intervals over questions, and the paired test by an oracle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from potstill.errors import DataError
from potstill.evaluate.intervals import exact_bounds
from potstill.evaluate.stability import (
    Sample,
    Stability,
    StabilityComparison,
    compare_stability,
    permutation_p,
    stability,
)
from potstill.evaluate.stability_words import (
    comparison_table,
    comparison_words,
    stability_markdown,
    stability_table,
    stability_words,
)


def _sample(
    question: str,
    answer: str | None,
    right: bool | None,
    *,
    tokens: int = 10,
    cut: bool = False,
    language: float | None = 1.0,
    loops: bool | None = False,
) -> Sample:
    return Sample(
        question=question,
        answer=answer,
        tokens=tokens,
        cut=cut,
        right=right,
        well_formed=not cut,
        language=language,
        loops=loops,
    )


def _model(
    questions: int, samples: int, skill: float, *, seed: int, tokens: int = 50, name: str = "m"
) -> Stability:
    """A model whose questions are hard or easy for it as a whole."""
    chance = random.Random(seed)
    held: list[Sample] = []
    for question in range(questions):
        easy = chance.random() < skill
        for _ in range(samples):
            right = chance.random() < (0.95 if easy else 0.05)
            answer = "right" if right else chance.choice("abc")
            length = tokens + chance.randrange(20)
            held.append(_sample(f"q{question}", answer, right, tokens=length))
    return stability(held, name=name)


def test_the_figures_are_those_counted_by_hand() -> None:
    result = stability(
        [
            # Three of four right: accuracy 3/4, majority 1, agreement 3 of 6 pairs.
            *(_sample("a", "4", True, tokens=10) for _ in range(3)),
            _sample("a", "5", False, tokens=30),
            # Two by two: the majority is right half of the time; 2 of 6 pairs.
            *(_sample("b", "7", True) for _ in range(2)),
            *(_sample("b", "8", False) for _ in range(2)),
            # Two cut ones have no answer and agree with nothing: 1 of 6 pairs.
            *(_sample("c", None, False, tokens=100, cut=True, loops=True) for _ in range(2)),
            *(_sample("c", "9", False, language=0.5) for _ in range(2)),
            # All one answer.
            *(_sample("d", "1", True) for _ in range(4)),
        ],
        name="model",
    )
    values = {name: interval.value for name, interval in result.metrics.items()}
    assert values == {
        "accuracy": pytest.approx((0.75 + 0.5 + 0 + 1) / 4),
        "majority": pytest.approx((1 + 0.5 + 0 + 1) / 4),
        "agreement": pytest.approx((3 / 6 + 2 / 6 + 1 / 6 + 1) / 4),
        "format": pytest.approx((1 + 1 + 0.5 + 1) / 4),
        "language": pytest.approx((1 + 1 + 0.75 + 1) / 4),
        "cut": pytest.approx(0.5 / 4),
        "loops": pytest.approx(0.5 / 4),
        "tokens": pytest.approx((15 + 10 + 55 + 10) / 4),
    }
    assert (result.n, result.samples, result.per_question) == (4, 16, (4, 4))
    assert (result.unanimous, result.unjudged) == (1, 0)
    lengths = [10] * 3 + [30] + [10] * 4 + [100, 100, 10, 10] + [10] * 4
    assert result.tokens_p95 == np.percentile(lengths, 95)
    assert [question.answers for question in result.questions] == [2, 2, 1, 1]
    assert result.warnings == ("Intervals over 4 questions are rough; ask at least 30.",)


def test_every_question_weighs_the_same() -> None:
    samples = [_sample("a", "1", True) for _ in range(9)] + [_sample("b", "1", False)]
    result = stability(samples, name="m")
    assert result.metrics["accuracy"].value == 0.5
    # Of one answer alone nobody knows whether it would come again.
    assert result.metrics["agreement"].value == 1.0
    assert result.unanimous == 1
    assert result.per_question == (1, 9)


def test_intervals_are_over_questions_and_not_over_samples() -> None:
    few = _model(60, 4, 0.5, seed=1).metrics["accuracy"]
    many = _model(60, 64, 0.5, seed=1).metrics["accuracy"]
    # More samples of the same questions say little more about other questions.
    assert many.high - many.low > 0.8 * (few.high - few.low)
    width = many.high - many.low
    assert width == pytest.approx(2 * 1.96 * 0.45 / 60**0.5, rel=0.15)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        interval = _model(50, 3, 0.6, seed=seed).metrics["accuracy"]
        held += interval.low <= 0.6 * 0.95 + 0.4 * 0.05 <= interval.high
    assert 180 <= held <= 199


def test_all_right_is_not_certain() -> None:
    result = stability([_sample(f"q{n}", "1", True) for n in range(40)], name="m")
    accuracy = result.metrics["accuracy"]
    assert (accuracy.low, accuracy.high) == exact_bounds(True, 40)
    assert "agreement" not in result.metrics
    assert any("nothing can be said of agreement" in warning for warning in result.warnings)


def test_what_nobody_could_judge_is_left_out_and_counted() -> None:
    result = stability(
        [
            _sample("a", "1", True),
            _sample("a", "1", None),
            _sample("a", "2", None),
            _sample("b", "1", None, language=None, loops=None),
            _sample("b", "2", None, language=None, loops=None),
        ],
        name="m",
    )
    assert result.unjudged == 4
    assert result.metrics["accuracy"].value == 1.0
    assert result.metrics["majority"].value == 1.0
    assert set(result.questions[1].figures) == {"format", "cut", "tokens", "agreement"}
    assert "Of 5 answers 4 could not be judged; they are left out." in result.warnings
    unknown = stability([_sample("a", "1", None, language=None, loops=None)], name="m")
    assert set(unknown.metrics) == {"format", "cut", "tokens"}


def test_no_answers_are_refused() -> None:
    with pytest.raises(DataError, match="model: there is no answer"):
        stability([], name="model")


def test_results_survive_json_and_repeat_with_their_seed() -> None:
    result = _model(20, 3, 0.5, seed=2)
    assert result == _model(20, 3, 0.5, seed=2)
    assert Stability.from_json(result.to_json()) == result
    assert not result.without_questions().questions
    comparison = compare_stability(result, _model(20, 3, 0.7, seed=3))
    assert StabilityComparison.from_json(comparison.to_json()) == comparison


def test_a_better_model_is_found_better_and_an_equal_one_is_not() -> None:
    good = _model(150, 4, 0.9, seed=4, tokens=50, name="good")
    bad = _model(150, 4, 0.4, seed=5, tokens=80, name="bad")
    comparison = compare_stability(good, bad)
    assert comparison.outcome == "better"
    assert compare_stability(bad, good).outcome == "worse"
    value = good.metrics["accuracy"].value - bad.metrics["accuracy"].value
    assert comparison.difference.value == pytest.approx(value)
    assert comparison.difference.low > 0.3
    tokens = comparison.differences["tokens"]
    assert tokens.value == pytest.approx(good.metrics["tokens"].value - bad.metrics["tokens"].value)
    assert -35 < tokens.low < tokens.value < tokens.high < -25
    assert comparison.wins + comparison.losses + comparison.ties == comparison.n == 150
    alike = compare_stability(good, _model(150, 4, 0.9, seed=6))
    assert alike.outcome == "within noise"
    assert compare_stability(good, good).p_value == 1.0


def test_without_verdicts_agreement_decides() -> None:
    def unjudged(answers: str, name: str) -> Stability:
        samples = [_sample(f"q{n}", answer, None) for n in range(40) for answer in answers]
        return stability(samples, name=name)

    comparison = compare_stability(unjudged("aaaa", "one"), unjudged("aabb", "two"))
    assert (comparison.primary, comparison.outcome) == ("agreement", "better")
    assert "accuracy" not in comparison.differences


def test_other_questions_are_refused() -> None:
    one = stability([_sample("a", "1", True), _sample("b", "1", True)], name="one")
    two = stability([_sample("a", "1", True), _sample("c", "1", True)], name="two")
    with pytest.raises(DataError, match=r"one and two were not asked the same .* 'b', 'c'"):
        compare_stability(one, two)
    with pytest.raises(DataError, match="with their questions"):
        compare_stability(one.without_questions(), one.without_questions())


@pytest.mark.parametrize("questions", [6, 40])
def test_the_permutation_test_agrees_with_scipy(questions: int) -> None:
    rng = np.random.default_rng(questions)
    differences = np.round(rng.normal(0.15, 0.4, questions), 2)
    oracle = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    found = permutation_p(differences)
    assert found == pytest.approx(oracle.pvalue, abs=1e-9 if questions == 6 else 0.015)


def test_a_few_questions_cannot_be_significant() -> None:
    assert permutation_p(np.ones(4)) == 2 / 16
    assert permutation_p(np.zeros(9)) == 1.0
    assert permutation_p(np.array([0.1, 0.2, -0.3, 0.0])) == 1.0
    assert permutation_p(np.ones(200)) == pytest.approx(1 / 10_001)


def test_tables_and_sentences_tell_the_figures() -> None:
    good, bad = _model(40, 4, 0.9, seed=4, name="good|one"), _model(40, 4, 0.4, seed=5, name="bad")
    header, rows = stability_table([good, bad])
    assert header == ["", "good|one", "bad"]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["Questions, samples"] == ["40, 160", "40, 160"]
    assert cells["Accuracy at one sample"][0].startswith(f"{good.metrics['accuracy'].value:.2f} [")
    words = stability_words(good)
    assert words[0].startswith("good|one is right in 0.")
    assert "the majority of 4 in" in words[0]
    comparison = compare_stability(good, bad)
    assert comparison_words(comparison).startswith("good|one is better than bad: accuracy")
    assert comparison_table(comparison)[1][-1][0] == "Tokens, mean"
    told = stability_markdown([good, bad], [comparison])
    assert "good\\|one" in told
    assert told.count("\n| Agreement |") == 2
    lone = stability([_sample("a", None, None, language=None)], name="lone")
    assert stability_table([lone, good])[1][0][1] == "\N{EN DASH}"
    assert "> **Warning:** lone: " in stability_markdown([lone])
    assert stability_words(lone)[0].startswith("An answer has 10 tokens")
