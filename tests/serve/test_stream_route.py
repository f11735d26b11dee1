from __future__ import annotations

import json
import socket

from served import Fielded, Topics

STREAM = "/v1/models/topics/stream"


def lines(*rows) -> bytes:
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in rows)


def answers(reply):
    return [json.loads(line) for line in reply.body.splitlines()]


def test_answers_keep_the_order_and_the_ids(call):
    rows = [{"id": n, "input": f"{('card', 'loan')[n % 2]} {n}"} for n in range(200)]
    reply = call(STREAM, lines(*rows), headers={"content-type": "application/x-ndjson"})
    assert reply.headers["content-type"] == "application/x-ndjson"
    found = answers(reply)
    assert [row["id"] for row in found] == list(range(200))
    assert [row["label"] for row in found] == ["card", "loan"] * 100


def test_a_bad_row_is_answered_in_its_place(start):
    call = start(max_body_bytes=200)
    rows = [
        {"input": "a card"},
        b"{",
        b"3",
        b"",
        {"id": 4, "input": ""},
        {"input": "please raise"},
        b'"a loan"',
        {"input": "card " * 100},
        {"input": "unsure"},
    ]
    found = answers(call(STREAM, lines(*rows).rstrip(b"\n")))
    assert [row.get("label") or row.get("error", row)["code"] for row in found[:-1]] == [
        "card",
        "not_json",
        "not_an_object",
        "empty_text",
        "model_failed",
        "loan",
        "too_large",
    ]
    assert found[3]["id"] == 4
    # The fourth line is blank: nothing answers it, and the count goes on.
    assert [row.get("line") for row in found] == [None, 2, 3, 5, 6, None, 8, None]
    assert found[-1]["deferred"] == "unsure"


def test_fields_may_stand_in_the_row(start):
    call = start(Fielded())
    found = answers(call("/v1/models/mail/stream", lines({"id": 1, "subject": "card", "body": ""})))
    assert found[0]["labels"] == ["card"]


def test_each_answer_comes_before_the_next_row_is_sent(call):
    with socket.create_connection((call.host, call.port), timeout=10) as wire:
        wire.sendall(
            f"POST {STREAM} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        received = b""
        for number in range(3):
            row = lines({"input": f"card {number}"})
            wire.sendall(b"%x\r\n%b\r\n" % (len(row), row))
            while received.count(b'"label":"card"') <= number:
                received += wire.recv(4096)
        wire.sendall(b"0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += wire.recv(4096)


def test_a_caller_that_does_not_read_is_not_read_from(start):
    slow = Topics()
    call = start(slow)
    row = lines({"input": "card " + "x" * 1000})
    with socket.create_connection((call.host, call.port), timeout=0.5) as wire:
        wire.sendall(
            f"POST {STREAM} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        sent = 0
        try:
            while sent < 100_000:
                wire.sendall(b"%x\r\n%b\r\n" % (len(row), row))
                sent += 1
        except TimeoutError:
            pass
    assert sent < 100_000
    assert call("/health").status == 200


def test_refusals(call):
    assert call("/v1/models/topic/stream", b"").status == 404
    assert call(STREAM, b"a,b", headers={"content-type": "text/csv"}).status == 415
    assert answers(call(STREAM, b"")) == []
