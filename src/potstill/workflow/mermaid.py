"""A workflow as a Mermaid flowchart, for pages that draw it and for `potstill check`."""

from __future__ import annotations

from potstill.spec.workflow import INPUT
from potstill.workflow.graph import Graph, Node
from potstill.workflow.references import Condition
from potstill.workflow.types import Extracted, names_in

_MOST_LABELS = 4
"""Labels that a condition shows; of more it tells how many."""

_SHAPES = {
    "model": ("[", "]"),
    "workflow": ("[[", "]]"),
    "teacher": ("{{", "}}"),
    "step": ("(", ")"),
}


def mermaid(graph: Graph) -> str:
    """The flowchart: boxes are models, hexagons teachers, rounded boxes steps.

    A solid arrow carries what a node reads, a dotted one decides whether it runs.
    """
    ids = {INPUT: "n0"} | {node.name: f"n{i}" for i, node in enumerate(graph.nodes, start=1)}
    lines = ["flowchart TD", f'    {ids[INPUT]}(["input"])']
    for node in graph.nodes:
        before, after = _SHAPES[node.spec.part]
        lines.append(f'    {ids[node.name]}{before}"{_title(node)}"{after}')
    for node in graph.nodes:
        arrow = "-->|each|" if node.mapped else "-->"
        for name in dict.fromkeys(reference.node for reference in node.source.references):
            lines.append(f"    {ids[name]} {arrow} {ids[node.name]}")
        for condition in node.conditions:
            said = _text(_said(condition))
            lines.append(f'    {ids[condition.reference.node]} -. "{said}" .-> {ids[node.name]}')
    lines.append('    out(["output"])')
    for rank, name in enumerate(graph.loaded.workflow.output.first, start=1):
        lines.append(f"    {ids[name]} -->|{rank}| out")
    for name, reference in graph.parts.items():
        lines.append(f'    {ids[reference.node]} -->|"{_text(name)}"| out')
    return "\n".join(lines) + "\n"


def _title(node: Node) -> str:
    spec = node.spec
    what = spec.step or f"{spec.part} {getattr(spec, spec.part)}"
    kind = "fields" if isinstance(node.item, Extracted) else "labels"
    size = f"<br/>{len(names_in(node.item))} {kind}" if names_in(node.item) else ""
    return f"<b>{node.name}</b><br/>{_text(what)}{size}"


def _said(condition: Condition) -> str:
    field, labels = condition.reference.field, condition.labels
    if labels is None or len(labels) <= _MOST_LABELS:
        return str(condition).removeprefix(f"{condition.reference.node}.")
    return f"{field} one of {len(labels)}"


def _text(text: str) -> str:
    """Text within quotes; Mermaid writes entities with ``#``."""
    for sign, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, entity)
    return text
