"""``POST /v1/models/{name}/predict``: our own shape, one input or many."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.data.example import Prediction
from potstill.serve.bodies import read_json
from potstill.serve.contract import Answer
from potstill.serve.hall import Hall
from potstill.serve.inputs import read_input, read_inputs, read_option, refuse_unknown
from potstill.serve.refusal import Refusal
from potstill.serve.visit import visit_of

KEYS = ("input", "inputs", "top_k", "truncate")
MOST_LABELS = 10_000


def routes(hall: Hall) -> list[Route]:
    """The route, for all models."""

    async def predict(request: Request) -> Response:
        visit = visit_of(request)
        visit.route = "/v1/models/{name}/predict"
        entry = hall.registry.find(request.path_params["name"])
        document = await read_json(request, hall.settings.max_body_bytes)
        facts = entry.current.facts
        refuse_unknown(document, KEYS)
        top_k: int = read_option(document, "top_k", 0, MOST_LABELS)
        truncate: bool = read_option(document, "truncate", True)
        single = "input" in document
        if single == ("inputs" in document):
            raise Refusal(
                422,
                "invalid",
                "the body has both 'input' and 'inputs'." if single else "the body has no 'input'.",
                hint='Send {"input": …} for one, or {"inputs": […]} for several.',
            )
        if single:
            values = [read_input(document["input"], facts)]
        else:
            values = read_inputs(document["inputs"], facts, hall.settings.max_inputs)
        if hall.settings.log_texts:
            visit.values += values
        answers = await hall.answerer.answer(entry, values, visit, truncate=truncate)
        rows = [answer_json(answer, top_k) for answer in answers]
        content = {"model": visit.model, "version": visit.version}
        content |= {"prediction": rows[0]} if single else {"predictions": rows}
        return Response(orjson.dumps(content), media_type="application/json")

    return [Route("/v1/models/{name}/predict", predict, methods=["POST"])]


def answer_json(answer: Answer, top_k: int) -> dict[str, Any]:
    """One answer as JSON: the prediction, who gave it, and the best scores where wanted.

    Args:
        answer: what goes back.
        top_k: how many labels to give scores of, best first.
    """
    row = answer.prediction.to_json()
    row.pop("scores", None)
    if top_k:
        row["scores"] = best_scores(answer.prediction, top_k)
    row["answered_by"] = answer.by
    if answer.fallback is not None:
        row["fallback"] = answer.fallback
    return row


def best_scores(prediction: Prediction, top_k: int) -> dict[str, float]:
    """The greatest scores, best first; equal ones in the order of the labels."""
    scores = prediction.scores or {}
    return dict(sorted(scores.items(), key=lambda item: -item[1])[:top_k])
