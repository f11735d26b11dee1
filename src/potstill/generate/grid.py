"""The grid of synthesis: which texts are wanted, one cell for each.

A cell crosses what the text means (a label, or a set of them) with what makes two texts of
one meaning differ: style, length, difficulty, who writes, and what happened. Attributes that
vary on purpose, above all the matter within a label, do more for a student than more rows of
one plain prompt (Yu et al. 2023, "Large Language Model as Attributed Training Data
Generator"). Everything here is drawn from a seed: the same task plans the same grid.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from potstill.data import Target, labels_of
from potstill.spec.task import Task
from potstill.spec.teacher import GenerateSpec

Difficulty = Literal["plain", "indirect", "border"]
"""``plain`` says what it is about; ``indirect`` leaves the reader to infer it; ``border`` could
be mistaken for another label."""

_Item = TypeVar("_Item")

_RIVALS = 2
_INDIRECT_EVERY = 3


@dataclass(frozen=True, slots=True)
class Ideas:
    """What texts may differ in beyond style and length: given, or invented by the teacher.

    Attributes:
        personas: who writes.
        situations: for each label, what such a text may be about.
        rivals: for each label, those it is most easily mistaken for, nearest first.
    """

    personas: tuple[str, ...] = ()
    situations: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    rivals: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One text that is wanted.

    Attributes:
        target: what the text shall mean; never shown to whoever answers it.
        style: kind of text.
        length: length, in words of the task file.
        difficulty: see `Difficulty`.
        rival: the label that a ``border`` text could be mistaken for.
        persona: who writes; None leaves it open.
        situation: what happened; None leaves it open.
    """

    target: Target
    style: str
    length: str
    difficulty: Difficulty
    rival: str | None = None
    persona: str | None = None
    situation: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The target as a tuple, for a task of either type."""
        return labels_of(self.target)


def plan_grid(
    task: Task,
    spec: GenerateSpec,
    ideas: Ideas,
    *,
    have: Mapping[Target, int] | None = None,
    seed: int,
) -> list[Cell]:
    """The texts that `spec.target` asks for, balanced over the labels.

    Args:
        task: the labels.
        spec: size of the grid and its axes.
        ideas: personas, situations and rivals.
        have: rows that each target has already: labels with few get more. In a multilabel
            task its pairs tell which labels occur together.
        seed: another seed gives another grid.

    Returns:
        One cell a text, those of one target together.
    """
    targets = _label_sets(task, ideas, have or {}) if task.multilabel else task.label_names
    counts = _allot(spec.target, targets, have or {})
    generator = random.Random(f"{seed}:grid")
    cells: list[Cell] = []
    hard_before = 0.0
    for target in targets:
        # Carried over, so that many labels of few rows do not all round the same way.
        hard_before += counts[target] * spec.hard_fraction
        hard = min(counts[target], round(hard_before))
        hard_before -= hard
        rivals = _rivals_of(target, task, ideas)[:_RIVALS]
        cells.extend(_cells_of(target, counts[target], hard, rivals, spec, generator))
    return vary(cells, ideas, seed=seed)


def plan_borders(
    task: Task,
    spec: GenerateSpec,
    ideas: Ideas,
    *,
    confusions: Sequence[tuple[str, str]],
    count: int,
    seed: int,
) -> list[Cell]:
    """Texts at the borders that a student gets wrong, in proportion to its confusions.

    Args:
        task: the labels.
        spec: styles and lengths.
        ideas: personas and situations.
        confusions: (true label, label given instead), one pair for each mistake.
        count: texts wanted.
        seed: another seed gives another grid.
    """
    known = set(task.label_names)
    mistakes = Counter(pair for pair in confusions if set(pair) <= known and pair[0] != pair[1])
    total = mistakes.total()
    generator = random.Random(f"{seed}:borders")
    cells: list[Cell] = []
    before = 0
    for (label, rival), times in sorted(mistakes.items(), key=lambda item: (-item[1], item[0])):
        end = before + times
        wanted = round(count * end / total) - round(count * before / total)
        target: Target = (label,) if task.multilabel else label
        cells.extend(_cells_of(target, wanted, wanted, (rival,), spec, generator))
        before = end
    return vary(cells, ideas, seed=seed)


def vary(cells: Iterable[Cell], ideas: Ideas, *, seed: int) -> list[Cell]:
    """The same cells with personas and situations drawn anew.

    A cell that brought no usable text is asked for again about something else, since what
    failed once (a situation that belongs to another label) would fail again.
    """
    generator = random.Random(f"{seed}:vary")
    personas = _passes(ideas.personas, generator)
    situations = {
        label: _passes(ideas.situations.get(label, ()), generator)
        for label in sorted(ideas.situations)
    }
    varied: list[Cell] = []
    for cell in cells:
        about = [next(situations[label]) for label in cell.labels if label in situations]
        known = [situation for situation in about if situation is not None]
        varied.append(replace(cell, persona=next(personas), situation="; and ".join(known) or None))
    return varied


def rivals_from_features(
    labels: Sequence[str], features: NDArray[np.floating[Any]]
) -> dict[str, tuple[str, ...]]:
    """Each label's rivals, the nearest by cosine first.

    Args:
        labels: the taxonomy.
        features: embeddings of names and descriptions (label, feature).
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    order: NDArray[np.intp] = np.argsort(-cosine, axis=1, kind="stable")[:, :-1]
    return {
        label: tuple(labels[int(place)] for place in order[row, :_RIVALS])
        for row, label in enumerate(labels)
    }


