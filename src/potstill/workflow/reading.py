"""From a workflow file to a typed graph: every mistake is found here, with file and line.

Nothing is loaded: a model's labels come from its ``model.json``, a teacher's from its task.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from potstill.errors import SpecError
from potstill.runtime.folder import digest
from potstill.spec.loading import LoadedWorkflow, load_workflow
from potstill.spec.mistakes import meant
from potstill.spec.workflow import INPUT, NodeSpec
from potstill.workflow.findings import Findings
from potstill.workflow.graph import Graph, Node
from potstill.workflow.output import composite_of, read_output, read_parts
from potstill.workflow.parts import Part, model_part, part_file, reads_of, teacher_part
from potstill.workflow.references import Condition, Mistake, Reference, Source
from potstill.workflow.steps import output_type
from potstill.workflow.types import (
    Answer,
    Composite,
    Extracted,
    Fields,
    Found,
    ListOf,
    Predicted,
    Text,
    Type,
    Unknown,
    Written,
    accepts,
    joined,
)
from potstill.workflow.wiring import Wires, in_waves, wire


def read_graph(loaded: LoadedWorkflow, inside: tuple[Path, ...] = ()) -> Graph:
    """Check a workflow, and those that it is made of.

    Args:
        loaded: the file.
        inside: the workflow files that this one is a part of, outermost first.

    Raises:
        SpecError: a reference that leads nowhere, types that do not fit, a condition that
            cannot hold, a cycle, or a part that is missing; all mistakes at once.
    """
    return _Reader(loaded, (*inside, loaded.path.resolve())).read()


class _Reader:
    """Reads one file; collects its mistakes."""

    def __init__(self, loaded: LoadedWorkflow, inside: tuple[Path, ...]) -> None:
        self._loaded = loaded
        self._spec = loaded.workflow
        self._inside = inside
        self._findings = Findings(loaded)

    def read(self) -> Graph:
        wires = wire(self._loaded, self._findings)
        self._findings.raise_all()
        order = in_waves(self._loaded, wires)
        reads = reads_of(self._spec.columns)
        types: dict[str, Type] = {INPUT: reads}
        nodes: dict[str, Node] = {}
        for name in (name for wave in order for name in wave):
            nodes[name] = self._node(name, wires[name], types)
            types[name] = nodes[name].kind
        parts = read_parts(self._loaded, types, self._findings)
        answer = composite_of(parts, types) or read_output(self._loaded, types, self._findings)
        self._findings.raise_all()
        versions = "".join(node.part.version for node in nodes.values() if node.part)
        content = self._spec.model_dump_json().encode() + versions.encode()
        return Graph(
            self._loaded,
            tuple(tuple(nodes[name] for name in wave) for wave in order),
            answer,
            parts,
            reads,
            digest(content)[:12],
            self._warnings(nodes, parts),
        )

    def _node(self, name: str, wires: Wires, types: Mapping[str, Type]) -> Node:
        spec = self._spec.nodes[name]
        key = "map" if spec.map else "input"
        conditions = (
            self._findings.attempt(
                lambda key=key, reference=reference: Condition.of(reference, spec.when[key], types),
                *("nodes", name, "when", key),
            )
            for key, reference in wires.tested.items()
        )
        conditions = tuple(found for found in conditions if found is not None)
        given = self._given(name, spec, wires.source, types)
        source = _resolved(wires.source, types)
        part, inner = self._part(spec, self._loaded.where("nodes", name, spec.part))
        item = None
        if part is not None:
            item = part.answer
            source = self._fitting(name, spec, part, given, source)
            self._check_default(name, spec, part.answer)
        elif spec.step is not None:
            item = self._findings.attempt(lambda: output_type(spec, given), "nodes", name, key)
        where = self._loaded.where("nodes", name)
        mapped = spec.map is not None
        return Node(name, spec, source, mapped, conditions, item or Unknown(), part, where, inner)

    def _given(self, name: str, spec: NodeSpec, source: Source, types: Mapping[str, Type]) -> Type:
        """The type of what the node reads; of a mapped one, of an item."""
        key = "map" if spec.map else "input"
        kinds = [
            self._findings.attempt(lambda r=reference: r.type_in(types), "nodes", name, key)
            or Unknown()
            for reference in source.references
        ]
        if source.shape == "fields":
            for field, kind in zip(source.names, kinds, strict=True):
                if spec.step == "passage" and field == "evidence":
                    self._check_evidence(name, kind)
                elif not accepts(Text(), kind):
                    self._findings.say(
                        f"{field!r} must be a text, not {kind}.",
                        _remedy(Text(), kind),
                        *("nodes", name, key, field),
                    )
            return Fields(source.names)
        if source.shape == "list":
            item = joined(kinds)
            if item is None:
                listed = ", ".join(str(kind) for kind in kinds)
                self._findings.say(
                    f"{key!r} lists what does not go together: {listed}.", None, "nodes", name, key
                )
            return ListOf(item or Unknown())
        [kind] = kinds
        if spec.map is None or isinstance(kind, Unknown):
            return kind
        if isinstance(kind, ListOf):
            return kind.item
        self._findings.say(
            f"'map' reads a list, and {str(source.references[0])!r} is {kind}.",
            "Use 'input' instead, or make a list of it with 'step: split_clauses'.",
            "nodes",
            name,
            "map",
        )
        return Unknown()

    def _check_evidence(self, name: str, kind: Type) -> None:
        if isinstance(kind, Found | Unknown):
            return
        several = isinstance(kind, ListOf)
        self._findings.say(
            f"'evidence' must be a value of an extraction, not {kind}.",
            "Name a field that has one value at most: it is not 'many'."
            if several
            else "Name one: 'NODE.fields.NAME'.",
            *("nodes", name, "input", "evidence"),
        )

    def _part(self, spec: NodeSpec, where: str) -> tuple[Part | None, Graph | None]:
        """What answers in a node, and its graph where that is another workflow."""
        try:
            if spec.model is not None:
                return model_part(spec, self._loaded, where), None
            if spec.teacher is not None:
                return teacher_part(spec, self._loaded, where), None
            if spec.workflow is not None:
                return self._workflow_part(spec.workflow, where)
        except SpecError as error:
            self._findings.add(error)
        return None, None

    def _workflow_part(self, name: str, where: str) -> tuple[Part, Graph]:
        path = part_file(name, self._loaded, where)
        if path.resolve() in self._inside:
            raise SpecError(
                f"the workflow {name!r} is a part of itself.",
                where=where,
                hint="Take this node out, or name another workflow.",
            )
        graph = read_graph(load_workflow(path), self._inside)
        free = all(node.part is None or node.part.free for node in graph.nodes)
        return Part(graph.answer, graph.reads, graph.version, path, free), graph

    def _fitting(
        self, name: str, spec: NodeSpec, part: Part, given: Type, source: Source
    ) -> Source:
        """The source, in the order of fields that the part reads; what it cannot read is told."""
        if not accepts(part.reads, given):
            self._findings.say(
                f"{spec.part} {name!r} reads {part.reads}, not {given}.",
                _remedy(part.reads, given),
                "nodes",
                name,
                "map" if spec.map else "input",
            )
        elif isinstance(part.reads, Fields) and source.shape == "fields":
            by_name = dict(zip(source.names, source.references, strict=True))
            names = part.reads.names
            return Source(tuple(by_name[field] for field in names), "fields", names)
        return source

    def _check_default(self, name: str, spec: NodeSpec, answer: Predicted) -> None:
        if spec.default is None:
            return
        several = isinstance(answer, Answer) and answer.multilabel
        wanted = None
        if isinstance(answer, Extracted | Composite):
            wanted = "left out: it is for labels and texts. Use 'on_error: defer'"
        elif isinstance(spec.default, list) != several:
            one = "one text" if isinstance(answer, Written) else "one label"
            wanted = "a list of labels" if several else one
        if wanted is not None:
            self._findings.say(
                f"the default of {name!r} must be {wanted}.", None, "nodes", name, "default"
            )
            return
        if not isinstance(answer, Answer):
            return
        for label in spec.default if isinstance(spec.default, list) else [spec.default]:
            if label not in answer.labels:
                self._findings.say(
                    f"{name!r} has no label {label!r}.",
                    meant(label, answer.labels),
                    "nodes",
                    name,
                    "default",
                )

    def _warnings(
        self, nodes: Mapping[str, Node], parts: Mapping[str, Reference]
    ) -> tuple[str, ...]:
        first = self._spec.output.first
        read = {*first, *(part.node for part in parts.values())}
        read = {*read, *(need for node in nodes.values() for need in node.needs)}
        found = [
            f"{node.where}: nothing reads the answer of {name!r}."
            for name, node in nodes.items()
            if name not in read
        ]
        for number, name in enumerate(first[:-1]):
            always = not nodes[name].conditions and not nodes[name].needs
            if always:
                shadowed = ", ".join(first[number + 1 :])
                found.append(
                    f"{self._loaded.where('output')}: {name!r} always answers, so {shadowed} "
                    "are never the output."
                )
        return tuple(found)


def _resolved(source: Source, types: Mapping[str, Type]) -> Source:
    """The source with what its references mean; as it is where a mistake in it was told already."""
    try:
        return source.resolved(types)
    except Mistake:
        return source


def _remedy(wanted: Text | Fields, given: Type) -> str | None:
    if isinstance(wanted, Fields):
        return f"Give it a mapping: input: {{{', '.join(f'{name}: …' for name in wanted.names)}}}."
    match given:
        case ListOf(Text()):
            hint = "Use 'map' instead of 'input', or join the texts with 'step: join'."
        case Fields(names):
            hint = f"Take one with a reference such as 'input.{names[0]}', or join them with 'step: join'."
        case Answer():
            hint = "Read its label: add '.label'."
        case Written():
            hint = "Read its text: add '.text'."
        case Found():
            hint = "Read its evidence or its value: add '.text' or '.value'."
        case _:
            hint = None
    return hint
