"""What gold knows of a row before the teacher is asked: the likeliest labels, the nearest rows.

Each label has a prototype, the mean of its gold examples' embeddings (Snell et al. 2017,
"Prototypical Networks for Few-shot Learning"), among which its name counts as one more:
much beside two examples, little beside fifty. A row scores a label by its cosine to that
prototype. A row that is itself among the gold is looked up as if it
were not (leave-one-out), so that an audition on gold sees what a new row would see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data import Example, labels_of
from potstill.generate.method import Method
from potstill.generate.prompts import example_tokens, label_texts
from potstill.spec.task import Task

Floats = NDArray[np.float64]

Embed = Callable[[Sequence[str]], NDArray[Any]]
"""Texts to their embeddings (text, feature)."""

Rank = Callable[[Sequence[str]], NDArray[Any]]
"""Texts to a score for each label (text, label), higher is likelier."""

CHUNK_ROWS = 256
"""Rows that are looked up at a time."""

PREFIX_TOKENS = 5000
"""Most tokens of examples in the system turn."""

_NAME_EXAMPLES = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one row.

    Attributes:
        scores: cosine to each label's prototype (label,); None without an embedding.
        ranking: places of the labels, likeliest first (label,); None without an embedding.
        nearest: the gold examples nearest to it, nearest last, where the teacher reads it
            just before the question.
    """

    scores: Floats | None = None
    ranking: NDArray[np.int64] | None = None
    nearest: tuple[Example, ...] = ()


class Index:
    """Gold examples and label names as points, to which rows are compared.

    Args:
        task: the labels.
        gold: examples with targets.
        embed: the embedding.
        name: the embedding's name, for the lineage.
        rank: a better judge of the likeliest labels than the prototypes, such as the last
            round's student. It makes the shortlists; the scores stay cosines.
    """

    def __init__(
        self, task: Task, gold: Sequence[Example], *, embed: Embed, name: str, rank: Rank | None
    ) -> None:
        self.rule = f"nearest gold by {name}"
        self._gold = tuple(gold)
        self._embed = embed
        self._rank = rank
        self._labels = np.array([[_has(e, label) for e in gold] for label in task.labels], float)
        self._labels = self._labels.reshape(len(task.labels), len(gold))
        names = _unit(embed(label_texts(task.labels)))
        self._names = names
        self._points = (
            _unit(embed([e.text for e in gold])) if gold else np.zeros((0, names.shape[1]))
        )
        self._sums = self._labels @ self._points
        self._place = {example.id: place for place, example in enumerate(gold)}

    def look_up(self, rows: Sequence[Example], nearest: int) -> list[Found]:
        """What is known of some rows, at most `CHUNK_ROWS` for the sake of memory.

        Args:
            rows: the rows.
            nearest: how many gold examples are wanted for each.
        """
        points = self._points_of(rows)
        scores = self._scores(rows, points)
        ranking = self._ranking(rows, scores)
        close = points @ self._points.T
        return [
            Found(score, order, self._nearest(row, cosine, nearest))
            for row, score, order, cosine in zip(rows, scores, ranking, close, strict=True)
        ]

    def scores_of(self, rows: Sequence[Example]) -> Floats:
        """The score of each label for some rows (row, label)."""
        return self._scores(rows, self._points_of(rows))

    def ranking_of(self, rows: Sequence[Example]) -> NDArray[np.int64]:
        """Places of the labels, likeliest first, for some rows (row, label)."""
        return self._ranking(rows, self.scores_of(rows))

    def _ranking(self, rows: Sequence[Example], scores: Floats) -> NDArray[np.int64]:
        ranks = scores if self._rank is None else self._rank([row.text for row in rows])
        return np.argsort(-np.asarray(ranks), axis=1, kind="stable")

    def _points_of(self, rows: Sequence[Example]) -> Floats:
        return _unit(self._embed([row.text for row in rows]))

    def _scores(self, rows: Sequence[Example], points: Floats) -> Floats:
        """Cosine of each row to each label's prototype (row, label), its own example apart."""
        scores = points @ _unit(self._sums + _NAME_EXAMPLES * self._names).T
        for number, row in enumerate(rows):
            place = self._place.get(row.id)
            if place is not None:
                has = self._labels[:, place]
                sums = self._sums - np.outer(has, self._points[place])
                scores[number] = _unit(sums + _NAME_EXAMPLES * self._names) @ points[number]
        return scores

    def _nearest(self, row: Example, cosine: Floats, count: int) -> tuple[Example, ...]:
        if not count:
            return ()
        order = np.argsort(-cosine, kind="stable")[: count + 1].tolist()
        others = [self._gold[place] for place in order if self._gold[place].id != row.id]
        return tuple(reversed(others[:count]))


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be shown with a question, beside the task itself.

    Attributes:
        examples: gold examples of the training split.
        index: where rows are looked up; None without an embedding.
    """

    examples: tuple[Example, ...] = ()
    index: Index | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        gold: Sequence[Example],
        *,
        embed: Embed | None = None,
        name: str = "an embedding",
        rank: Rank | None = None,
    ) -> Shown:
        """Gold training examples, and an index of them where there is an embedding.

        Args:
            task: the labels.
            gold: examples of the training split, never of the test split.
            embed: an embedding of texts.
            name: the embedding's name, for the lineage.
            rank: see `Index`.
        """
        if embed is None:
            return cls(tuple(gold))
        return cls(tuple(gold), Index(task, gold, embed=embed, name=name, rank=rank))

    @property
    def all_fit(self) -> bool:
        """Whether all examples may stand in the system turn."""
        return example_tokens(self.examples) <= PREFIX_TOKENS

    def but(self, hidden: Sequence[Example]) -> Shown:
        """The same without some examples in the system turn: those that will be asked about."""
        ids = {example.id for example in hidden}
        return replace(self, examples=tuple(e for e in self.examples if e.id not in ids))

    def prefix(self, method: Method) -> tuple[Example, ...]:
        """The examples that stand in the system turn of a method."""
        if method.examples >= len(self.examples):
            return self.examples
        return () if self.index else _spread(self.examples, method.examples)

    def look_up(self, rows: Sequence[Example], method: Method) -> list[Found]:
        """What a method needs to know of some rows."""
        if self.index is None:
            return [Found() for _ in rows]
        beside = method.examples if method.examples < len(self.examples) else 0
        return self.index.look_up(rows, beside)


def _spread(examples: Sequence[Example], count: int) -> tuple[Example, ...]:
    """Some of the examples, as many of each target as can be."""
    seen: dict[Any, int] = {}
    turns: list[tuple[int, int]] = []
    for place, example in enumerate(examples):
        seen[example.target] = seen.get(example.target, 0) + 1
        turns.append((seen[example.target], place))
    return tuple(examples[place] for _, place in sorted(turns)[:count])


def _has(example: Example, label: str) -> bool:
    return label in labels_of(example.target)


def _unit(points: NDArray[Any]) -> Floats:
    points = np.asarray(points, dtype=np.float64)
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
