from __future__ import annotations

import socket
import time

import pytest
from served import Caller, Topics

PREDICT = "/v1/models/topics/predict"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"\xff\xfe{}", 400, "not_json"),
        (b'{"input": "\\ud800"}', 400, "not_json"),
        (b'{"input": NaN}', 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b"[]", 400, "not_an_object"),
        (b"{}", 422, "invalid"),
        (b'{"input": "a", "inputs": ["b"]}', 422, "invalid"),
        (b'{"input": null}', 422, "invalid"),
        (b'{"input": 3}', 422, "invalid"),
        (b'{"input": ["a"]}', 422, "invalid"),
        (b'{"input": ""}', 422, "empty_text"),
        (b'{"input": " \\n"}', 422, "empty_text"),
        (b'{"inputs": []}', 422, "invalid"),
        (b'{"inputs": "a"}', 422, "invalid"),
        (b'{"inputs": ["a", ""]}', 422, "empty_text"),
        (b'{"input": "a", "topk": 1}', 422, "invalid"),
        (b'{"input": "a", "top_k": true}', 422, "invalid"),
        (b'{"input": "a", "top_k": -1}', 422, "invalid"),
        (b'{"input": "a", "truncate": 1}', 422, "invalid"),
        (b'{"input": "please raise"}', 500, "model_failed"),
    ],
)
def test_what_is_wrong_is_said(call: Caller, body, status, code):
    reply = call(PREDICT, body)
    assert (reply.status, reply.code) == (status, code)
    error = reply.json["error"]
    assert error["message"]
    assert error["hint"]
    assert error["request"] == reply.headers["x-request-id"]
    assert call(PREDICT, {"input": "a card"}).status == 200


def test_a_place_is_named_in_a_list(call):
    assert "'inputs'[1]" in call(PREDICT, {"inputs": ["a", 7]}).json["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data"])
def test_another_content_type(call, kind):
    reply = call(PREDICT, {"input": "a"}, headers={"content-type": kind})
    assert (reply.status, reply.code) == (415, "content_type")


def test_a_compressed_body_is_not_read(call):
    reply = call(PREDICT, b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (reply.status, reply.code) == (415, "content_type")


def test_a_hundred_megabytes(call):
    reply = call(PREDICT, b'{"input": "' + b"a" * 100_000_000 + b'"}')
    assert (reply.status, reply.code) == (413, "too_large")
    assert call("/health").status == 200


def test_a_body_that_grows_without_saying_how_long_it_is(start):
    call = start(max_body_bytes=1000)
    with socket.create_connection((call.host, call.port), timeout=10) as wire:
        wire.sendall(
            f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        for _ in range(4):
            wire.sendall(b"190\r\n" + b"a" * 400 + b"\r\n")
        wire.sendall(b"0\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_never_ends(start):
    call = start(deadline_s=0.2)
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{{".encode()
    assert b'"code":"slow_body"' in raw(call, head)


def test_a_hundred_thousand_inputs(call):
    reply = call(PREDICT, {"inputs": ["card"] * 100_000})
    assert (reply.status, reply.code) == (422, "too_many_inputs")


def test_a_model_that_is_not_there(call):
    reply = call("/v1/models/topic/predict", {"input": "a"})
    assert (reply.status, reply.code) == (404, "unknown_model")
    assert "'topics'" in reply.json["error"]["hint"]


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/models/../../etc/passwd", "/v1/models/topics%2Fx", "/%00", "/a" * 500],
)
def test_a_path_that_is_not_there(call, path):
    assert call(path).status == 404
    assert call(path).json["error"]["hint"]


def test_another_method(call):
    reply = call(PREDICT)
    assert (reply.status, reply.code) == (405, "method")
    assert reply.headers["allow"] == "POST"
    assert call("/v1/models", method="DELETE").headers["allow"] == "GET, HEAD"


def raw(call: Caller, content: bytes) -> bytes:
    """What a server answers to bytes that may be no HTTP at all."""
    with socket.create_connection((call.host, call.port), timeout=10) as wire:
        wire.sendall(content)
        received = b""
        while chunk := wire.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 40_000,
    ],
)
def test_a_header_bomb(call, bomb):
    answer = raw(call, bomb)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"head_too_large"' in answer
    assert call("/health").status == 200


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00", b"HELO x\r\n\r\n", b"\r\n\r\n\x00" * 9]
)
def test_what_is_not_http(call, garbage):
    answer = raw(call, garbage)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"not_http"' in answer


def test_a_head_that_trickles_in_is_given_up(start, monkeypatch):
    from potstill.serve import listening

    monkeypatch.setattr(listening, "HEAD_S", 0.2)
    call = start()
    assert raw(call, b"GET / HTTP/1.1\r\nhost: ") == b""
    assert raw(call, b"") == b""


def test_an_answer_that_takes_too_long(start, topics: Topics):
    call = start(deadline_s=5.0)
    begin = time.perf_counter()
    reply = call(PREDICT, {"input": "please hang"}, headers={"x-timeout-ms": "200"})
    assert (reply.status, reply.code) == (504, "deadline")
    assert time.perf_counter() - begin < 2.0
    assert call(PREDICT, {"input": "a card"}).status == 200
    assert call(PREDICT, {"input": "a"}, headers={"x-timeout-ms": "soon"}).status == 400


def test_threads_that_hang_are_replaced(start, topics: Topics):
    call = start(deadline_s=0.1, workers=2)
    for _ in range(6):
        assert call(PREDICT, {"input": "please hang"}).status == 504
        time.sleep(0.3)
    assert call(PREDICT, {"input": "a card"}, headers={"x-timeout-ms": "1000"}).status in (200, 504)
    time.sleep(0.3)
    assert call("/ready").status == 200


def test_a_caller_that_hangs_up_is_forgotten(start):
    slow = Topics(ms=50)
    call = start(slow, workers=1)
    wires = []
    for number in range(10):
        wire = socket.create_connection((call.host, call.port))
        body = b'{"input": "card %d"}' % number
        wire.sendall(
            b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
            % (PREDICT.encode(), len(body), body)
        )
        wires.append(wire)
    for wire in wires:
        wire.close()
    assert call(PREDICT, {"input": "a loan"}).status == 200


def test_more_than_can_be_answered_in_time_is_turned_away(start):
    from concurrent.futures import ThreadPoolExecutor

    call = start(Topics(ms=50), workers=1, objective_ms=100.0)
    with ThreadPoolExecutor(30) as pool:
        replies = list(pool.map(lambda _: call(PREDICT, {"input": "card"}), range(30)))
    by_status = {status: [r for r in replies if r.status == status] for status in (200, 429)}
    assert len(by_status[200]) + len(by_status[429]) == 30
    assert by_status[200]
    assert by_status[429]
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in by_status[429])
    assert by_status[429][0].code == "overloaded"
    assert call(PREDICT, {"input": "card"}).status == 200
