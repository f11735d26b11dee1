"""Values of a fixed list, found by any of the ways to write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from potstill.data.words import Words


def find_choices(text: str, choices: Mapping[str, Sequence[str]]) -> list[tuple[str, int, int]]:
    """The choices that a text names, each with its first character and the one after its last.

    Case, accents and punctuation do not count; of two that overlap the longer one stands.

    Args:
        text: any text.
        choices: each choice with other ways to write it.
    """
    words = Words(text)
    found = [
        (choice, start, end)
        for choice, others in choices.items()
        for way in (choice, *others)
        for start, end in words.find(Words(way))
    ]
    kept: list[tuple[str, int, int]] = []
    for choice, start, end in sorted(found, key=lambda item: item[1] - item[2]):
        if all(end <= other[1] or start >= other[2] for other in kept):
            kept.append((choice, start, end))
    return sorted(kept, key=lambda item: item[1])
