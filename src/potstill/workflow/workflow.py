"""`Workflow`: several small models in company, answering as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, overload

from potstill.data.composed import Composed
from potstill.data.example import Deferral, Input, Prediction, Predictor, Target, text_of
from potstill.errors import DataError, ModelError, SpecError
from potstill.runtime.cores import cores
from potstill.runtime.loading import load_model
from potstill.spec.loading import load_task, load_workflow
from potstill.workflow.confidence import Way, reliances
from potstill.workflow.execute import Given, Row, execute
from potstill.workflow.graph import Graph, Node
from potstill.workflow.parts import ModelLoader, Part, TeacherLoader
from potstill.workflow.reading import read_graph
from potstill.workflow.running import Runner
from potstill.workflow.trace import NodeTrace, Traced
from potstill.workflow.types import Answer, Fields, described, labels_of, names_in, spec_of
from potstill.workflow.values import Missing, hash_of, product

_AT_ONCE = 64
"""Inputs that `stream` answers together."""


class Workflow:
    """A typed graph of models, other workflows, teachers and steps: a `Predictor`.

    The same input gets the same answer alone or among others, from any thread; see
    `Workflow.load` to make one.

    Args:
        graph: the workflow file, understood.
        predictors: by node; steps have none.
        workers: see `load`.
    """

    def __init__(
        self, graph: Graph, predictors: Mapping[str, Predictor], *, workers: int | None = None
    ) -> None:
        self.graph = graph
        self.workers = workers or cores()
        self._waves = [
            [Runner(node, predictors.get(node.name)) for node in wave] for wave in graph.waves
        ]
        self._reliances = {node.name: reliances(node) for node in graph.nodes}
        items = {node.name: node.item for node in graph.nodes}
        self._final = {
            name: {label: graph.final_label(name, label) for label in labels_of(items[name])}
            for name in graph.loaded.workflow.output.first
        }
        self._no_scores = dict.fromkeys(labels_of(graph.answer), 0.0)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        overrides: Sequence[str] = (),
        load_model: ModelLoader | None = None,
        load_teacher: TeacherLoader | None = None,
        workers: int | None = None,
    ) -> Workflow:
        """Load a workflow file and all that it is made of.

        Args:
            path: the YAML file.
            overrides: ``key.key=value`` settings that go before the file.
            load_model: makes a predictor of a model folder; `load_model` unless given.
            load_teacher: makes a predictor of a task with a teacher; where the workflow has
                one, it must be given.
            workers: threads for several inputs, and for branches of which neither needs the
                other; None is one for each core that this process may use, 1 keeps all work
                on the caller's thread.

        Raises:
            SpecError: a mistake in the file, with its line and remedy.
            ModelError: a model is damaged.
            ValueError: ``workers`` is less than one.
        """
        if workers is not None and workers < 1:
            raise ValueError("workers must be at least 1")
        graph = read_graph(load_workflow(Path(path), overrides))
        return _Loader(load_model or _one_worker, load_teacher, workers).workflow(graph)

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.graph.loaded.workflow.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in their one fixed order: those of the output's nodes, one after another.

        Of values the names of the fields; of texts, and of an answer of several parts, none.
        """
        return names_in(self.graph.answer)

    @property
    def multilabel(self) -> bool:
        """Whether an answer is a tuple of labels."""
        return isinstance(self.graph.answer, Answer) and self.graph.answer.multilabel

    @property
    def version(self) -> str:
        """Twelve digits that change when the file or any of its parts does."""
        return self.graph.version

    @property
    def paths(self) -> tuple[Path, ...]:
        """The workflow file, and the folders and files of all its parts."""
        return self.graph.paths

    @property
    def free(self) -> bool:
        """Whether its answers cost nothing beside the machine: no node asks a teacher."""
        return all(node.part is None or node.part.free for node in self.graph.nodes)

    @property
    def card(self) -> Mapping[str, Any]:
        """What a model's ``model.json`` would say of it: its name, and its task."""
        spec, answer = self.graph.loaded.workflow, spec_of(self.graph.answer)
        return {
            "name": spec.name,
            **described(self.graph.answer),
            "task": {
                "answer": None if answer is None else answer.model_dump(mode="json"),
                "description": spec.description,
                "rules": [],
                "labels": dict.fromkeys(labels_of(self.graph.answer)),
                "columns": spec.columns.model_dump(),
                "out_of_scope": spec.out_of_scope,
            },
        }

    @overload
    def predict(self, inputs: str | Mapping[str, str], /) -> Prediction: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]: ...

    def predict(self, inputs: Input | Sequence[Input], /) -> Prediction | list[Prediction]:
        """Answer one input, or each input of a sequence in its order.

        Args:
            inputs: a text, named fields, or a sequence of them; an empty sequence gives an
                empty list.

        Raises:
            DataError: an input that is not what the workflow reads.
            NodeError: a node failed whose policy is to fail.
        """
        if isinstance(inputs, str | Mapping):
            return self._finish(self._execute([inputs])[0])[0]
        return [self._finish(row)[0] for row in self._execute(inputs)]

    def stream(self, inputs: Iterable[Input]) -> Iterator[Prediction]:
        """Answer an iterable of any length, in order and in bounded memory.

        Raises:
            DataError: an input that is not what the workflow reads.
            NodeError: a node failed whose policy is to fail.
        """
        source = iter(inputs)
        while batch := list(islice(source, _AT_ONCE)):
            yield from self.predict(batch)

    def predict_priced(self, inputs: Sequence[Input], /) -> list[tuple[Prediction, float | None]]:
        """Answer each input, with the money in USD that it cost; None is unknown.

        Raises:
            DataError: an input that is not what the workflow reads.
            NodeError: a node failed whose policy is to fail.
        """
        return [(traced.prediction, traced.usd) for traced in self.run(inputs)]

    def run(self, inputs: Sequence[Input], *, given: Given | None = None) -> list[Traced]:
        """Answer each input, and tell what happened in each node.

        Args:
            inputs: texts or named fields.
            given: answers, by node and row, that stand in for the node's own wherever it would
                have run; None in a row lets the node answer.

        Raises:
            DataError: an input that is not what the workflow reads.
            NodeError: a node failed whose policy is to fail.
        """
        return [self._traced(row) for row in self._execute(inputs, given)]

    def close(self) -> None:
        """Let go what the parts hold open: a teacher's connections, its ledger."""
        parts = {id(runner.predictor): runner.predictor for wave in self._waves for runner in wave}
        for part in parts.values():
            close = getattr(part, "close", None)
            if close is not None:
                close()

    def _execute(self, inputs: Sequence[Input], given: Given | None = None) -> list[Row]:
        read = [self._read(value) for value in inputs]
        return execute(self._waves, read, workers=self.workers, given=given)

    def _read(self, value: Any) -> Input:
        """An input as the workflow reads it: one text, or its fields in their order."""
        if not isinstance(value, str | Mapping):
            raise DataError(
                f"an input is a text or named fields, not {type(value).__name__}.",
                hint="Give a string, or a mapping of names to strings.",
            )
        reads = self.graph.reads
        if not isinstance(reads, Fields):
            return text_of(value)
        named = {} if isinstance(value, str) else value
        found = {name: named[name] for name in reads.names if name in named}
        if not found:
            raise DataError(
                f"the workflow {self.name!r} reads {reads}.",
                hint="Give a mapping of these names to texts.",
            )
        return found

    def _finish(self, row: Row) -> tuple[Prediction, str | None]:
        """The whole's answer for one row, and the node that gave it."""
        if self.graph.parts:
            return self._composed(row), None
        reason = None
        for name in self._final:
            value = row.values[name]
            if isinstance(value, Prediction):
                return self._final_answer(name, value, row), name
            if isinstance(value, Missing):
                reason = reason or value.reason
        return Prediction(None, deferred=reason or "out_of_scope"), None

    def _composed(self, row: Row) -> Composed:
        """The parts of an answer; of an answer of a node as sure as what led to it."""
        parts: dict[str, Any] = {}
        unanswered: dict[str, Deferral] = {}
        truncated = False
        for name, reference in self.graph.parts.items():
            value = reference.read(row.values)
            way = Way(reference.node, row.values, self._reliances)
            truncated = truncated or way.truncated
            if isinstance(value, Missing):
                parts[name] = None
                if value.reason is not None:
                    unanswered[name] = value.reason
            elif isinstance(value, Prediction) and not isinstance(value, Composed):
                parts[name] = replace(value, confidence=product((way.confidence, value.confidence)))
            else:
                parts[name] = value
        silent = all(part is None for part in parts.values())
        reason: Deferral | None = None
        if silent:
            reason = next(iter(unanswered.values()), None) or "out_of_scope"
        return Composed(
            None, truncated=truncated, deferred=reason, parts=parts, unanswered=unanswered
        )

    def _final_answer(self, name: str, answer: Prediction, row: Row) -> Prediction:
        way = Way(name, row.values, self._reliances)
        confidence, labels = way.confidence, self._final[name]
        if not labels:
            return replace(
                answer,
                confidence=product((confidence, answer.confidence)),
                truncated=answer.truncated or way.truncated,
            )
        scores = None
        if answer.scores is not None and confidence is not None:
            scores = self._no_scores.copy()
            for label, score in answer.scores.items():
                scores[labels[label]] = confidence * score
        return Prediction(
            self._final_target(answer.target, labels),
            product((confidence, answer.confidence)),
            scores,
            answer.truncated or way.truncated,
            answer.deferred or (None if answer.target is not None else "failed"),
        )

    def _final_target(self, target: Target | None, labels: Mapping[str, str]) -> Target | None:
        if isinstance(target, str):
            return (labels[target],) if self.multilabel else labels[target]
        return tuple(labels[label] for label in target) if isinstance(target, tuple) else None

    def _traced(self, row: Row) -> Traced:
        prediction, by = self._finish(row)
        return Traced(prediction, by, [self._trace(node, row) for node in self.graph.nodes])

    def _trace(self, node: Node, row: Row) -> NodeTrace:
        outcome = row.outcomes.get(node.name)
        if outcome is None:
            return NodeTrace(node.name, None, row.values[node.name])
        read = hash_of(row.read[node.name])
        return NodeTrace(node.name, read, outcome.value, outcome.ms, outcome.usd, outcome.error)


