from collections import Counter

from potstill.data import Example
from potstill.data.duplicates import NearDuplicates, jaccard, shingles
from potstill.data.splits import remove_leaks, split_examples

SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}


def examples(count, labels=3):
    return [
        Example(id=str(i), input=f"text number {i}", target=f"l{i % labels}") for i in range(count)
    ]


def test_shares_hold_in_every_label():
    divided = split_examples(examples(300), SHARES, seed=1)
    counts = Counter((e.target, e.split) for e in divided)
    for label in ("l0", "l1", "l2"):
        assert abs(counts[label, "train"] - 70) <= 1
        assert abs(counts[label, "dev"] - 10) <= 1
        assert abs(counts[label, "test"] - 20) <= 1


def test_many_rare_labels_do_not_starve_the_small_split():
    divided = split_examples(examples(300, labels=100), SHARES, seed=1)
    dev = sum(e.split == "dev" for e in divided)
    assert 15 <= dev <= 45


def test_the_same_seed_gives_the_same_splits_in_any_order_and_another_seed_others():
    rows = examples(200)
    once = {e.id: e.split for e in split_examples(rows, SHARES, seed=1)}
    again = {e.id: e.split for e in split_examples(rows[::-1], SHARES, seed=1)}
    other = {e.id: e.split for e in split_examples(rows, SHARES, seed=2)}
    assert once == again
    assert once != other


def test_rows_added_later_move_few_of_the_old_ones():
    rows = examples(330)
    before = {e.id: e.split for e in split_examples(rows[:300], SHARES, seed=1)}
    after = {e.id: e.split for e in split_examples(rows, SHARES, seed=1)}
    moved = sum(before[identifier] != after[identifier] for identifier in before)
    assert moved < 0.05 * len(before)


def test_groups_stay_together():
    rows = [Example(id=str(i), input=f"t{i}", target="x", group=f"g{i // 4}") for i in range(200)]
    places = {}
    for example in split_examples(rows, SHARES, seed=3):
        places.setdefault(example.group, set()).add(example.split)
    assert all(len(splits) == 1 for splits in places.values())
    assert {split for splits in places.values() for split in splits} == {"train", "dev", "test"}


def test_leaks_are_removed_by_id_group_and_text():
    test = [
        Example(id="1", input="my card was charged twice by the same shop last week", group="anna"),
    ]
    rows = [
        Example(
            id="1", input="Update: my card was charged twice by the same shop last week, again"
        ),
        Example(id="2", input="another complaint of hers", group="anna"),
        Example(id="3", input="My card was charged twice, by the same shop, last week!"),
        Example(id="4", input="my loan was refused by the bank last month"),
    ]
    leak = remove_leaks(rows, test, 0.9, "test")
    assert [e.id for e in leak.kept] == ["4"]
    assert [(r.id, r.cause) for r in leak.rejected] == [
        ("1", "leakage"),
        ("2", "leakage"),
        ("3", "leakage"),
    ]
    assert "nearly repeats '1'" in leak.rejected[2].detail


def test_an_equal_id_alone_is_no_leak():
    test = [Example(id="0", input="my card was charged twice by the same shop")]
    rows = [Example(id="0", input="the branch would not open an account for me")]
    assert remove_leaks(rows, test, 0.9, "test").kept == rows


def test_jaccard_by_hand():
    # a b c, b c d | b c d, c d e: one of three is shared.
    assert jaccard(shingles("a b c d"), shingles("b c d e")) == 1 / 3
    assert jaccard(shingles("Hi there"), shingles("hi  there!")) == 1.0


def test_near_duplicates_finds_all_true_ones_among_many():
    words = [f"w{i}" for i in range(40)]
    index = NearDuplicates(0.8)
    for i in range(300):
        index.add(
            f"{i:03}", " ".join([f"start{i}", *words[i % 20 :], f"end{i}", f"x{i} y{i} z{i}"] * 2)
        )
    missed = 0
    for i in range(300):
        text = " ".join([f"start{i}", *words[i % 20 :], f"end{i}", f"x{i} y{i} z{i}"] * 2)
        missed += index.find(text.upper() + " coda") != f"{i:03}"
    assert missed == 0
    assert index.find("nothing of the kind was ever said here") is None
