from __future__ import annotations

import random
import tracemalloc

import pytest
from tokenizers import Tokenizer

from potstill.errors import SpecError
from potstill.runtime.extraction import windows
from potstill.runtime.extraction.windows import Window, WindowReader


def reader(
    tokenizer: Tokenizer, tokens: int = 16, overlap: float = 0.25, widest: int = 2
) -> WindowReader:
    return WindowReader(tokenizer, tokens=tokens, overlap=overlap, widest=widest)


def owned(window: Window) -> list[tuple[int, int]]:
    first, last = window.owned
    return list(
        zip(window.starts[first:last].tolist(), window.ends[first:last].tolist(), strict=True)
    )


def some_words(count: int, seed: int = 0) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abc", k=draw.randint(1, 4))) for _ in range(count))


@pytest.mark.parametrize("count", [1, 5, 6, 7, 20, 333])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.8])
def test_each_token_is_owned_once_and_in_order(
    tokenizer: Tokenizer, count: int, overlap: float
) -> None:
    document = some_words(count)
    cut = list(reader(tokenizer, overlap=overlap).read(document))
    whole = tokenizer.encode(document, add_special_tokens=False)
    assert [place for window in cut for place in owned(window)] == whole.offsets


def test_a_window_holds_its_tokens_between_special_ones(tokenizer: Tokenizer) -> None:
    document = some_words(100)
    whole = tokenizer.encode(document, add_special_tokens=False)
    at = dict(zip(whole.offsets, whole.ids, strict=True))
    for window in reader(tokenizer).read(document):
        assert len(window.ids) <= 16
        assert (window.ids[0], window.ids[-1], window.first) == (2, 3, 1)
        places = zip(window.starts.tolist(), window.ends.tolist(), strict=True)
        assert window.ids[1:-1] == [at[place] for place in places]


@pytest.mark.parametrize("overlap", [0.0, 0.3])
def test_a_value_that_begins_in_what_a_window_owns_ends_inside_it(
    tokenizer: Tokenizer, overlap: float
) -> None:
    cut = list(reader(tokenizer, overlap=overlap, widest=3).read(some_words(100)))
    assert len(cut) > 3
    for window in cut[:-1]:
        assert window.owned[1] - 1 + 3 <= len(window.ends)


def test_blocks_change_nothing(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    document = some_words(300)
    whole = [(window.ids, owned(window)) for window in reader(tokenizer).read(document)]
    monkeypatch.setattr(windows, "_BLOCK_CHARACTERS", 40)
    assert [(window.ids, owned(window)) for window in reader(tokenizer).read(document)] == whole


def test_a_text_without_white_space_is_read_whole(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_BLOCK_CHARACTERS", 10)
    found = [place for window in reader(tokenizer).read("ab" * 30) for place in owned(window)]
    assert "".join(("ab" * 30)[start:end] for start, end in found) == "ab" * 30


def test_context_stands_before_every_window_and_has_no_offsets(tokenizer: Tokenizer) -> None:
    cut = list(reader(tokenizer, tokens=20).read({"text": some_words(40), "asked": "people"}))
    assert len(cut) > 1
    for window in cut:
        assert window.ids[:5] == [2, 4, 5, 6, 3]  # [CLS] asked : people [SEP]
        assert window.first == 5
        assert not window.context_cut
        assert len(window.ids) == window.first + len(window.starts) + 1


def test_a_long_context_leaves_half_the_window_and_says_so(tokenizer: Tokenizer) -> None:
    document = some_words(40)
    cut = list(reader(tokenizer).read({"text": document, "asked": some_words(40, seed=1)}))
    assert all(window.context_cut and window.first <= 8 for window in cut)
    offsets = tokenizer.encode(document, add_special_tokens=False).offsets
    assert [place for window in cut for place in owned(window)] == offsets


@pytest.mark.parametrize("nothing", ["", "   \n", {"text": "", "asked": "people"}])
def test_a_document_without_tokens_has_no_windows(
    tokenizer: Tokenizer, nothing: str | dict[str, str]
) -> None:
    assert list(reader(tokenizer).read(nothing)) == []


def test_one_character(tokenizer: Tokenizer) -> None:
    (window,) = reader(tokenizer).read("a")
    assert (window.ids, owned(window)) == ([2, 7, 3], [(0, 1)])


def test_offsets_count_characters_beyond_the_basic_plane(tokenizer: Tokenizer) -> None:
    (window,) = reader(tokenizer).read("\U0001f600 e\u0301 漢 a")
    assert owned(window)[-1] == (7, 8)


def test_lone_surrogates_keep_their_places(tokenizer: Tokenizer) -> None:
    (window,) = reader(tokenizer).read("\ud83d \ude00\ud83d a")
    assert owned(window)[-1] == (5, 6)


def test_white_space_belongs_to_no_token(byte_tokenizer: Tokenizer) -> None:
    (window,) = reader(byte_tokenizer).read("a b c")
    assert owned(window) == [(0, 1), (2, 3), (4, 5)]
    assert window.first == 0


def test_windows_too_small_for_their_values_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(SpecError, match="too small for values of up to 24 tokens") as told:
        reader(tokenizer, tokens=64, widest=24)
    assert "128" in str(told.value)


def test_a_tokenizer_that_cuts_is_refused(tokenizer: Tokenizer) -> None:
    cutting = Tokenizer.from_str(tokenizer.to_str())
    cutting.enable_truncation(8)
    with pytest.raises(ValueError, match="truncates"):
        reader(cutting)


def test_a_long_document_takes_little_memory(tokenizer: Tokenizer) -> None:
    document = "abc " * 500_000
    tracemalloc.start()
    try:
        count = sum(1 for _ in reader(tokenizer, tokens=256).read(document[:1_000_000]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > 3000
    assert peak < 20e6
