from __future__ import annotations

import asyncio
import json
import logging
import time

import pytest
from served import Fielded, Topics
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from potstill.data.example import Prediction
from potstill.errors import DataError, NodeError, NodeTimeout
from potstill.serve import Answer


def test_one_input(call):
    reply = call("/v1/models/topics/predict", {"input": "my loan"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "model": "topics",
        "version": "a" * 12,
        "prediction": {"label": "loan", "confidence": 0.9, "answered_by": "workflow"},
    }


def test_many_inputs_keep_their_order(call):
    texts = [f"{('card', 'loan')[n % 2]} {n}" for n in range(101)]
    rows = call("/v1/models/topics/predict", {"inputs": texts}).json["predictions"]
    assert [row["label"] for row in rows] == [text.split()[0] for text in texts]


def test_the_best_scores_where_wanted(call):
    body = {"input": "my loan", "top_k": 1}
    row = call("/v1/models/topics/predict", body).json["prediction"]
    assert row["scores"] == {"loan": 0.9}


def test_curl_calls_json_a_form(call):
    kind = {"content-type": "application/x-www-form-urlencoded"}
    reply = call("/v1/models/topics/predict", {"input": "a card"}, headers=kind)
    assert reply.json["prediction"]["label"] == "card"


def test_named_fields_and_several_labels(start):
    call = start(Fielded())
    reply = call("/v1/models/mail/predict", {"input": {"subject": "card", "body": "loan"}})
    assert reply.json["prediction"]["labels"] == ["card", "loan"]
    missing = call("/v1/models/mail/predict", {"input": {"subject": "card"}})
    assert missing.status == 422
    assert "'body'" in missing.json["error"]["message"]


def test_what_is_too_long_is_cut_unless_forbidden(call):
    cut = call("/v1/models/topics/predict", {"input": "a long card"})
    assert cut.json["prediction"]["truncated"] is True
    refused = call("/v1/models/topics/predict", {"input": "a long card", "truncate": False})
    assert (refused.status, refused.code) == (422, "too_long")


def test_a_deferred_input_has_a_guess_and_no_label(call):
    row = call("/v1/models/topics/predict", {"input": "unsure about a loan"}).json["prediction"]
    assert row["label"] is None
    assert row["guess"] == "loan"
    assert (row["deferred"], row["answered_by"], row["fallback"]) == (
        "unsure",
        "nobody",
        "abstained",
    )


class Clerk:
    """A fallback and a recorder in one."""

    dropped = 0

    def __init__(self) -> None:
        self.asked = []
        self.kept = []
        self.closed = 0

    async def answer(self, model, value, prediction):
        self.asked.append((model, value, prediction.target))
        return Answer(Prediction("card"), "teacher", "teacher", 0.002)

    def record(self, served):
        self.kept.append(served)

    async def shut(self):
        self.closed += 1


class Kept:
    def __init__(self, clerk):
        self.record = clerk.record
        self.clerk = clerk

    def close(self):
        self.clerk.closed += 1


def test_a_fallback_answers_what_is_deferred_and_all_is_recorded(start):
    clerk = Clerk()
    clerk.close = clerk.shut
    call = start(fallbacks={"topics": clerk}, recorder=Kept(clerk))
    body = {"inputs": ["a card", "unsure about a loan"]}
    reply = call("/v1/models/topics/predict", body, headers={"x-request-id": "mine-1"})
    sure, other = reply.json["predictions"]
    assert (sure["label"], sure["answered_by"]) == ("card", "workflow")
    assert other == {"label": "card", "answered_by": "teacher", "fallback": "teacher"}
    assert clerk.asked == [("topics", "unsure about a loan", "loan")]
    deadline = time.monotonic() + 5.0
    while len(clerk.kept) < 2 and time.monotonic() < deadline:  # recorded once it is answered
        time.sleep(0.01)
    assert [served.value for served in clerk.kept] == body["inputs"]
    assert {served.request for served in clerk.kept} == {"mine-1"}
    assert {served.version for served in clerk.kept} == {"a" * 12}
    assert clerk.kept[1].answer.cost_usd == 0.002
    assert clerk.kept[0].ms > 0.0


def test_a_bulk_request_does_not_keep_a_single_one_waiting(start):
    import threading

    call = start(Topics(ms=5), workers=1)
    bulk = threading.Thread(
        target=call, args=("/v1/models/topics/predict", {"inputs": ["card"] * 300})
    )
    bulk.start()
    time.sleep(0.1)
    begin = time.perf_counter()
    assert call("/v1/models/topics/predict", {"input": "card"}).status == 200
    spent = time.perf_counter() - begin
    bulk.join()
    assert spent < 0.5  # the bulk request takes 1.5 s


def test_the_request_id_comes_back_if_it_is_sane(call):
    assert call("/health", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    made = call("/health", headers={"x-request-id": "a b"}).headers["x-request-id"]
    assert made != "a b"
    assert len(made) == 16


@pytest.mark.parametrize("texts", [False, True])
def test_the_access_log_holds_texts_only_where_asked(start, caplog, texts):
    caplog.set_level(logging.INFO, logger="potstill.access")
    call = start(log_requests=True, log_texts=texts)
    call("/v1/models/topics/predict", {"input": "a secret card"}, headers={"x-request-id": "r1"})
    end = time.monotonic() + 5.0
    lines: list[str] = []
    while not lines and time.monotonic() < end:  # the line is written after the answer
        lines = [r.message for r in caplog.records if r.name == "potstill.access"]
    line = json.loads(lines[0])
    assert {k: line[k] for k in ("request", "method", "status", "model", "inputs")} == {
        "request": "r1",
        "method": "POST",
        "status": 200,
        "model": "topics",
        "inputs": 1,
    }
    assert ("a secret card" in json.dumps(line)) is texts


def test_routes_of_others_stand_beside_ours(start):
    def other(request: Request) -> JSONResponse:
        return JSONResponse({"a": 1})

    router = Router([Route("/other", other)])
    call = start(routes=[lambda hall: router])
    assert call("/other").json == {"a": 1}
    assert call("/v1/models/topics/predict", {"input": "card"}).status == 200


class Slow:
    """A fallback that takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def answer(self, model, value, prediction):
        await asyncio.sleep(self.seconds)
        return Answer(Prediction("loan"), "teacher", "teacher")

    async def close(self):
        pass


def test_fallbacks_of_one_request_are_asked_at_the_same_time(start):
    call = start(fallbacks={"topics": Slow(0.2)})
    begin = time.perf_counter()
    rows = call("/v1/models/topics/predict", {"inputs": ["unsure"] * 10}).json["predictions"]
    assert time.perf_counter() - begin < 1.0
    assert {row["answered_by"] for row in rows} == {"teacher"}


def test_a_fallback_that_outlasts_the_deadline_leaves_the_deferral(start):
    call = start(fallbacks={"topics": Slow(20)}, deadline_s=0.3)
    reply = call("/v1/models/topics/predict", {"input": "unsure about a loan"})
    row = reply.json["prediction"]
    assert reply.status == 200
    assert (row["answered_by"], row["fallback"], row["guess"]) == ("nobody", "unavailable", "loan")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NodeTimeout("the node 'route' took too long", hint="Give it more time."), 504),
        (NodeError("the node 'route' failed", hint="Look at it."), 500),
        (DataError("an input is not text"), 422),
    ],
)
def test_what_a_workflow_raises(start, error, status):
    class Broken(Topics):
        def _answer(self, value):
            if "now" in value:
                raise error
            return super()._answer(value)

    reply = start(Broken())("/v1/models/topics/predict", {"input": "now"})
    assert reply.status == status
    assert reply.json["error"]["message"] == error.message
    assert reply.json["error"]["hint"]