class _Loader:
    """Loads the parts of a workflow, each of them once."""

    def __init__(
        self, load_model: ModelLoader, load_teacher: TeacherLoader | None, workers: int | None
    ) -> None:
        self._load_model = load_model
        self._load_teacher = load_teacher
        self._workers = workers
        self._loaded: dict[tuple[str, Path], Predictor] = {}

    def workflow(self, graph: Graph) -> Workflow:
        predictors = {
            node.name: self._predictor(node, node.part)
            for node in graph.nodes
            if node.part is not None
        }
        return Workflow(graph, predictors, workers=self._workers)

    def _predictor(self, node: Node, part: Part) -> Predictor:
        key = (node.spec.part, part.path)
        if key not in self._loaded:
            found = self._load(node, part)
            if set(found.labels) != set(names_in(part.answer)):
                raise ModelError(
                    "its labels are not those that it was checked with.",
                    where=str(part.path),
                    hint="Was it replaced just now? Load the workflow again.",
                )
            self._loaded[key] = found
        return self._loaded[key]

    def _load(self, node: Node, part: Part) -> Predictor:
        if node.spec.part == "model":
            return self._load_model(part.path)
        if node.inner is not None:
            return self.workflow(node.inner)
        if self._load_teacher is None:
            raise SpecError(
                f"node {node.name!r} asks a teacher, and none can be asked here.",
                where=node.where,
                hint="Load the workflow with 'load_teacher'.",
            )
        return self._load_teacher(load_task(part.path))


def _one_worker(folder: Path) -> Predictor:
    # The workflow divides the work itself, over the one pool of all workflows.
    return load_model(folder, workers=1)
