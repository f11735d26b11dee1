"""What ``model.json`` tells a person, and another machine, besides figures."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from potstill.runtime.decision import Decision
from potstill.runtime.reading import Reader
from potstill.runtime.session import run_one
from potstill.spec.task import Task

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MOST_PROBES = 8


def describe_task(task: Task | None) -> dict[str, Any]:
    """What a person who meets the model later needs to know of the task."""
    if task is None:
        return {"description": "", "rules": [], "labels": {}, "columns": None, "out_of_scope": None}
    return {
        "answer": task.answer.model_dump(mode="json"),
        "description": task.description,
        "rules": list(task.rules),
        "labels": dict(task.labels),
        "columns": task.data.columns.model_dump(),
        "out_of_scope": task.data.out_of_scope,
    }


def make_probes(
    decision: Decision, session: InferenceSession, reader: Reader, task: Task | None
) -> list[dict[str, Any]]:
    """Inputs made of label names and descriptions, never of data, with the graph's scores."""
    described = dict(task.labels) if task is not None else {}
    labels = decision.labels[:: -(-len(decision.labels) // _MOST_PROBES)]
    probes: list[dict[str, Any]] = []
    for label in labels:
        text = ": ".join(filter(None, (label.replace("_", " "), described.get(label))))
        logits = run_one(session, reader.read(text)[0])
        probes.append({"text": text, "scores": decision.probabilities(logits).tolist()})
    return probes


def versions() -> dict[str, str]:
    """Versions of what made the model, by package."""
    packages = ("potstill", "torch", "transformers", "onnx", "onnxruntime", "tokenizers")
    return {package: version(package) for package in packages}
