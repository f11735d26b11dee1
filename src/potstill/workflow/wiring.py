"""Who reads whom: the references of every node, and the order that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from potstill.errors import SpecError
from potstill.spec.document import Path_
from potstill.spec.loading import LoadedWorkflow
from potstill.spec.workflow import INPUT, NodeSpec
from potstill.workflow.findings import Findings
from potstill.workflow.references import Reference, Source


@dataclass(frozen=True, slots=True)
class Wires:
    """The references of one node.

    Attributes:
        source: what it reads.
        tested: what its conditions test, by their keys in the file.
    """

    source: Source
    tested: Mapping[str, Reference]

    @property
    def needs(self) -> set[str]:
        """The nodes that must be done before it."""
        named = {reference.node for reference in (*self.source.references, *self.tested.values())}
        return named - {INPUT}


def wire(loaded: LoadedWorkflow, findings: Findings) -> dict[str, Wires]:
    """The references of every node; those that lead nowhere are noted as mistakes."""
    known = tuple(loaded.workflow.nodes)

    def reference(name: str, at: Path_, text: str) -> Reference:
        found = findings.attempt(lambda: Reference.parse(text, known), "nodes", name, *at)
        return found or Reference(INPUT)

    def source(name: str, spec: NodeSpec) -> Source:
        given = spec.map or spec.input or INPUT
        if isinstance(given, str):
            at = ("map",) if spec.map else ("input",)
            return Source((reference(name, at, given),), "one")
        if isinstance(given, list):
            items = [reference(name, ("input", i), text) for i, text in enumerate(given)]
            return Source(tuple(items), "list")
        fields = [reference(name, ("input", key), text) for key, text in given.items()]
        return Source(tuple(fields), "fields", tuple(given))

    return {
        name: Wires(
            source(name, spec), {key: reference(name, ("when", key), key) for key in spec.when}
        )
        for name, spec in loaded.workflow.nodes.items()
    }


def in_waves(loaded: LoadedWorkflow, wires: Mapping[str, Wires]) -> list[list[str]]:
    """The nodes in their order; those of one wave need nothing of one another.

    Raises:
        SpecError: nodes wait for one another in a circle.
    """
    sorter = TopologicalSorter({name: found.needs for name, found in wires.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = list(reversed(error.args[1]))
        raise SpecError(
            f"the nodes wait for one another in a circle: {' → '.join(circle)}.",
            where=loaded.where("nodes", circle[0]),
            hint="Let one of them read 'input', or a node that is done before.",
        ) from None
    order = list(wires)
    waves: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=order.index)
        waves.append(ready)
        sorter.done(*ready)
    return waves
