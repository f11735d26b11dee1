"""Whose fault an error is: end-to-end errors, time and money attributed to nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.data.example import Example, Prediction
from potstill.workflow.graph import Graph, Node
from potstill.workflow.rights import Admissible, NodeGold, Rights, comparable, is_outside, is_right
from potstill.workflow.trace import NodeTrace, Traced, total
from potstill.workflow.values import Missing, Value
from potstill.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShare:
    """One node's part in the result.

    Attributes:
        node: its name.
        reached: rows that reached it.
        judged: rows that reached it and whose right answer for it is known.
        wrong: judged rows that it answered wrongly.
        deferred: judged rows that it did not answer, though there was an answer.
        failed: rows on which it failed.
        first_fault: rows of which the whole is not right and this node is the first on the
            way that was not.
        score: share of the rows that the whole gets right.
        score_if_perfect: the same, were this node always right where its right answer is known.
        ms: milliseconds in all.
        usd: money in all; None is unknown.
        right_if_perfect: by row, whether the whole were right; for intervals of the gain.
    """

    node: str
    reached: int
    judged: int
    wrong: int
    deferred: int
    failed: int
    first_fault: int
    score: float
    score_if_perfect: float
    ms: float
    usd: float | None
    right_if_perfect: tuple[bool, ...]

    @property
    def error(self) -> float | None:
        """Share of the judged rows that it got wrong, deferred ones included; None without any."""
        return (self.wrong + self.deferred) / self.judged if self.judged else None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; the single rows are left out."""
        return {
            "node": self.node,
            "reached": self.reached,
            "judged": self.judged,
            "wrong": self.wrong,
            "deferred": self.deferred,
            "failed": self.failed,
            "error": self.error,
            "first_fault": self.first_fault,
            "score_if_perfect": self.score_if_perfect,
            "gain_if_perfect": self.score_if_perfect - self.score,
            "ms": round(self.ms, 3),
            "ms_per_input": round(self.ms / self.reached, 4) if self.reached else None,
            "usd": self.usd,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Where the errors, the time and the money of a workflow come from.

    Attributes:
        rows: gold rows.
        wrong: rows answered wrongly.
        deferred: rows not answered, though there was an answer.
        unexplained: rows that are not right though no node that could be judged was wrong.
        nodes: one entry a node, each after those that it needs.
        predictions: the whole's answers, by row.
        right: by row, whether the whole is right: it answers the gold, or defers what is out
            of scope.
        ms: milliseconds of all nodes for all rows.
        usd: money in all; None is unknown.
    """

    rows: int
    wrong: int
    deferred: int
    unexplained: int
    nodes: tuple[NodeShare, ...]
    predictions: tuple[Prediction, ...]
    right: tuple[bool, ...]
    ms: float
    usd: float | None

    @property
    def score(self) -> float:
        """Share of the rows that are right."""
        return sum(self.right) / max(1, self.rows)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; the single rows are left out."""
        return {
            "rows": self.rows,
            "score": self.score,
            "wrong": self.wrong,
            "deferred": self.deferred,
            "unexplained": self.unexplained,
            "ms": round(self.ms, 3),
            "usd": self.usd,
            "nodes": [node.to_json() for node in self.nodes],
        }


def attribute(
    workflow: Workflow, examples: Sequence[Example], node_gold: NodeGold | None = None
) -> Attribution:
    """Run a workflow on gold rows, and say which node its errors come from.

    What the result would be if a node were perfect is found by putting the right answer in its
    place, in the rows that it got wrong, and running what comes after it again. Where several
    answers are right (any label that leads to the right branch) it is the one that the node
    itself thinks likeliest. A node that is asked again only because of that costs money again
    where it is a teacher.

    Args:
        workflow: the workflow.
        examples: rows with gold of the whole.
        node_gold: right answers of single nodes; see `rights.read_node_gold`.

    Raises:
        NodeError: a node failed whose policy is to fail.
    """
    graph = workflow.graph
    traces = workflow.run([example.input for example in examples])
    rights = [Rights.of(graph, example, node_gold).found for example in examples]
    stranger = graph.loaded.workflow.out_of_scope
    wanted = [_admissible(example, stranger) for example in examples]
    right = [
        is_right(one.prediction.answer, goal) for one, goal in zip(traces, wanted, strict=True)
    ]
    faults = _first_faults(traces, rights, right)
    shares: list[NodeShare] = []
    for node in graph.nodes:
        if_perfect = _if_perfect(workflow, node, examples, traces, rights, wanted, right)
        shares.append(_share(node, traces, rights, right, if_perfect, faults.count(node.name)))
    unanswered = [trace.prediction.answer is None for trace in traces]
    missed = [u and not ok for u, ok in zip(unanswered, right, strict=True)]
    return Attribution(
        rows=len(examples),
        wrong=len(right) - sum(right) - sum(missed),
        deferred=sum(missed),
        unexplained=faults.count(None),
        nodes=tuple(shares),
        predictions=tuple(trace.prediction for trace in traces),
        right=tuple(right),
        ms=sum(trace.ms for trace in traces),
        usd=total(trace.usd for trace in traces),
    )


def _admissible(example: Example, stranger: str | None) -> Admissible:
    if example.target is None or is_outside(example.target, stranger):
        return frozenset()
    return frozenset({comparable(example.target)})


def _node_is_right(trace: NodeTrace, admissible: Admissible) -> bool:
    output = trace.output
    return isinstance(output, Prediction) and is_right(output.answer, admissible)


def _first_faults(
    traces: Sequence[Traced], rights: Sequence[dict[str, Admissible]], right: Sequence[bool]
) -> list[str | None]:
    """For each row that is not right, the first node that was not; None where none can be told."""
    found: list[str | None] = []
    for trace, known, whole in zip(traces, rights, right, strict=True):
        if whole:
            continue
        at_fault = (
            node.node
            for node in trace.path
            if node.ran
            and (node.error or (node.node in known and not _node_is_right(node, known[node.node])))
        )
        found.append(next(at_fault, None))
    return found


def _if_perfect(
    workflow: Workflow,
    node: Node,
    examples: Sequence[Example],
    traces: Sequence[Traced],
    rights: Sequence[dict[str, Admissible]],
    wanted: Sequence[Admissible],
    right: Sequence[bool],
) -> tuple[bool, ...]:
    """By row, whether the whole were right if this node were."""
    mended = [
        row
        for row, trace in enumerate(traces)
        if trace.node(node.name).ran
        and node.name in rights[row]
        and not _node_is_right(trace.node(node.name), rights[row][node.name])
    ]
    result = list(right)
    if mended:
        given = _kept(workflow.graph, node, [traces[row] for row in mended])
        given[node.name] = [
            _perfect(traces[row].node(node.name), rights[row][node.name]) for row in mended
        ]
        again = workflow.run([examples[row].input for row in mended], given=given)
        for row, trace in zip(mended, again, strict=True):
            result[row] = is_right(trace.prediction.answer, wanted[row])
    return tuple(result)


def _kept(graph: Graph, changed: Node, traces: Sequence[Traced]) -> dict[str, list[Value | None]]:
    """What nodes gave that do not hang on the changed one: they need not be asked again."""
    after = {changed.name}
    for node in graph.nodes:
        if node.needs & after:
            after.add(node.name)
    kept = [node.name for node in graph.nodes if node.name not in after]
    return {name: [_output(trace.node(name)) for trace in traces] for name in kept}


def _output(trace: NodeTrace) -> Value | None:
    return None if isinstance(trace.output, Missing) else trace.output


def _perfect(trace: NodeTrace, admissible: Admissible) -> Prediction:
    said = trace.output if isinstance(trace.output, Prediction) else Prediction(None)
    if not admissible:
        return Prediction(said.target, said.confidence, said.scores, deferred="out_of_scope")
    scores = said.scores or {}
    best = max(
        sorted(admissible, key=str),
        key=lambda one: scores.get(one, 0.0) if isinstance(one, str) else 0.0,
    )
    return Prediction(best if isinstance(best, str) else tuple(sorted(best)), 1.0)


def _share(
    node: Node,
    traces: Sequence[Traced],
    rights: Sequence[dict[str, Admissible]],
    right: Sequence[bool],
    if_perfect: tuple[bool, ...],
    first_fault: int,
) -> NodeShare:
    ran = [(trace.node(node.name), known) for trace, known in zip(traces, rights, strict=True)]
    ran = [(trace, known) for trace, known in ran if trace.ran]
    judged = [(trace, known[node.name]) for trace, known in ran if node.name in known]
    not_right = [trace for trace, admissible in judged if not _node_is_right(trace, admissible)]
    silent = [
        trace
        for trace in not_right
        if not isinstance(trace.output, Prediction) or trace.output.answer is None
    ]
    rows = max(1, len(right))
    return NodeShare(
        node=node.name,
        reached=len(ran),
        judged=len(judged),
        wrong=len(not_right) - len(silent),
        deferred=len(silent),
        failed=sum(trace.error is not None for trace, _ in ran),
        first_fault=first_fault,
        score=sum(right) / rows,
        score_if_perfect=sum(if_perfect) / rows,
        ms=sum(trace.ms for trace, _ in ran),
        usd=total(trace.usd for trace, _ in ran),
        right_if_perfect=if_perfect,
    )
