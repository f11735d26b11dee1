"""What a server tells of a servable: its kind, version, fields and the files it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from potstill.serve.contract import Servable
from potstill.spec.answer import AnswerSpec

Kind = Literal["model", "workflow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one loaded servable.

    Attributes:
        kind: a model, or a workflow of several.
        version: twelve digits that change when its answers may.
        description: the question that it answers.
        labels: each label with its description or None.
        multilabel: whether an answer is a list of labels.
        answer: ``type`` of the answers, with the ``fields`` of an extraction or the ``parts`` of
            a workflow's answer that has several.
        fields: names of an input's fields; empty where it is one text.
        max_tokens: tokens that a model reads of an input; None where there is no one number.
        paths: files and folders whose change makes a new version.
        free: whether its answers cost nothing beside the machine.
    """

    kind: Kind
    version: str
    description: str
    labels: Mapping[str, str | None]
    multilabel: bool
    answer: Mapping[str, Any]
    fields: tuple[str, ...]
    max_tokens: int | None
    paths: tuple[Path, ...]
    free: bool = True

    @property
    def type(self) -> str:
        """Kind of task; ``composite`` where an answer has several parts."""
        return str(self.answer["type"])

    @property
    def labelling(self) -> bool:
        """Whether an answer is a label or several."""
        return self.type in ("classification", "multilabel")

    def to_json(self, name: str) -> dict[str, Any]:
        """What ``GET /v1/models/{name}`` answers."""
        return {
            "id": name,
            "object": "model",
            "owned_by": "potstill",
            "kind": self.kind,
            "version": self.version,
            "description": self.description,
            "type": self.type,
            "labels": dict(self.labels),
            "answer": dict(self.answer),
            "fields": list(self.fields) or None,
            "max_tokens": self.max_tokens,
        }


def facts_of(servable: Servable, path: Path) -> Facts:
    """Read what a model's card, or a workflow, says of itself.

    Args:
        servable: a `runtime.Model`, a workflow, or anything else that predicts.
        path: where it was loaded from.
    """
    known: Any = servable
    card = cast("Mapping[str, Any]", getattr(known, "card", None) or {})
    task = cast("Mapping[str, Any]", card.get("task") or {})
    columns = cast("Mapping[str, Any]", task.get("columns") or {})
    text = getattr(known, "columns", None)
    wanted: Any = text.input if text is not None else columns.get("input", "text")
    described = cast("Mapping[str, str | None]", task.get("labels") or {})
    answer = _answer_of(servable, card)
    labelling = answer["type"] in ("classification", "multilabel")
    version = getattr(known, "version", None) or str(card.get("checksum", ""))[:12]
    return Facts(
        kind="model" if "checksum" in card else "workflow",
        version=version or "unversioned",
        description=task.get("description") or getattr(known, "description", "") or "",
        labels={label: described.get(label) for label in servable.labels} if labelling else {},
        multilabel=servable.multilabel,
        answer=answer,
        fields=() if isinstance(wanted, str) else tuple(wanted),
        max_tokens=getattr(known, "max_tokens", None),
        paths=tuple(getattr(known, "paths", None) or (path,)),
        free=getattr(known, "free", True),
    )


def _answer_of(servable: Servable, card: Mapping[str, Any]) -> Mapping[str, Any]:
    """The type of the answers, with their fields or their parts."""
    if card.get("type") == "composite":
        return {"type": "composite", "parts": card["parts"]}
    if "type" not in card:
        return {"type": "multilabel" if servable.multilabel else "classification"}
    spec = AnswerSpec.of_card(card)
    fields = spec.model_dump(mode="json")["fields"]
    return {"type": spec.type, **({"fields": fields} if fields else {})}
