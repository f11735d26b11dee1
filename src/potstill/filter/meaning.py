"""Rows that say the same in other words: near neighbours among embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

Vectors = np.ndarray[Any, np.dtype[np.float32]]

_BLOCK = 1024


def repeats_in_meaning(vectors: Vectors, least: float) -> list[tuple[int, float] | None]:
    """For each row the first earlier row that says the same, and their cosine similarity.

    Only a row that repeats none itself is ever named, so that chains of small steps do not
    make one of texts that lie far apart. Similarities are computed in blocks: memory grows
    with the rows, not with their square.

    Args:
        vectors: embeddings (row, dimension), of any length but zero.
        least: least cosine similarity, 0 to 1.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    repeats: list[tuple[int, float] | None] = []
    originals: list[int] = []
    for start in range(0, len(unit), _BLOCK):
        block = unit[start : start + _BLOCK]
        before = len(originals)
        earlier = block @ unit[originals].T
        within = block @ block.T
        for row in range(len(block)):
            new = [place - start for place in originals[before:]]
            alike = np.concatenate([earlier[row], within[row, new]])
            near = np.flatnonzero(alike >= least)
            if near.size:
                repeats.append((originals[near[0]], float(alike[near[0]])))
            else:
                repeats.append(None)
                originals.append(start + row)
    return repeats
