"""Running a graph: wave after wave, each node once for all inputs that reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from potstill.data.example import Input
from potstill.spec.workflow import INPUT
from potstill.workflow.pool import run_all
from potstill.workflow.references import all_hold
from potstill.workflow.running import Outcome, Runner
from potstill.workflow.trace import total
from potstill.workflow.values import Missing, Value

_WORTH_A_THREAD_MS = 0.5
"""Work that pays for its hand-over to another thread, some 0.1 ms, several times over."""

Given = Mapping[str, Sequence[Value | None]]
"""Outputs that stand in for those of a node, by row: what it would be if it were perfect."""


@dataclass(frozen=True, slots=True)
class Row:
    """One input on its way.

    Attributes:
        values: what each node gave so far; the input is among them.
        read: what each node that ran has read.
        outcomes: what each node that ran gave, and what that took.
    """

    values: dict[str, Value | Missing]
    read: dict[str, Value]
    outcomes: dict[str, Outcome]


@dataclass(frozen=True, slots=True)
class _Share:
    """The inputs of one node in a wave.

    Attributes:
        runner: the node.
        rows: those that it answers.
        inputs: one a row; of a mapped node all items of all rows.
        sizes: of a mapped node the number of items of each row; otherwise None.
    """

    runner: Runner
    rows: list[Row]
    inputs: list[Any]
    sizes: list[int] | None


def execute(
    waves: Sequence[Sequence[Runner]],
    inputs: Sequence[Input],
    *,
    workers: int,
    given: Given | None = None,
) -> list[Row]:
    """Answer all inputs.

    The answer to an input does not depend on the others, nor on which thread comes first:
    threads divide the work of a wave, and everything else happens on the caller's.

    Args:
        waves: the nodes in their order.
        inputs: of the workflow.
        workers: parts into which the inputs of a model are divided at least, where that pays;
            1 keeps all work on the caller's thread.
        given: answers that stand in for a node's own, where it would have run.

    Raises:
        NodeError: a node failed whose policy is to fail.
    """
    rows = [Row({INPUT: value}, {}, {}) for value in inputs]
    for wave in waves:
        shares = [_share(runner, rows, (given or {}).get(runner.node.name)) for runner in wave]
        _answer([share for share in shares if share.inputs], workers)
        for share in shares:
            if not share.inputs:
                _settle(share, [])
    return rows


def _share(runner: Runner, rows: list[Row], given: Sequence[Value | None] | None) -> _Share:
    """Which rows reach a node, and what it reads of each; the others are noted as missing."""
    node = runner.node
    share = _Share(runner, [], [], [] if node.mapped else None)
    for number, row in enumerate(rows):
        missing = all_hold(node.conditions, row.values)
        value = missing or node.source.read(row.values)
        if isinstance(value, Missing):
            row.values[node.name] = value
            continue
        instead = given[number] if given else None
        if instead is not None:
            row.values[node.name] = instead
            continue
        row.read[node.name] = value
        share.rows.append(row)
        if share.sizes is None:
            share.inputs.append(value)
        else:
            items: Any = value
            share.sizes.append(len(items))
            share.inputs.extend(items)
    return share


def _answer(shares: Sequence[_Share], workers: int) -> None:
    """Answer the inputs of a wave's nodes, on several threads where that pays."""
    if workers == 1 or sum(len(share.inputs) for share in shares) == 1:
        for share in shares:
            _settle(share, share.runner.answer(share.inputs))
        return
    tasks: list[tuple[_Share, Callable[[], list[Outcome]], float]] = []
    for share in shares:
        for part in _parts(share, workers):
            task = partial(share.runner.answer, part)
            tasks.append((share, task, _expected_ms(share.runner, len(part))))
    calls = [task for _, task, _ in tasks]
    together = sum(ms >= _WORTH_A_THREAD_MS for _, _, ms in tasks) > 1
    results = run_all(calls) if together else [call() for call in calls]
    for share in shares:
        found = zip(tasks, results, strict=True)
        _settle(share, [one for (of, _, _), part in found if of is share for one in part])


def _expected_ms(runner: Runner, inputs: int) -> float:
    if runner.predictor is None:
        return 0.0
    return float("inf") if runner.expected_ms is None else runner.expected_ms * inputs


def _parts(share: _Share, workers: int) -> list[list[Any]]:
    """The inputs in one part, or in as many as keep all workers busy to the end."""
    inputs, runner = share.inputs, share.runner
    quick = _expected_ms(runner, len(inputs)) < 2 * _WORTH_A_THREAD_MS
    if quick or not runner.divisible:
        return [inputs]
    size = -(-len(inputs) // (4 * workers))
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


def _settle(share: _Share, outcomes: list[Outcome]) -> None:
    """Note each row's outcome; of a mapped node, that of all its items together."""
    name = share.runner.node.name
    found = iter(outcomes)
    for number, row in enumerate(share.rows):
        if share.sizes is None:
            outcome = next(found)
        else:
            outcome = _together([next(found) for _ in range(share.sizes[number])])
        row.outcomes[name] = outcome
        row.values[name] = outcome.value


def _together(items: Sequence[Outcome]) -> Outcome:
    missing = next((item.value for item in items if isinstance(item.value, Missing)), None)
    return Outcome(
        missing or [item.value for item in items],
        sum(item.ms for item in items),
        total(item.usd for item in items),
        next((item.error for item in items if item.error is not None), None),
    )
