from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from potstill.data import Example
from potstill.spec.recipe import SamplingSpec, TemplateSpec
from potstill.train.causal import sample as sampling
from potstill.train.causal.sample import Draw, sample


def test_completions_come_in_the_order_of_questions_and_numbers(
    start: Path, sums: list[Example], plain: TemplateSpec
) -> None:
    told: list[tuple[str, int, int]] = []
    spec = SamplingSpec(samples=3, max_new_tokens=8)
    found = list(
        sample(
            start,
            sums[:5],
            spec=spec,
            template=plain,
            seed=1,
            progress=lambda *row: told.append(row),
        )
    )
    assert [(one.id, one.number) for one in found] == [
        (row.id, number) for row in sums[:5] for number in range(3)
    ]
    assert told[-1] == ("sample", 15, 15)
    assert all(one.finish == "stop" or one.tokens == 8 for one in found)
    assert len({one.text for one in found}) > 10


def test_a_completion_does_not_depend_on_its_neighbours(
    start: Path, sums: list[Example], plain: TemplateSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Prompts of unlike lengths, so that some are padded in one batching and not in the other.
    rows = [*sums[:3], Example(id="long", input="what is 1+1 and 2+2, please?")]
    spec = SamplingSpec(samples=2, max_new_tokens=12, top_p=0.9)
    together = list(sample(start, rows, spec=spec, template=plain, seed=1))
    monkeypatch.setattr(sampling, "_ROWS", 3)
    alone = [
        one
        for row in rows
        for one in sample(
            start,
            [row],
            spec=spec.model_copy(update={"samples": 1}),
            template=plain,
            seed=1,
        )
    ]
    assert alone == [one for one in together if one.number == 0]
    assert list(sample(start, rows, spec=spec, template=plain, seed=2)) != together


def test_greedy_samples_are_all_alike(
    start: Path, sums: list[Example], plain: TemplateSpec
) -> None:
    spec = SamplingSpec(samples=3, temperature=0, max_new_tokens=6)
    found = list(sample(start, sums[:2], spec=spec, template=plain, seed=1))
    assert len({one.text for one in found[:3]}) == 1


def test_a_question_that_fills_all_positions_is_cut_at_once(
    start: Path, plain: TemplateSpec
) -> None:
    rows = [Example(id="long", input="1+" * 60), Example(id="short", input="1+1=")]
    spec = SamplingSpec(samples=1, max_new_tokens=200)
    long, short = sample(start, rows, spec=spec, template=plain, seed=1)
    assert (long.tokens, long.finish) == (0, "length")
    assert 0 < short.tokens <= 64


@pytest.mark.parametrize(("top_p", "kept"), [(1.0, 3), (0.75, 2), (0.5, 1)])
def test_draws_follow_softmax_within_the_nucleus(top_p: float, kept: int) -> None:
    """Frequencies of 4,000 draws against the distribution itself, four standard errors wide."""
    logits = torch.log(torch.tensor([0.2, 0.5, 0.3]))
    rows = 4000
    spec = SamplingSpec(temperature=0.5, top_p=top_p)
    # At temperature 0.5 probabilities are squared: 4/38, 25/38, 9/38.
    wanted = np.array([4, 25, 9]) / 38
    wanted[np.argsort(-wanted)[kept:]] = 0
    wanted /= wanted.sum()
    generators = [np.random.default_rng(row) for row in range(rows)]
    scores = Draw(spec, generators)(torch.zeros(rows, 1), logits.expand(rows, 3))
    found = Counter(scores.argmax(dim=-1).tolist())
    for token in range(3):
        error = (wanted[token] * (1 - wanted[token]) / rows) ** 0.5
        assert abs(found[token] / rows - wanted[token]) <= 4 * error
