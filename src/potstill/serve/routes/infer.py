"""The Open Inference Protocol v2, for the clients of KServe, Triton and their like.

Inputs are BYTES tensors: ``text``, or one tensor for each named field. Outputs are ``label``
(BYTES; empty where the input was deferred, a JSON list where a model gives several),
``confidence`` (FP32), ``scores`` (FP32, a row a text, in the order of the labels) and
``deferred`` (BYTES; why, or empty). In place of ``label`` stands ``fields`` where a model finds
values, ``parts`` where a workflow's answer has several (both BYTES of JSON, as ``predict`` has
it), and ``text`` where a model writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.data.example import Input, Prediction, Text
from potstill.serve.bodies import JSON_TYPES, check_type, parse_object, read_body
from potstill.serve.contract import Answer
from potstill.serve.facts import Facts
from potstill.serve.hall import Hall
from potstill.serve.inputs import check_count, read_input
from potstill.serve.refusal import Refusal
from potstill.serve.registry import Entry
from potstill.serve.tensors import Tensor, datatype_of, parameters_of, read_texts
from potstill.serve.visit import visit_of

_MODEL = "/v2/models/{name}"
_BINARY = "inference-header-content-length"


def routes(hall: Hall, ready: Callable[[], bool]) -> list[Route]:
    """Server and model metadata, health, and ``infer``, each also under its version.

    Args:
        hall: the server's parts.
        ready: whether the server wants requests.
    """

    async def server(request: Request) -> Response:
        visit_of(request).route = "/v2"
        return _json(
            {
                "name": "potstill",
                "version": version("potstill"),
                "extensions": ["binary_tensor_data"],
            }
        )

    async def live(request: Request) -> Response:
        visit_of(request).route = "/v2/health/live"
        return _json({"live": True})

    async def is_ready(request: Request) -> Response:
        visit_of(request).route = "/v2/health/ready"
        return _json({"ready": ready()}, 200 if ready() else 503)

    async def metadata(request: Request) -> Response:
        visit_of(request).route = _MODEL
        entry = _entry(hall, request)
        return _json(model_metadata(entry.name, entry.current.facts))

    async def model_ready(request: Request) -> Response:
        visit_of(request).route = f"{_MODEL}/ready"
        entry = _entry(hall, request)
        return _json({"name": entry.name, "ready": ready()}, 200 if ready() else 503)

    async def infer(request: Request) -> Response:
        visit_of(request).route = f"{_MODEL}/infer"
        return await _infer(hall, _entry(hall, request), request)

    return [
        Route("/v2", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", is_ready),
        *_versioned("", metadata),
        *_versioned("/ready", model_ready),
        *_versioned("/infer", infer, method="POST"),
    ]


def _versioned(
    end: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET"
) -> list[Route]:
    paths = (_MODEL + end, _MODEL + "/versions/{version}" + end)
    return [Route(path, endpoint, methods=[method]) for path in paths]


def _entry(hall: Hall, request: Request) -> Entry:
    entry = hall.registry.find(request.path_params["name"])
    wanted, here = request.path_params.get("version"), entry.current.facts.version
    if wanted not in (None, here):
        raise Refusal(
            404,
            "unknown_version",
            f"{entry.name} is served in version {here}, not {wanted[:50]!r}.",
            hint="Leave the version out to ask for whatever is served.",
        )
    return entry


def model_metadata(name: str, facts: Facts) -> dict[str, Any]:
    """What the protocol calls a model's metadata."""
    shapes = {"scores": [-1, len(_scored(facts))]}
    return {
        "name": name,
        "versions": [facts.version],
        "platform": "potstill",
        "inputs": [
            {"name": field, "datatype": "BYTES", "shape": [-1]}
            for field in facts.fields or ("text",)
        ],
        "outputs": [
            {"name": output, "datatype": datatype_of(output), "shape": shapes.get(output, [-1])}
            for output in _outputs(facts)
        ],
    }


def _outputs(facts: Facts) -> tuple[str, ...]:
    """The names of what goes back, by what kind of answers there are."""
    match facts.type:
        case "extraction":
            return ("fields", "confidence", "scores", "deferred")
        case "generation":
            return ("text", "deferred")
        case "composite":
            return ("parts", "deferred")
        case _:
            return ("label", "confidence", "scores", "deferred")


def _scored(facts: Facts) -> tuple[str, ...]:
    """What has a score each: the labels, or the fields."""
    return tuple(facts.labels or facts.answer.get("fields", ()))


