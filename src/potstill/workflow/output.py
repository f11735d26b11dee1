"""What a workflow answers, by its file: what one of its nodes does, or several parts."""

from __future__ import annotations

from collections.abc import Mapping

from potstill.spec.loading import LoadedWorkflow
from potstill.spec.mistakes import meant
from potstill.spec.workflow import INPUT
from potstill.workflow.findings import Findings
from potstill.workflow.references import Mistake, Reference
from potstill.workflow.types import (
    Answer,
    Composite,
    Extracted,
    ListOf,
    Predicted,
    Type,
    Unknown,
    Written,
    accepts,
)


def read_parts(
    loaded: LoadedWorkflow, types: Mapping[str, Type], findings: Findings
) -> dict[str, Reference]:
    """What each part of the output is; none where the output is what a node answers."""
    known = tuple(loaded.workflow.nodes)

    def read(text: str) -> Reference:
        found = Reference.parse(text, known)
        if found.node == INPUT:
            raise Mistake(f"{text!r} is what was asked, and no answer.", "Name a node.")
        return found.resolved(types)

    found: dict[str, Reference] = {}
    for name, text in loaded.workflow.output.parts.items():
        short = ("output", name) in loaded.places
        at = ("output", name) if short else ("output", "parts", name)
        reference = findings.attempt(lambda text=text: read(text), *at)
        if reference is not None:
            found[name] = reference
    return found


def composite_of(parts: Mapping[str, Reference], types: Mapping[str, Type]) -> Composite | None:
    """The type of an answer of several parts; None where there are none."""
    named = tuple((name, reference.type_in(types)) for name, reference in parts.items())
    return Composite(named) if named else None


def read_output(loaded: LoadedWorkflow, types: Mapping[str, Type], findings: Findings) -> Predicted:
    """The type of what the first of some nodes answers; mistakes are noted."""
    output = loaded.workflow.output
    kinds: list[Predicted] = []
    labels: dict[str, None] = {}
    for number, name in enumerate(output.first):
        at = ("output", "first", number)
        if name in output.first[:number]:
            findings.say(f"{name!r} stands twice.", "Name each node once.", *at)
        if name not in loaded.workflow.nodes:
            findings.say(f"no node is called {name!r}.", meant(name, loaded.workflow.nodes), *at)
            continue
        kind = types[name]
        if isinstance(kind, Answer | Extracted | Written | Composite):
            # Any labels go together; values only where they are of the very same fields.
            if kinds and not accepts(kinds[0], kind):
                findings.say(
                    f"{name!r} is {kind}, and {output.first[0]!r} is {kinds[0]}.",
                    "Give each a name: output: {NAME: NODE, …}.",
                    *at,
                )
            kinds.append(kind)
        elif not isinstance(kind, Unknown):
            joins = isinstance(kind, ListOf) and isinstance(kind.item, Answer)
            hint = f"Join them: {{step: union, input: {name}}}." if joins else None
            findings.say(f"the output must be an answer, and {name!r} is {kind}.", hint, *at)
        if isinstance(kind, Answer):
            prefix = f"{name}/" if output.prefix else ""
            labels.update(dict.fromkeys(f"{prefix}{label}" for label in kind.labels))
    if kinds and not isinstance(kinds[0], Answer):
        if output.prefix:
            findings.say("'prefix' is for labels.", None, "output", "prefix")
        return kinds[0]
    several = any(isinstance(kind, Answer) and kind.multilabel for kind in kinds)
    return Answer(tuple(labels), several)
