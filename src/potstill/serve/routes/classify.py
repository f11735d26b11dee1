"""``POST /v1/classify`` and ``/classify``: the shape that vLLM's and SGLang's clients send."""

from __future__ import annotations

import time
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.data.example import labels_of
from potstill.serve.bodies import read_json
from potstill.serve.contract import Answer
from potstill.serve.hall import Hall
from potstill.serve.inputs import check_count, read_input
from potstill.serve.refusal import Refusal
from potstill.serve.registry import Entry
from potstill.serve.visit import visit_of

PATHS = ("/v1/classify", "/classify")


def routes(hall: Hall) -> list[Route]:
    """The route, under both of its paths."""

    async def classify(request: Request) -> Response:
        visit = visit_of(request)
        visit.route = "/v1/classify"
        document = await read_json(request, hall.settings.max_body_bytes)
        entry = _entry(hall, document)
        given = document.get("input")
        values = given if isinstance(given, list) else [given]
        check_count(len(values), hall.settings.max_inputs, "'input'")
        inputs = [
            read_input(
                value, entry.current.facts, f"'input'[{at}]" if given is values else "'input'"
            )
            for at, value in enumerate(values)
        ]
        if hall.settings.log_texts:
            visit.values += inputs
        answers = await hall.answerer.answer(entry, inputs, visit)
        tokens = sum(map(hall.tokens_of(entry), inputs))
        return Response(
            orjson.dumps(
                {
                    "id": f"classify-{visit.id}",
                    "object": "list",
                    "created": int(time.time()),
                    "model": entry.name,
                    "data": [_datum(at, answer) for at, answer in enumerate(answers)],
                    "usage": {
                        "prompt_tokens": tokens,
                        "total_tokens": tokens,
                        "completion_tokens": 0,
                    },
                }
            ),
            media_type="application/json",
        )

    return [Route(path, classify, methods=["POST"]) for path in PATHS]


def _entry(hall: Hall, document: dict[str, Any]) -> Entry:
    """What is asked, which must answer with labels."""
    entry = _named(hall, document)
    if not entry.current.facts.labelling:
        raise Refusal(
            422,
            "not_labels",
            f"{entry.name} answers with {_WHAT[entry.current.facts.type]}, not with labels.",
            hint=f"Send this to /v1/models/{entry.name}/predict.",
        )
    return entry


_WHAT = {
    "extraction": "values of fields",
    "generation": "a text",
    "composite": "several parts",
}


def _named(hall: Hall, document: dict[str, Any]) -> Entry:
    name = document.get("model")
    if name is None and len(hall.registry) == 1:
        return next(iter(hall.registry))
    if not isinstance(name, str):
        raise Refusal(
            422,
            "invalid",
            "the body names no 'model'.",
            hint=f"Served: {', '.join(name for name, _ in hall.registry.versions)}.",
        )
    return hall.registry.find(name)


def _datum(index: int, answer: Answer) -> dict[str, Any]:
    """One classification; a deferred one has null for its label."""
    prediction = answer.prediction
    scores = list((prediction.scores or {}).values())
    given = labels_of(prediction.answer)
    row: dict[str, Any] = {
        "index": index,
        "label": None if prediction.answer is None else ", ".join(given),
        "probs": scores,
        "num_classes": len(scores),
    }
    if prediction.deferred is not None:
        row["deferred"] = prediction.deferred
    return row