async def _infer(hall: Hall, entry: Entry, request: Request) -> Response:
    visit = visit_of(request)
    check_type(request, JSON_TYPES | {"application/octet-stream"}, "application/json")
    body = await read_body(request, hall.settings.max_body_bytes)
    document, binary = _split(body, request.headers.get(_BINARY))
    facts = entry.current.facts
    values = _values(document, binary, facts, hall.settings.max_inputs)
    wanted = _wanted(document, _outputs(facts))
    identifier = document.get("id", visit.id)
    if not isinstance(identifier, str):
        raise _wrong("'id' is not a text.", "Send a string, or leave it out.")
    if hall.settings.log_texts:
        visit.values += values
    answers = await hall.answerer.answer(entry, values, visit)
    content: dict[str, Any] = {
        "model_name": entry.name,
        "model_version": visit.version,
        "id": identifier,
    }
    outputs: list[dict[str, Any]] = []
    trailing: list[bytes] = []
    for tensor in _tensors(answers, facts):
        if (as_binary := wanted(tensor.name)) is None:
            continue
        if as_binary:
            described, data = tensor.to_binary()
            trailing.append(data)
        else:
            described = tensor.to_json()
        outputs.append(described)
    head = orjson.dumps({**content, "outputs": outputs})
    if not trailing:
        return Response(head, media_type="application/json")
    return Response(
        b"".join([head, *trailing]),
        headers={_BINARY: str(len(head))},
        media_type="application/octet-stream",
    )


def _split(body: bytes, header: str | None) -> tuple[dict[str, Any], memoryview]:
    """The JSON part of a body, and the binary part after it."""
    end = len(body)
    if header is not None:
        if not header.isdigit() or int(header[:12]) > end:
            raise _wrong(f"{_BINARY} is not a length within the body.", "Send the JSON's length.")
        end = int(header)
    return parse_object(body[:end]), memoryview(body)[end:]


def _values(document: dict[str, Any], binary: memoryview, facts: Facts, most: int) -> list[Input]:
    """The inputs that the tensors hold, one a row."""
    names = facts.fields or ("text",)
    columns: dict[str, list[Any]] = {}
    for tensor in _objects(document, "inputs"):
        name = tensor.get("name")
        if name not in names:
            raise _wrong(
                f"there is no input {str(name)[:100]!r}.", f"This model reads: {', '.join(names)}."
            )
        columns[cast("str", name)], taken = read_texts(tensor, binary)
        binary = binary[taken:]
    missing = [name for name in names if name not in columns]
    if missing:
        raise _wrong(f"the input {missing[0]!r} is missing.", f"Send: {', '.join(names)}.")
    if len({len(column) for column in columns.values()}) > 1:
        raise _wrong("the inputs have different lengths.", "Send one element a row in each.")
    rows = list(zip(*(columns[name] for name in names), strict=True))
    check_count(len(rows), most, "'inputs'")
    return [
        read_input(
            dict(zip(names, row, strict=True)) if facts.fields else row[0], facts, f"row {at}"
        )
        for at, row in enumerate(rows)
    ]


def _wanted(document: dict[str, Any], known: Sequence[str]) -> Callable[[str], bool | None]:
    """Whether an output goes back in binary; None for one that was not asked for."""
    everything = bool(parameters_of(document).get("binary_data_output"))
    if "outputs" not in document:
        return lambda _: everything
    asked = {
        str(output.get("name")): bool(parameters_of(output).get("binary_data", everything))
        for output in _objects(document, "outputs")
    }
    unknown = asked.keys() - set(known)
    if unknown:
        raise _wrong(
            f"there is no output {min(unknown)[:100]!r}.",
            f"Ask for {', '.join(known[:-1])} or {known[-1]}.",
        )
    return asked.get


def _objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _wrong(f"{key!r} is not a list of objects.", "Send tensors as the protocol has them.")
    return cast("list[dict[str, Any]]", found)


def _tensors(answers: Sequence[Answer], facts: Facts) -> list[Tensor]:
    predictions = [answer.prediction for answer in answers]
    rows = len(predictions)
    first, *others = _outputs(facts)
    scored = _scored(facts)
    found = {
        "confidence": Tensor("confidence", (rows,), [one.confidence or 0.0 for one in predictions]),
        "scores": Tensor(
            "scores",
            (rows, len(scored)),
            [(one.scores or {}).get(name, 0.0) for one in predictions for name in scored],
        ),
        "deferred": Tensor("deferred", (rows,), [one.deferred or "" for one in predictions]),
    }
    said = Tensor(first, (rows,), [_said(one, first) for one in predictions])
    return [said, *(found[name] for name in others)]


def _said(prediction: Prediction, output: str) -> str:
    """An answer in one text; the empty one where there is none."""
    if output in ("fields", "parts"):
        return orjson.dumps(prediction.to_json()[output]).decode()
    match prediction.answer:
        case Text(text) | str(text):
            return text
        case tuple(labels):
            return orjson.dumps(labels).decode()
        case _:
            return ""


def _wrong(message: str, hint: str) -> Refusal:
    return Refusal(422, "bad_tensor", message, hint=hint)


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
