"""How sure the whole is: the product of what must be right on the way to an answer.

An answer is right if the node that gave it is, and if everything that led the input there was.
By the chain rule that is the product of each node's confidence given that those before it were
right, which is what a node calibrated on inputs of its own kind states. Of a router only the
branch must be right, not the very label: where a condition lets several labels through, the
sum of their scores counts. With labels that are exclusive that sum is the branch's probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

from potstill.data.example import Prediction
from potstill.spec.workflow import INPUT
from potstill.workflow.graph import Node
from potstill.workflow.references import Reference, Values
from potstill.workflow.types import Answer
from potstill.workflow.values import Missing, confidence_of, product

_UNTOUCHED = ("confidence", "deferred")
"""Fields that may be read without relying on the answer."""


@dataclass(frozen=True, slots=True)
class Reliance:
    """That a node relies on another.

    Attributes:
        node: the other.
        labels: those of which one must be right; None where the answer itself must be.
        counts: whether its confidence is a factor; those on which it relies count anyhow.
    """

    node: str
    labels: frozenset[str] | None = None
    counts: bool = True


def reliances(node: Node) -> tuple[Reliance, ...]:
    """What a node relies on directly.

    A step that makes one answer of several has put their confidences into its own.
    """
    merges = node.spec.step is not None and isinstance(node.item, Answer)
    read = [
        Reliance(reference.node, counts=not merges and _relies(reference))
        for reference in node.source.references
    ]
    tested = [
        Reliance(one.reference.node, one.labels, counts=_relies(one.reference))
        for one in node.conditions
    ]
    return tuple(found for found in (*read, *tested) if found.node != INPUT)


def _relies(reference: Reference) -> bool:
    return reference.field not in _UNTOUCHED


class Way:
    """What was relied on for one answer.

    Args:
        node: the node that gave it.
        values: what each node gave.
        direct: what each node relies on directly.
    """

    def __init__(
        self, node: str, values: Values, direct: Mapping[str, tuple[Reliance, ...]]
    ) -> None:
        self._values = values
        self._direct = direct
        self._factors: dict[str, frozenset[str] | None] = {}
        self._seen = {node}
        self._gather(node)

    def _gather(self, node: str) -> None:
        for found in self._direct[node]:
            if isinstance(self._values[found.node], Missing):
                continue
            if found.counts:
                self._add(found.node, found.labels)
            if found.node not in self._seen:
                self._seen.add(found.node)
                self._gather(found.node)

    def _add(self, node: str, labels: frozenset[str] | None) -> None:
        known = self._factors.get(node, labels)
        both = known is not None and labels is not None
        self._factors[node] = known & labels if both else None  # type: ignore[operator]

    @property
    def confidence(self) -> float | None:
        """Probability that everything on the way was right; None where one part is unknown."""
        return product(self._factor(node, labels) for node, labels in self._factors.items())

    @property
    def truncated(self) -> bool:
        """Whether something on the way read only the beginning of its input."""
        return any(
            isinstance(value, Prediction) and value.truncated
            for value in map(self._values.__getitem__, self._seen)
        )

    def _factor(self, node: str, labels: frozenset[str] | None) -> float | None:
        value = self._values[node]
        if labels is None or not isinstance(value, Prediction) or not value.scores:
            return confidence_of(value)
        scores = value.scores
        # An exact sum: the order of a set differs from process to process.
        return min(1.0, fsum(scores[label] for label in labels))
