"""The parts of an answer that people's answers can be held against."""

from __future__ import annotations

from dataclasses import dataclass

from potstill.data.composed import Composed
from potstill.data.example import Prediction, Text
from potstill.data.extraction import Extraction
from potstill.spec.answer import AnswerSpec
from potstill.workflow.graph import Graph
from potstill.workflow.types import Answer, Extracted, Written, spec_of

_WHOLE = (None, "label", "labels", "fields", "text")
"""Fields of a node that are all of its answer; `guess` and `confidence` are not."""


@dataclass(frozen=True, slots=True)
class JudgedPart:
    """A part of an answer whose right value a column of the data holds.

    Attributes:
        name: of the part.
        column: of the data.
        answer: what it is made of.
    """

    name: str
    column: str
    answer: AnswerSpec

    def of(self, composed: Composed) -> Prediction:
        """What was answered as a prediction of this part alone.

        A part that was not wanted says that there is nothing: no value, no label, no text.
        """
        part = composed.parts[self.name]
        reason = composed.unanswered.get(self.name)
        if isinstance(part, Prediction):
            return part
        if self.answer.type == "extraction":
            return Prediction(part or Extraction(), deferred=reason)
        if part is None:
            return Prediction(None, deferred=reason or "out_of_scope")
        return Prediction(Text(part) if self.answer.type == "generation" else part)


def judged_parts(graph: Graph) -> list[JudgedPart]:
    """The parts that are the answer of a node which names a column for its right answers."""
    nodes = {node.name: node for node in graph.nodes}
    found: list[JudgedPart] = []
    for name, reference in graph.parts.items():
        node = nodes[reference.node]
        if node.spec.gold is None or reference.field not in _WHOLE:
            continue
        answer = spec_of(node.kind) if isinstance(node.kind, Answer | Extracted | Written) else None
        if answer is not None:
            found.append(JudgedPart(name, node.spec.gold, answer))
    return found
