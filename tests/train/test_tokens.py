from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from potstill.train.tokens import (
    load_tokenizer,
    pad,
    read_texts,
    shuffled_batches,
    sorted_batches,
)


def test_texts_are_cut_and_not_padded(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base / "tokenizer.json", 5)
    rows = read_texts(["my card", "my card was the house please", "", "\ud800 card"], tokenizer)
    assert [len(row) for row in rows[:3]] == [4, 5, 2]
    assert all(row[0] == 2 and row[-1] == 3 for row in rows)


def test_every_row_comes_once_an_epoch() -> None:
    lengths = np.random.default_rng(1).integers(3, 60, 5000).tolist()
    batches = shuffled_batches(lengths, 32, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(5000))
    assert max(len(batch) for batch in batches) == 32


def test_buckets_leave_little_padding() -> None:
    sizes = np.random.default_rng(1).integers(3, 60, 5000)

    def padded(batches: list[np.ndarray]) -> int:
        return sum(int(sizes[batch].max()) * len(batch) for batch in batches)

    batches = shuffled_batches(sizes.tolist(), 32, np.random.default_rng(0))
    assert padded(batches) < 1.05 * sizes.sum()
    shuffled = np.random.default_rng(0).permutation(5000)
    assert padded(np.split(shuffled[:4992], 156)) > 1.5 * sizes.sum()


def test_epochs_differ_and_are_known_by_their_generator() -> None:
    lengths = [5] * 200

    def order(seed: int) -> list[int]:
        return np.concatenate(shuffled_batches(lengths, 8, np.random.default_rng(seed))).tolist()

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_short_and_long_batches_come_mixed() -> None:
    lengths = list(range(3, 403))
    means = [np.mean(batch) for batch in shuffled_batches(lengths, 8, np.random.default_rng(0))]
    assert sorted(means) != means


def test_sorted_batches_stay_within_the_budget() -> None:
    lengths = [1, 50, 3, 90, 2, 200, 7]
    batches = sorted_batches(lengths, 100)
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= 100
    assert [len(batch) for batch in batches] == [4, 1, 1, 1]
    assert sorted_batches([], 100) == []


def test_padding_is_masked() -> None:
    ids, mask = pad([[2, 9, 3], [2, 3]], pad_id=1)
    assert ids.tolist() == [[2, 9, 3], [2, 3, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert ids.dtype == mask.dtype == torch.int64
