"""One node at work: it answers inputs, keeps its time, and follows its policy when it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

from potstill.data.example import Prediction, Predictor, Text
from potstill.errors import BudgetReached, NodeError, NodeTimeout, PotstillError
from potstill.workflow.graph import Node
from potstill.workflow.parts import Priced
from potstill.workflow.pool import TimeLimit
from potstill.workflow.steps import step_of
from potstill.workflow.types import Answer, Written
from potstill.workflow.values import Missing, Value

_SMOOTHING = 0.1
"""Weight of the newest call in the running mean of a node's time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node gave for one input.

    Attributes:
        value: its output.
        ms: milliseconds; of a call for several inputs, an even share.
        usd: money beside the machine; None is unknown.
        error: what went wrong; the policy has already put something in the answer's place.
    """

    value: Value | Missing
    ms: float
    usd: float | None = 0.0
    error: str | None = None


class Runner:
    """A node with what answers in it.

    Args:
        node: the node.
        predictor: what answers; None for a step.
    """

    def __init__(self, node: Node, predictor: Predictor | None) -> None:
        self.node = node
        self.predictor = predictor
        self.divisible = hasattr(predictor, "self_check")  # a model that came from a folder
        """Whether several calls with a part of the inputs each are as good as one with all."""
        self.expected_ms: float | None = None
        """Running mean of the time of one input; None before the first."""
        self._ask = self._asking()
        self._limit = TimeLimit()

    def answer(self, inputs: Sequence[Any]) -> list[Outcome]:
        """An outcome for each input.

        Raises:
            NodeError: an input cannot be answered, and the policy is to fail.
        """
        started = perf_counter()
        try:
            given = self._within_time(inputs)
        except Exception as error:  # whatever a model, an endpoint or a plug-in may raise
            return self._after(error, inputs, 1e3 * (perf_counter() - started))
        ms = 1e3 * (perf_counter() - started) / max(1, len(inputs))
        known = self.expected_ms
        self.expected_ms = ms if known is None else known + _SMOOTHING * (ms - known)
        return [Outcome(value, ms, usd) for value, usd in given]

    def _asking(self) -> Callable[[Sequence[Any]], list[tuple[Any, float | None]]]:
        predictor = self.predictor
        if predictor is None:
            kind = self.node.item
            step = step_of(self.node.spec, multilabel=isinstance(kind, Answer) and kind.multilabel)
            return lambda inputs: [(step(value), 0.0) for value in inputs]
        if self._costs and isinstance(predictor, Priced):
            priced = predictor.predict_priced
            return lambda inputs: cast("list[tuple[Any, float | None]]", priced(list(inputs)))
        usd = None if self._costs else 0.0
        return lambda inputs: [(value, usd) for value in predictor.predict(inputs)]

    def _within_time(self, inputs: Sequence[Any]) -> list[tuple[Any, float | None]]:
        limit = self.node.spec.timeout_ms
        if limit is None:
            given = self._ask(inputs)
        else:
            given = self._limit.call(lambda: self._ask(inputs), limit * len(inputs) / 1e3)
        if len(given) != len(inputs):
            raise ValueError(f"{len(given)} answers to {len(inputs)} inputs")
        return given

    def _after(self, error: Exception, inputs: Sequence[Any], ms: float) -> list[Outcome]:
        """What the policy makes of an error; of several inputs, only the guilty one suffers."""
        policy = self.node.spec.on_error
        if isinstance(error, BudgetReached) and policy == "fail":
            raise error  # it has an exit code of its own, and the work can be resumed
        if policy == "fail":
            raise self._failure(error) from error
        if len(inputs) > 1:
            return [outcome for value in inputs for outcome in self.answer([value])]
        return [Outcome(self._instead(), ms, None if self._costs else 0.0, _said(error))]

    @property
    def _costs(self) -> bool:
        return self.node.part is not None and not self.node.part.free

    def _instead(self) -> Value | Missing:
        default = self.node.spec.default
        if isinstance(default, str) and isinstance(self.node.item, Written):
            return Prediction(Text(default))
        if default is not None:
            return Prediction(tuple(default) if isinstance(default, list) else default)
        if self.predictor is None:
            return Missing("failed")
        return Prediction(None, deferred="failed")

    def _failure(self, error: Exception) -> NodeError:
        kind = NodeTimeout if isinstance(error, TimeoutError) else NodeError
        return kind(
            f"node {self.node.name!r} failed: {_said(error)}",
            where=self.node.where,
            hint="Try again; to go on without it, give the node 'on_error: defer'.",
        )


def _said(error: Exception) -> str:
    """An error in a sentence, without a place or a remedy that were meant for somebody else."""
    if isinstance(error, PotstillError):
        return error.message
    said = str(error) or type(error).__name__
    return said if said.endswith(".") else f"{said}."
