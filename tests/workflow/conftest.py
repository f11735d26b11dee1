"""Workflows of models that exist as cards alone, and answer by rules that a test can follow."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from potstill.data.example import Input, Prediction, text_of
from potstill.runtime.decision import Decision
from potstill.runtime.folder import seal
from potstill.workflow import Workflow

TAXONOMIES: dict[str, tuple[str, ...]] = {
    "route": ("banking", "complaint", "weather"),
    "banking": ("card_arrival", "lost_card"),
    "complaints": ("debt", "mortgage"),
    "tags": ("urgent", "angry"),
}

_SAID = re.compile(r"(\w+)(\?)?(?:=(0\.\d+))?")


class Words:
    """Answers the label that stands in the text, with the confidence that stands after it.

    ``lost_card=0.7`` is that label at 0.7; a label followed by ``?`` is deferred; ``boom``
    raises; without a label the first one is answered at 0.6.
    """

    def __init__(self, name: str, labels: Sequence[str], *, multilabel: bool = False) -> None:
        self.name = name
        self.labels = tuple(labels)
        self.multilabel = multilabel
        self.calls: list[list[str]] = []
        self.threads: set[int] = set()

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        self.threads.add(threading.get_ident())
        self.calls.append([text_of(value) for value in inputs])
        return [self._answer(text_of(value)) for value in inputs]

    def _answer(self, text: str) -> Prediction:
        if f"boom-{self.name}" in text:
            raise RuntimeError("the wheels came off")
        found = [match.groups() for match in _SAID.finditer(text) if match[1] in self.labels]
        label, _, sure = found[0] if found else (self.labels[0], "", "0.6")
        confidence = float(sure or 0.9)
        deferred = "unsure" if any(doubt for _, doubt, _ in found) else None
        if self.multilabel:
            return Prediction(tuple(one[0] for one in found), confidence, None, False, deferred)
        rest = (1.0 - confidence) / (len(self.labels) - 1)
        scores = {name: confidence if name == label else rest for name in self.labels}
        return Prediction(label, confidence, scores, "cut" in text, deferred)


@pytest.fixture
def predictors() -> dict[str, Words]:
    """What stands in for each model, by the name of its folder."""
    return {
        name: Words(name, labels, multilabel=name == "tags") for name, labels in TAXONOMIES.items()
    }


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A folder with a model folder for each taxonomy that holds nothing but its card."""
    for name, labels in TAXONOMIES.items():
        write_card(tmp_path / name, labels, multilabel=name == "tags")
    write_card(tmp_path / "letters", ("yes", "no"), columns=["subject", "body"])
    return tmp_path


def write_card(
    folder: Path,
    labels: Sequence[str],
    *,
    multilabel: bool = False,
    columns: str | list[str] = "text",
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    decision = Decision(tuple(labels), multilabel, 1.0, (0.5,) * len(labels) if multilabel else ())
    document = {
        "name": folder.name,
        **decision.to_json(),
        "task": {"columns": {"input": columns}},
        "probes": [],
    }
    (folder / "model.json").write_bytes(seal(document))


@pytest.fixture
def make_card() -> Callable[..., None]:
    return write_card


@pytest.fixture
def write(cards: Path) -> Callable[..., Path]:
    """Write a workflow file: its nodes and its output as YAML."""

    def write(nodes: str, output: str, more: str = "", name: str = "workflow") -> Path:
        path = cards / f"{name}.yaml"
        body = "\n".join(f"  {line}" for line in nodes.strip("\n").splitlines())
        path.write_text(
            f"kind: workflow\nversion: 1\nname: {name}\n{more}nodes:\n{body}\noutput: {output}\n",
            encoding="utf-8",
        )
        return path

    return write


@pytest.fixture
def load(write: Callable[..., Path], predictors: Mapping[str, Words]) -> Callable[..., Workflow]:
    """Load a workflow whose models are `Words`."""

    def load(nodes: str, output: str, more: str = "", workers: int | None = 1) -> Workflow:
        return Workflow.load(
            write(nodes, output, more),
            load_model=lambda folder: predictors[folder.name],
            load_teacher=lambda task: predictors[task.task.name],
            workers=workers,
        )

    return load


INTAKE = """
route: {model: route}
banking: {model: banking, when: {route.label: banking}}
complaints: {model: complaints, when: {route.label: [complaint]}}
"""


@pytest.fixture
def intake(load: Callable[..., Workflow]) -> Workflow:
    return load(
        INTAKE,
        "{first: [banking, complaints, route], prefix: true}",
        "out_of_scope: oos\n",
    )
