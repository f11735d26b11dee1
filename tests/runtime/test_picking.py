from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from potstill.data.example import Text
from potstill.data.sentences import split_sentences
from potstill.runtime.picking import (
    FEATURES,
    PickDecision,
    Picks,
    features_of,
    pick_reader,
    sentence_means,
)

PLAIN = (0.0,) * len(FEATURES)
TEXT = "alpha one. beta two words here. gamma three. delta"


@pytest.fixture
def tokenizer() -> Tokenizer:
    """A token a word or sign; the id tells nothing."""
    found = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "good": 3}, "[UNK]"))
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return found


def _liking_good(ids: list[int]) -> Any:
    return np.array([[float(token == 3)] for token in ids], dtype=np.float32)


@pytest.mark.parametrize(
    ("scores", "max_words", "most", "said"),
    [
        ([0, 3, 2, 1], 60, 1, "beta two words here."),
        ([0, 3, 2, 1], 60, 2, "beta two words here. gamma three."),
        ([3, 2, 1, 0], 60, 9, TEXT),
        ([0, 1, 3, 2], 4, 4, "gamma three. delta"),
        ([0, 0, 0, 0], 60, 1, "alpha one."),
    ],
)
def test_the_best_sentences_that_fit_in_the_order_of_the_document(
    scores: list[float], max_words: int, most: int, said: str
) -> None:
    decision = PickDecision(max_words, most, PLAIN)
    tokens = np.array(scores, dtype=np.float32)

    assert decision.answer(split_sentences(TEXT), tokens) == Text(said)


def test_a_best_sentence_that_is_too_long_is_cut_and_says_so() -> None:
    sentences = split_sentences("one two three. four five\nsix.")
    answer = PickDecision(2, 1, PLAIN).answer(sentences, np.array([0.0, 1.0], dtype=np.float32))

    assert answer == Text("four five", guarded=("length",))


def test_place_and_length_speak_as_well() -> None:
    weights = dict.fromkeys(FEATURES, 0.0) | {"last": 1.0}
    decision = PickDecision(60, 1, tuple(weights.values()))

    assert decision.answer(split_sentences(TEXT), np.zeros(4, np.float32)).text == "delta"
    assert PickDecision.from_json(decision.to_json()) == decision


def test_features_by_hand() -> None:
    first, second, third = features_of(split_sentences("one two. three. four five six seven."))

    assert first.tolist() == pytest.approx([1, 0, 0, 0, 0, np.log(2), np.log(2) ** 2, 0])
    assert second.tolist() == pytest.approx([0, 1, 0, 0, 0.5, 0, 0, 0])
    assert third.tolist() == pytest.approx([0, 0, 1, 1, 1, np.log(4), np.log(4) ** 2, 0])
    assert features_of([]).shape == (0, len(FEATURES))


@pytest.mark.parametrize("tokens", [9, 12, 512])
def test_means_do_not_depend_on_the_windows(tokenizer: Tokenizer, tokens: int) -> None:
    text = " ".join(["good bad. bad good good good bad bad."] * 5)
    reader = pick_reader(tokenizer, tokens)
    windows = [(window, _liking_good(window.ids)) for window in reader.read(text)]
    means = sentence_means(split_sentences(text), windows)

    assert (len(windows) > 1) == (tokens < 512)
    assert means[:, 0].tolist() == pytest.approx([1 / 3, 3 / 7] * 5)


def test_it_picks_from_a_long_document(tokenizer: Tokenizer) -> None:
    text = "bad here. " * 400 + "good good 👍🏽 é. " + "bad there. " * 400
    picks = Picks(pick_reader(tokenizer, 32), _liking_good, PickDecision(10, 1, PLAIN))

    assert picks.pick(text).text == "good good 👍🏽 é."
    assert picks.pick({"text": "bad. good.", "question": "what is good?"}).text == "good."


@pytest.mark.parametrize(
    ("text", "said"), [("", ""), (" \n", ""), ("x", "x"), ("\ud800", "\ud800")]
)
def test_the_shortest_documents(tokenizer: Tokenizer, text: str, said: str) -> None:
    picks = Picks(pick_reader(tokenizer, 32), _liking_good, PickDecision(10, 1, PLAIN))

    assert picks.pick(text).text == said
