"""Evaluation rows in training rows: found as copies, changed and inside others; forms are spared."""

from __future__ import annotations

import random
import sys

import pytest

from potstill.data import Example, Text
from potstill.data.decontaminate import EvaluationIndex, words_of
from potstill.errors import DataError

_WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("n", "r", "st", "lp", "nd")]


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def _rows(texts: list[str]) -> list[Example]:
    return [Example(id=f"e{place}", input=text) for place, text in enumerate(texts)]


def _index(*texts: str, ngram: int = 10, similarity: float = 0.75) -> EvaluationIndex:
    return EvaluationIndex({"test": _rows(list(texts))}, ngram=ngram, similarity=similarity)


def _changed(text: str, share: float, chance: random.Random) -> str:
    words = text.split()
    for _ in range(max(1, round(share * len(words)))):
        place = chance.randrange(len(words))
        kind = chance.choice(("replace", "drop", "insert"))
        if kind == "drop":
            del words[place]
        else:
            words[place : place + (kind == "replace")] = [chance.choice(_WORDS)]
    return " ".join(words)


def test_a_run_of_ten_words_is_found_and_one_of_nine_is_not() -> None:
    chance = random.Random(1)
    wanted = _text(chance, 60)
    index = _index(wanted)
    ten, nine = (" ".join(wanted.split()[20 : 20 + size]) for size in (10, 9))
    around = _text(chance, 30), _text(chance, 30)
    found = index.find(f"{around[0]} {ten.upper()}! {around[1]}")
    assert found is not None
    assert (found.data, found.id, found.part, found.kind) == ("test", "e0", "input", "run")
    assert found.words == ten
    assert "e0" in str(found)
    assert found.similarity < 0.75
    assert index.find(f"{around[0]} {nine} {around[1]}") is None


@pytest.mark.parametrize("ngram", [3, 8, 13])
def test_the_length_of_a_run_is_the_callers(ngram: int) -> None:
    chance = random.Random(2)
    wanted = _text(chance, 60).split()
    index = _index(" ".join(wanted), ngram=ngram)
    assert index.find(f"a b c {' '.join(wanted[5 : 5 + ngram])} d e f") is not None
    assert index.find(f"a b c {' '.join(wanted[5 : 4 + ngram])} d e f") is None


@pytest.mark.parametrize("words", [12, 40, 150])
def test_copies_with_a_tenth_of_the_words_changed_are_found(words: int) -> None:
    chance = random.Random(words)
    wanted = [_text(chance, words) for _ in range(300)]
    index = _index(*wanted)
    copies = [_changed(text, 0.1, chance) for text in wanted]
    inside = [f"{_text(chance, 80)} {copy} {_text(chance, 50)}" for copy in copies]
    for texts in (copies, inside):
        ids = [found.id if (found := index.find(text)) else None for text in texts]
        right = sum(got == f"e{place}" for place, got in enumerate(ids))
        assert right / len(texts) >= 0.95
    others = [_text(chance, words) for _ in range(300)]
    assert sum(index.find(text) is not None for text in others) == 0


def test_rows_of_five_to_nine_words_may_differ_in_one() -> None:
    index = _index("how long may I freeze beef", "call me now", "thank you")
    same = index.find("How long may I freeze BEEF?")
    assert same is not None
    assert same.similarity == 1.0
    near = index.find("how long may I freeze fish")
    assert near is not None
    assert near.words == "how long may i freeze"
    assert near.similarity == pytest.approx(5 / 6)
    assert index.find("how long must I freeze fish") is None
    assert index.find("call me now") is not None
    assert index.find("call me later") is None
    # A short row inside a long one says nothing.
    assert index.find("thank you for the long letter that you wrote") is None


def test_sums_differ_by_their_signs_and_figures() -> None:
    index = _index("47+85=", "13+75-9+2=")
    assert index.find("47 + 85 =") is not None
    for other in ("47-85=", "47+86=", "85+47=", "47*85=", "13+75-8+2=", "13+75+9+2="):
        assert index.find(other) is None, other


