"""A workflow, understood: nodes in their order, with types and with what answers in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from potstill.spec.loading import LoadedWorkflow
from potstill.spec.workflow import INPUT, NodeSpec
from potstill.workflow.parts import Part
from potstill.workflow.references import Condition, Reference, Source
from potstill.workflow.types import Fields, ListOf, Predicted, Text, Type


@dataclass(frozen=True, slots=True)
class Node:
    """One node, understood.

    Attributes:
        name: its name.
        spec: what the file says.
        source: what it reads.
        mapped: whether it answers each item of a list.
        conditions: all must hold for it to run.
        item: type of one of its answers.
        part: its predictor; None for a step.
        where: its line.
        inner: the graph of another workflow, where that is what answers.
    """

    name: str
    spec: NodeSpec
    source: Source
    mapped: bool
    conditions: tuple[Condition, ...]
    item: Type
    part: Part | None
    where: str
    inner: Graph | None = None

    @property
    def kind(self) -> Type:
        """Type of its output."""
        return ListOf(self.item) if self.mapped else self.item

    @property
    def needs(self) -> frozenset[str]:
        """The nodes that must be done before it."""
        named = [*self.source.references, *(one.reference for one in self.conditions)]
        return frozenset(reference.node for reference in named if reference.node != INPUT)


@dataclass(frozen=True, slots=True)
class Graph:
    """A workflow, understood.

    Attributes:
        loaded: the file.
        waves: the nodes; those of one wave need nothing of one another, and what they need
            is in the waves before.
        answer: the type of the whole's answers.
        parts: where the output has several parts, what each of them is.
        reads: one text, or named fields.
        version: twelve digits that change when the file or any of its parts does.
        warnings: what a person should look at.
    """

    loaded: LoadedWorkflow
    waves: tuple[tuple[Node, ...], ...]
    answer: Predicted
    parts: Mapping[str, Reference]
    reads: Text | Fields
    version: str
    warnings: tuple[str, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, each after those that it needs."""
        return tuple(node for wave in self.waves for node in wave)

    @property
    def givers(self) -> tuple[str, ...]:
        """The nodes that the output names, in its order."""
        named = (reference.node for reference in self.parts.values())
        return tuple(dict.fromkeys((*self.loaded.workflow.output.first, *named)))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file, and the folders and files of all its parts: what a new version changes."""
        found = [self.loaded.path]
        for node in self.nodes:
            if node.inner is not None:
                found += node.inner.paths
            elif node.part is not None:
                found.append(node.part.path)
        return tuple(dict.fromkeys(found))

    def final_label(self, node: str, label: str) -> str:
        """A node's label as the whole workflow calls it."""
        return f"{node}/{label}" if self.loaded.workflow.output.prefix else label
