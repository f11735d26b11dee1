"""What each node should have answered, from what the whole should have.

Gold of the whole tells more than whether the whole is right: a label that only one node can
give says that this node should have been reached, and so what every condition before it needed.
A column with a node's own gold goes before what is derived so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from potstill.data.answers import RowFault, label_reader
from potstill.data.example import Example, Target, id_of
from potstill.data.reading import cell_text, input_of, read_rows
from potstill.spec.workflow import INPUT
from potstill.workflow.graph import Graph, Node
from potstill.workflow.types import Answer, labels_of

Admissible = frozenset[str | frozenset[str]]
"""The right answers: labels, or sets of labels. None of them right: the node must defer."""

NodeGold = Mapping[str, Mapping[str, Target]]
"""Each node's own right answers, by id of the row."""


def comparable(target: Target) -> str | frozenset[str]:
    """A target that does not depend on the order of its labels."""
    assert isinstance(target, str | tuple), "values and texts are judged by measures of their own"
    return target if isinstance(target, str) else frozenset(target)


def is_outside(target: Target | None, stranger: str | None) -> bool:
    """Whether gold says that an input fits none of the labels."""
    return stranger is not None and target in (stranger, (stranger,))


def is_right(answer: Target | None, admissible: Admissible) -> bool:
    """Whether an answer is one of the right ones; no answer is right where there is none."""
    return not admissible if answer is None else comparable(answer) in admissible


def read_node_gold(graph: Graph, data: Path) -> NodeGold:
    """The right answers of those nodes that give labels and name a column for them.

    Raises:
        DataError: the file cannot be read.
    """
    spec = graph.loaded.workflow
    named = [
        node for node in graph.nodes if node.spec.gold is not None and isinstance(node.item, Answer)
    ]
    found: dict[str, dict[str, Target]] = {node.name: {} for node in named}
    if not named:
        return found
    for row in read_rows(data):
        value = input_of(row, spec.columns)
        if value is None:
            continue
        identifier = cell_text(row.fields.get(spec.columns.id)) or id_of(value)
        for node in named:
            several = isinstance(node.kind, Answer) and node.kind.multilabel
            cell = row.fields.get(str(node.spec.gold))
            with suppress(RowFault):
                found[node.name][identifier] = label_reader(multilabel=several)(cell, value)
    return found


@dataclass(slots=True)
class Rights:
    """The right answers of every node, for one row.

    Args:
        graph: the workflow.
        found: by node; a node that is not here cannot be judged on this row.
    """

    graph: Graph
    found: dict[str, Admissible] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, example: Example, node_gold: NodeGold | None = None) -> Rights:
        """What every node should have answered to one row.

        Args:
            graph: the workflow.
            example: a row with gold of the whole.
            node_gold: right answers of single nodes, which go before what is derived.
        """
        rights = cls(graph)
        stranger = graph.loaded.workflow.out_of_scope
        if is_outside(example.target, stranger):
            rights._derive_deferral()
        elif example.target is not None:
            rights._derive(example.target)
        for node in graph.nodes:
            own = (node_gold or {}).get(node.name, {}).get(example.id)
            if own is not None:
                must_defer = own in (stranger, (stranger,))
                rights.found[node.name] = (
                    frozenset() if must_defer else frozenset({comparable(own)})
                )
        return rights

    def _derive_deferral(self) -> None:
        """Whoever sees every input is the one who can tell that it belongs nowhere."""
        for node in self.graph.nodes:
            first = all(reference.node == INPUT for reference in node.source.references)
            if node.part is not None and not node.mapped and not node.conditions and first:
                self.found[node.name] = frozenset()

    def _derive(self, target: Target) -> None:
        wanted = (target,) if isinstance(target, str) else target
        assert isinstance(wanted, tuple), "values and texts are judged by measures of their own"
        givers = [node for node in self._outputs() if self._local(node, wanted) is not None]
        if len(givers) != 1:
            return  # several nodes could have said it
        [giver] = givers
        local = self._local(giver, wanted) or ()
        several = isinstance(giver.item, Answer) and giver.item.multilabel
        if several:
            self.found[giver.name] = frozenset({frozenset(local)})
        elif len(local) == 1:
            self.found[giver.name] = frozenset(local)
        self._derive_way(giver)

    def _outputs(self) -> Iterable[Node]:
        first = self.graph.loaded.workflow.output.first
        return (node for node in self.graph.nodes if node.name in first)

    def _local(self, node: Node, wanted: Sequence[str]) -> tuple[str, ...] | None:
        """The node's own names of final labels; None where it does not know them all."""
        names = {self.graph.final_label(node.name, label): label for label in labels_of(node.item)}
        found = tuple(names[label] for label in wanted if label in names)
        return found if wanted and len(found) == len(wanted) else None

    def _derive_way(self, node: Node) -> None:
        """What the nodes before this one had to say for it to run."""
        by_name = {other.name: other for other in self.graph.nodes}
        for condition in node.conditions:
            name = condition.reference.node
            if condition.labels is not None and condition.reference.field == "label":
                self._narrow(name, condition.labels)
        for name in sorted(node.needs):
            self._derive_way(by_name[name])

    def _narrow(self, name: str, labels: Iterable[str]) -> None:
        known = self.found.get(name)
        self.found[name] = frozenset(labels) if known is None else known & frozenset(labels)
