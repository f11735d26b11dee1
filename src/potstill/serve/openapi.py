"""``/openapi.json``, made from what is served: the labels and fields of each model are types.

The document is made when it is asked for, and again when a version changes: a new version may
have other labels.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.serve.answers import SHARE, Schema, prediction_schema
from potstill.serve.facts import Facts
from potstill.serve.hall import Hall
from potstill.serve.routes.predict import MOST_LABELS
from potstill.serve.visit import visit_of

_ABOUT = (
    "Every error is `{error: {code, message, hint, request}}`. A request may carry "
    "`X-Request-Id`, which goes back and into the log, and `X-Timeout-Ms`, its own deadline. "
    "Under `/v2` stand the routes of the Open Inference Protocol, which has a document of its own."
)
_TEXT: Schema = {"type": "string", "minLength": 1, "pattern": r"\S"}
_ERRORS = {
    400: "Not JSON.",
    401: "No key, or an unknown one.",
    404: "No model of this name.",
    408: "The body did not come in time.",
    413: "The body, or the number of inputs, is too large.",
    415: "Another content type.",
    422: "Not what the model reads.",
    429: "Too busy; Retry-After says when to come back.",
    500: "The model raised an error.",
    504: "The deadline has passed.",
}


def routes(hall: Hall) -> list[Route]:
    """The document, and a page that shows it."""

    @lru_cache(1)
    def made(_versions: tuple[tuple[str, str], ...]) -> bytes:
        return orjson.dumps(document(hall))

    async def openapi(request: Request) -> Response:
        visit_of(request).route = "/openapi.json"
        return Response(made(hall.registry.versions), media_type="application/json")

    return [Route("/openapi.json", openapi)]


def document(hall: Hall) -> Schema:
    """The OpenAPI 3.1 document of a server."""
    paths: Schema = {
        "/health": _get("Whether the process is alive.", {"status": {"const": "ok"}}),
        "/ready": _get(
            "Whether the server wants requests.",
            {"status": {"enum": ["ready", "draining", "stuck"]}, "models": {"type": "object"}},
            {503: "Draining, or stuck."},
        ),
        "/metrics": {
            "get": {
                "summary": "Counts and times, for Prometheus.",
                "responses": {"200": {"description": "Text.", "content": {"text/plain": {}}}},
            }
        },
        "/v1/models": _get("What is served.", {"data": {"type": "array"}}),
    }
    schemas: Schema = {"Error": _error_schema()}
    for entry in hall.registry:
        paths |= _model_paths(entry.name, entry.current.facts, schemas, hall.settings.max_inputs)
    names = [entry.name for entry in hall.registry if entry.current.facts.labelling]
    if names:
        paths["/v1/classify"] = _classify(hall, names)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Potstill", "version": version("potstill"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        **({"security": [{"key": []}]} if hall.settings.keys else {}),
    }


def _model_paths(name: str, facts: Facts, schemas: Schema, most: int) -> Schema:
    """The routes of one model; its types go into ``schemas``."""
    ref = "#/components/schemas/{}".format
    if facts.labelling:
        schemas[f"{name}.Label"] = {
            "type": "string",
            "enum": list(facts.labels),
            "description": "; ".join(f"{k}: {v}" for k, v in facts.labels.items() if v),
        }
    schemas[f"{name}.Input"] = _input_schema(facts)
    schemas[f"{name}.Prediction"] = prediction_schema(facts, {"$ref": ref(f"{name}.Label")})
    one, answer = {"$ref": ref(f"{name}.Input")}, {"$ref": ref(f"{name}.Prediction")}
    several: Schema = {"type": "array", "items": one, "minItems": 1, "maxItems": most}
    options: Schema = {
        "top_k": {"type": "integer", "minimum": 0, "maximum": MOST_LABELS, "default": 0},
        "truncate": {"type": "boolean", "default": True},
    }
    wanted: Schema = {
        "oneOf": [
            _object({"input": one, **options}, ["input"]),
            _object({"inputs": several, **options}, ["inputs"]),
        ]
    }
    given: Schema = {
        "type": "object",
        "properties": {
            "model": {"const": name},
            "version": {"type": "string"},
            "prediction": answer,
            "predictions": {"type": "array", "items": answer},
        },
        "required": ["model", "version"],
    }
    return {
        f"/v1/models/{name}": _get(facts.description or name, {"id": {"const": name}}),
        f"/v1/models/{name}/predict": _post(facts.description or name, wanted, given),
        f"/v1/models/{name}/stream": {
            "post": {
                "summary": "JSON lines in, JSON lines out, in order.",
                "requestBody": {
                    "content": {"application/x-ndjson": {"schema": {}}},
                },
                "responses": {
                    "200": {
                        "description": "A prediction, or an error, for each line.",
                        "content": {"application/x-ndjson": {}},
                    },
                    **_errors(401, 415, 429),
                },
            }
        },
    }


def _input_schema(facts: Facts) -> Schema:
    if not facts.fields:
        return _TEXT
    fields = _object({name: {"type": "string"} for name in facts.fields}, list(facts.fields))
    # One text at least has a word in it.
    fields["anyOf"] = [{"properties": {name: _TEXT}} for name in facts.fields]
    return fields


def _classify(hall: Hall, names: list[str]) -> Schema:
    ways: list[Schema] = []
    for name in names:
        one = {"$ref": f"#/components/schemas/{name}.Input"}
        most = hall.settings.max_inputs
        several = {"type": "array", "items": one, "minItems": 1, "maxItems": most}
        ways.append(
            {
                "type": "object",
                "properties": {"model": {"const": name}, "input": {"anyOf": [one, several]}},
                "required": ["model", "input"] if len(hall.registry) > 1 else ["input"],
            }
        )
    wanted: Schema = {"oneOf": ways}
    given: Schema = {
        "type": "object",
        "properties": {
            "object": {"const": "list"},
            "model": {"enum": names},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer"},
                        "label": {"type": ["string", "null"]},
                        "probs": {"type": "array", "items": SHARE},
                        "num_classes": {"type": "integer"},
                    },
                    "required": ["index", "label", "probs", "num_classes"],
                },
            },
            "usage": {"type": "object"},
        },
        "required": ["id", "object", "created", "model", "data", "usage"],
    }
    return _post("Classification as vLLM and SGLang speak it.", wanted, given)


def _get(summary: str, properties: Schema, more: dict[int, str] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "required": list(properties)}
    content = {"application/json": {"schema": schema}}
    statuses = {200: "OK.", **(more or {})}
    return {
        "get": {
            "summary": summary,
            "responses": {
                **{
                    str(status): {"description": description, "content": content}
                    for status, description in statuses.items()
                },
                **_errors(401),
            },
        }
    }


def _post(summary: str, wanted: Schema, given: Schema) -> Schema:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": {"schema": wanted}}},
            "responses": {
                "200": {
                    "description": "The answer.",
                    "content": {"application/json": {"schema": given}},
                },
                **_errors(*_ERRORS),
            },
        }
    }


def _errors(*statuses: int) -> Schema:
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        str(status): {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": schema}},
        }
        for status in statuses
    }


def _error_schema() -> Schema:
    keys = ["code", "message", "hint", "request"]
    inner = _object({key: {"type": "string"} for key in keys}, keys)
    return _object({"error": inner}, ["error"])


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
