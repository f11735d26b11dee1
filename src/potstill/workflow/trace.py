"""What happened in each node, for one input of a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.data.composed import shown
from potstill.data.example import Deferral, Prediction
from potstill.workflow.values import Missing, Value, confidence_of


@dataclass(frozen=True, slots=True)
class NodeTrace:
    """One node, for one input.

    Attributes:
        node: its name.
        input_hash: sixteen hexadecimal digits of the SHA-256 of what it read; None where it
            did not run.
        output: what it gave; missing where it did not run, or gave nothing.
        ms: milliseconds; of a call for several inputs, an even share.
        usd: money beside the machine; None is unknown.
        error: what went wrong, where something did.
    """

    node: str
    input_hash: str | None
    output: Value | Missing
    ms: float = 0.0
    usd: float | None = 0.0
    error: str | None = None

    @property
    def ran(self) -> bool:
        """Whether the node was asked at all."""
        return self.input_hash is not None

    @property
    def confidence(self) -> float | None:
        """Of its answer, or of all its answers together; None where it has no such notion."""
        return None if isinstance(self.output, Missing) else confidence_of(self.output)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; a node that did not run says so, and why where there is a why."""
        if not self.ran:
            reason = self.output.reason if isinstance(self.output, Missing) else None
            return {"node": self.node, "ran": False, **({"reason": reason} if reason else {})}
        return {
            "node": self.node,
            "ran": True,
            "input_hash": self.input_hash,
            "output": None if isinstance(self.output, Missing) else shown(self.output),
            "confidence": self.confidence,
            "ms": round(self.ms, 4),
            "usd": self.usd,
            **({"error": self.error} if self.error else {}),
        }


@dataclass(frozen=True, slots=True)
class Traced:
    """A workflow's answer to one input, and how it came about.

    Attributes:
        prediction: the answer.
        by: the node that gave it; None where none did.
        path: all nodes, each after those that it needs.
    """

    prediction: Prediction
    by: str | None
    path: Sequence[NodeTrace]

    @property
    def ms(self) -> float:
        """Milliseconds of all nodes together."""
        return sum(node.ms for node in self.path)

    @property
    def usd(self) -> float | None:
        """Money of all nodes together; None where one is unknown."""
        return total(node.usd for node in self.path)

    @property
    def reason(self) -> Deferral | None:
        """Why there is no answer; None where there is one."""
        return self.prediction.deferred

    def node(self, name: str) -> NodeTrace:
        """What happened in one node.

        Raises:
            KeyError: no node has this name.
        """
        found = next((node for node in self.path if node.node == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; scores are left out."""
        return {
            "prediction": shown(self.prediction),
            "by": self.by,
            "ms": round(self.ms, 4),
            "usd": self.usd,
            "nodes": [node.to_json() for node in self.path],
        }


def total(amounts: Any) -> float | None:
    """The sum; None where an amount is unknown, for unknown is never zero."""
    result = 0.0
    for amount in amounts:
        if amount is None:
            return None
        result += amount
    return result