def _cells_of(
    target: Target,
    count: int,
    hard: int,
    rivals: Sequence[str],
    spec: GenerateSpec,
    generator: random.Random,
) -> list[Cell]:
    """The cells of one target: the border ones first, whole requests for each rival."""
    forms = _passes(tuple(product(spec.styles, spec.lengths)), generator)
    cells: list[Cell] = []
    for number in range(count):
        form = next(forms)
        assert form is not None  # both lists hold something
        style, length = form
        difficulty: Difficulty
        rival = None
        if number < hard and rivals:
            difficulty = "border"
            rival = rivals[number // spec.per_request % len(rivals)]
        else:
            indirect = (number - hard) % _INDIRECT_EVERY == _INDIRECT_EVERY - 1
            difficulty = "indirect" if indirect else "plain"
        cells.append(
            Cell(target=target, style=style, length=length, difficulty=difficulty, rival=rival)
        )
    return cells


def _rivals_of(target: Target, task: Task, ideas: Ideas) -> tuple[str, ...]:
    own = labels_of(target)
    near = [rival for label in own for rival in ideas.rivals.get(label, ())]
    return tuple(
        label for label in dict.fromkeys(near) if label not in own and label in task.labels
    )


def _label_sets(task: Task, ideas: Ideas, have: Mapping[Target, int]) -> tuple[Target, ...]:
    """What a multilabel text may mean: each label alone, and pairs that occur together.

    The pairs are those of the rows there are, and without rows those of labels that are near.
    Texts with no label at all are wanted where there are such rows.
    """
    labels = task.label_names
    together: Counter[tuple[str, str]] = Counter()
    for target, rows in have.items():
        own = [label for label in labels if label in labels_of(target)]
        together.update(dict.fromkeys(combinations(own, 2), rows))
    if not together:
        for label in labels:
            for rival in _rivals_of((label,), task, ideas)[:1]:
                one, other = sorted((label, rival), key=labels.index)
                together[one, other] += 1
    most = max(1, len(labels) * 2 // 3)
    pairs = sorted(together, key=lambda pair: (-together[pair], pair))[:most]
    nothing: tuple[Target, ...] = ((),) if () in have else ()
    return (*((label,) for label in labels), *pairs, *nothing)


def _allot(count: int, targets: Sequence[Target], have: Mapping[Target, int]) -> dict[Target, int]:
    """Shares `count` out so that rows there are and rows to come are as even as can be."""
    shares = dict.fromkeys(targets, 0)
    queue = [(have.get(target, 0), place) for place, target in enumerate(targets)]
    heapq.heapify(queue)
    for _ in range(count):
        rows, place = queue[0]
        shares[targets[place]] += 1
        heapq.heapreplace(queue, (rows + 1, place))
    return shares


def _passes(items: Sequence[_Item], generator: random.Random) -> Iterator[_Item | None]:
    """All items in a random order, then all in another, without end; None where there are none."""
    if not items:
        while True:
            yield None
    while True:
        order = list(items)
        generator.shuffle(order)
        yield from order
