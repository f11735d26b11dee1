"""How sure the whole is: the product of what must be right on the way to an answer.

An answer is right if the node that gave it is, and if everything that led the input there was.
By the chain rule that is the product of each node's confidence given that those before it were
right, which is what a node calibrated on inputs of its own kind states. Of a router only the
branch must be right, not the very label: where a condition lets several labels through, the
sum of their scores counts. With labels that are exclusive that sum is the branch's probability.
Of an extraction only those fields must be right that were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        fields: of an extraction those that must be right; None where all of it must be.
        counts: whether its confidence is a factor; those on which it relies count anyhow.
    """

    node: str
    labels: frozenset[str] | None = None
    fields: frozenset[str] | None = None
    counts: bool = True

    @property
    def whole(self) -> bool:
        """Whether all of the answer must be right."""
        return self.labels is None and self.fields is None

    def and_(self, other: Reliance) -> Reliance:
        """That a node relies on the same for two reasons."""
        if self.whole or other.whole:
            return Reliance(self.node)
        if self.labels is not None and other.labels is not None:
            return Reliance(self.node, self.labels & other.labels)
        return Reliance(
            self.node, fields=(self.fields or frozenset()) | (other.fields or frozenset())
        )


def reliances(node: Node) -> tuple[Reliance, ...]:
    """What a node relies on directly.

    A step that makes one answer of several has put their confidences into its own.
    """
    merges = node.spec.step is not None and isinstance(node.item, Answer)
    read = [
        Reliance(
            reference.node, fields=_read_of(reference), counts=not merges and _relies(reference)
        )
        for reference in node.source.references
    ]
    tested = [
        Reliance(
            one.reference.node,
            None if one.reference.extracted else one.labels,
            _read_of(one.reference),
            _relies(one.reference),
        )
        for one in node.conditions
    ]
    return tuple(found for found in (*read, *tested) if found.node != INPUT)


def _read_of(reference: Reference) -> frozenset[str] | None:
    field = reference.extracted
    return None if field is None else frozenset({field})


def _relies(reference: Reference) -> bool:
    names = (reference.field or "").split(".")
    # The field of an extraction may be called anything; what is read of its value may not.
    read = names[2:] if reference.extracted else names
    return not read or read[-1] not in _UNTOUCHED


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
        self._factors: dict[str, Reliance] = {}
        self._seen = {node}
        self._gather(direct[node])

    def _gather(self, direct: Iterable[Reliance]) -> None:
        for found in direct:
            if isinstance(self._values[found.node], Missing):
                continue
            if found.counts:
                known = self._factors.get(found.node)
                self._factors[found.node] = found if known is None else known.and_(found)
            if found.node not in self._seen:
                self._seen.add(found.node)
                self._gather(self._direct[found.node])

    @property
    def confidence(self) -> float | None:
        """Probability that everything on the way was right; None where one part is unknown."""
        return product(map(self._factor, self._factors.values()))

    @property
    def truncated(self) -> bool:
        """Whether something on the way read only the beginning of its input."""
        return any(
            isinstance(value, Prediction) and value.truncated
            for value in map(self._values.__getitem__, self._seen)
        )

    def _factor(self, found: Reliance) -> float | None:
        value = self._values[found.node]
        if found.whole or not isinstance(value, Prediction) or not value.scores:
            return confidence_of(value)
        scores = value.scores
        if found.labels is None:
            return product(scores.get(name) for name in sorted(found.fields or ()))
        # An exact sum: the order of a set differs from process to process.
        return min(1.0, fsum(scores[label] for label in found.labels))