def test_questions_of_one_form_are_not_each_others_copies() -> None:
    def written(chance: random.Random) -> str:
        name, thing = chance.choice(_WORDS), chance.choice(_WORDS)
        return (
            f"{name.title()} has {chance.randrange(100, 1000)} {thing} and sells each of them at "
            f"the market for ${chance.randrange(10, 99)}, then gives {chance.randrange(5, 90)} of "
            f"the {thing} to a friend. How many dollars does {name.title()} have in the end?"
        )

    chance = random.Random(3)
    wanted = [written(chance) for _ in range(200)]
    index = _index(*wanted)
    others = [written(chance) for _ in range(500)]
    assert sum(index.find(text) is not None for text in others) <= 10
    assert all(index.find(text) is not None for text in wanted)
    copies = [_changed(text, 0.1, chance) for text in wanted]
    assert sum(index.find(text) is not None for text in copies) >= 190


def test_an_instruction_before_every_row_contaminates_nothing() -> None:
    chance = random.Random(4)
    told = "Solve the problem below step by step and give the answer alone in a box:"
    wanted = [f"{told} {_text(chance, 40)}" for _ in range(30)]
    index = _index(*wanted)
    assert index.find(f"{told} {_text(chance, 40)}") is None
    assert index.find(wanted[7]) is not None


def test_every_part_of_a_training_row_is_read() -> None:
    chance = random.Random(5)
    wanted, solution = _text(chance, 30), _text(chance, 20)
    row = Example(id="e", input=wanted, target=Text("42"), reasoning=solution)
    index = EvaluationIndex({"test": [row]})
    for part, training in (
        ("input", Example(id="t", input={"question": "what?", "context": wanted})),
        ("reasoning", Example(id="t", input="other", reasoning=f"I recall: {wanted}")),
        ("target", Example(id="t", input="other", target=Text(wanted))),
        ("reasoning", Example(id="t", input="other", reasoning=solution)),
    ):
        found = index.find(training)
        assert found is not None
        assert (found.part, found.id) == (part, "e")
    # The answer of an evaluation row is no reason, nor is a label.
    assert index.find(Example(id="t", input="other", target=Text("42"))) is None
    assert index.find(Example(id="t", input="other", target=wanted)) is None


def test_the_most_similar_row_is_named_with_its_set() -> None:
    chance = random.Random(6)
    first = _text(chance, 30)
    second = " ".join([*first.split()[:26], *_text(chance, 4).split()])
    index = EvaluationIndex({"a": _rows([first]), "b": _rows([second])})
    for text, name in ((first, "a"), (second, "b")):
        found = index.find(text)
        assert found is not None
        assert (found.data, found.similarity) == (name, 1.0)


def test_words_of_other_scripts_and_forms_of_signs() -> None:
    assert words_of("Bob’s café: 3×5 − 2") == ("bob's", "café", "3", "*", "5", "-", "2")  # noqa: RUF001
    assert words_of("小明有３个") == ("小", "明", "有", "3", "个")
    assert words_of("well-known, 50%") == ("well", "known", "50")
    assert words_of("?!") == ("?!",)
    assert words_of("  ") == ()


def test_empty_rows_and_an_empty_index_find_nothing() -> None:
    assert _index().find("anything at all") is None
    assert _index("").find("") is None
    assert _index("a b c d e f g h i j k").find(Example(id="t", input="")) is None


def test_the_index_does_not_grow_with_training_rows() -> None:
    chance = random.Random(7)
    index = _index(*(_text(chance, 30) for _ in range(50)))

    def size() -> int:
        held = [value for name in dir(index) if hasattr(value := getattr(index, name), "__len__")]
        return sum(sys.getsizeof(value) for value in held)

    before = size()
    for _ in range(500):
        index.find(_text(chance, 30))
    assert size() == before


@pytest.mark.parametrize(("ngram", "similarity"), [(0, 0.75), (10, 0.0), (10, 1.5)])
def test_what_cannot_be_looked_for_is_refused(ngram: int, similarity: float) -> None:
    with pytest.raises(DataError, match="cannot be looked for"):
        _index("a", ngram=ngram, similarity=similarity)
