"""What an answer looks like, as JSON Schema: for ``/openapi.json``, made from what is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.serve.facts import Facts

Schema = dict[str, Any]

SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_REASONS: Schema = {"enum": ["unsure", "out_of_scope", "failed"]}
_TEXT: Schema = {"type": "string"}
_DATE: Schema = {"type": "string", "format": "date"}
_AMOUNT: Schema = {
    "type": "object",
    "properties": {"amount": _TEXT, "currency": {"type": ["string", "null"]}},
    "required": ["amount", "currency"],
}


def prediction_schema(facts: Facts, label: Schema) -> Schema:
    """One prediction, with who gave it.

    Args:
        facts: of the servable.
        label: a label of its taxonomy, where it has one.
    """
    answered: Schema = {
        "answered_by": {"enum": ["model", "workflow", "teacher", "nobody"]},
        "fallback": {"enum": ["teacher", "queued", "abstained", "unavailable"]},
    }
    said = _said(facts.answer, label)
    said["properties"] |= answered
    said["required"] = ["answered_by"]
    return said


def _said(answer: Mapping[str, Any], label: Schema) -> Schema:
    """A prediction of any type."""
    sureness: Schema = {"confidence": SHARE, "deferred": _REASONS, "truncated": {"const": True}}
    match answer["type"]:
        case "extraction":
            fields = _fields(answer["fields"])
            scores = _scores({"enum": [*answer["fields"]]})
            guess = _object({"fields": fields, "unsure": _list({"enum": [*answer["fields"]]})})
            own = {"fields": fields, "guess": guess, "scores": scores}
        case "generation":
            text = {"text": {"type": ["string", "null"]}}
            own = {**text, "guarded": _list(_TEXT), "guess": _object(text)}
        case "composite":
            parts = {name: _optional(_part(part)) for name, part in answer["parts"].items()}
            reasons = {"type": "object", "additionalProperties": _REASONS}
            return _object({"parts": _object(parts), "unanswered": reasons, **sureness})
        case _:
            several = answer["type"] == "multilabel"
            target = _optional(_list(label) if several else label)
            own = {
                "labels" if several else "label": target,
                "guess": target,
                "scores": _scores(label),
                "out_of_scope": SHARE,
            }
    return _object({**own, **sureness})


def _part(part: Mapping[str, Any]) -> Schema:
    """A part of an answer: a prediction, or what stands in one."""
    found: Schema = _TEXT
    match part["type"]:
        case "classification" | "multilabel" | "extraction" | "generation" | "composite":
            found = _said(part, {"enum": part.get("labels", [])})
        case "fields":
            found = _object({name: _optional(_part(one)) for name, one in part["fields"].items()})
        case "found":
            found = _value(part["field"])
        case "list":
            found = _list(_part(part["items"]))
        case "label":
            found = {"enum": part["labels"]}
        case "labels":
            found = _list({"enum": part["labels"]})
        case "number" | "boolean" as name:
            found = {"type": name}
        case "amount":
            found = _AMOUNT
        case _:
            pass
    return found


def _fields(fields: Mapping[str, Mapping[str, Any]]) -> Schema:
    """The values of fields; null where the model is unsure, absent where there is none."""
    found: Schema = {}
    for name, spec in fields.items():
        found[name] = _optional(_list(_value(spec)))
        if spec.get("description"):
            found[name]["description"] = spec["description"]
    return _object(found)


def _value(field: Mapping[str, Any]) -> Schema:
    """One value, with the words that it rests on and where they stand."""
    kinds: dict[str, Schema] = {
        "date": _DATE,
        "integer": {"type": "integer"},
        "money": _AMOUNT,
        "choice": {"enum": [*field["choices"]]},
    }
    at: Schema = {"type": "integer", "minimum": 0}
    value = kinds.get(field["type"], _TEXT)
    return _object(
        {"value": value, "text": _TEXT, "start": at, "end": at, "confidence": SHARE}, ["value"]
    )


def _scores(named: Schema) -> Schema:
    return {"type": "object", "propertyNames": named, "additionalProperties": SHARE}


def _optional(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(properties: Schema, required: Sequence[str] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": properties}
    return found | ({"required": [*required]} if required else {})
