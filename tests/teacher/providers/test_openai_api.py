from __future__ import annotations

import asyncio
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import pytest

from potstill.errors import TeacherError
from potstill.spec.teacher import Endpoint
from potstill.teacher.providers import open_provider
from potstill.teacher.request import AttemptError, Reply, Request, Rung
from scripted_endpoint import Answer, Call, completion, scripted

SECRET = "sk-planted-4f2a9c7e1b"
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}}
TURNS: Any = ({"role": "user", "content": "Hm."},)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", SECRET)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def request(**given: Any) -> Request:
    return Request(id="1", purpose="label", messages=TURNS, **given)


def ask(
    base_url: str, *requests: Request, rung: Rung = "schema", timeout_s: float = 5.0, **given: Any
) -> list[Reply]:
    async def replies() -> list[Reply]:
        endpoint = Endpoint(model="m-1", base_url=base_url, api_key_env="HOUSE_KEY", **given)
        provider = open_provider(endpoint)
        try:
            return [await provider.complete(one, rung, timeout_s=timeout_s) for one in requests]
        finally:
            await provider.close()

    return asyncio.run(replies())


def fails(base_url: str, *requests: Request, **given: Any) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        ask(base_url, *(requests or (request(),)), **given)
    error = caught.value
    told = [str(error), repr(error), error.detail, error.hint or "", repr(vars(error))]
    told += traceback.format_exception(error)
    assert not any(SECRET in text for text in told)
    return error


def always(status: int, body: Any, **headers: str) -> Callable[[Call], Answer]:
    return lambda call: (status, {n.replace("_", "-"): v for n, v in headers.items()}, body)


def complaint(message: str, **codes: str | None) -> dict[str, Any]:
    return {"error": {"message": message, **codes}}


def test_a_question_is_answered() -> None:
    with scripted(always(200, completion('{"label": "a"}', reasoning_content="Hm."))) as script:
        (reply,) = ask(script.base_url, request(schema=SCHEMA, logprobs=2), options={"top_p": 0.9})
    assert (reply.text, reply.thought, reply.model) == ('{"label": "a"}', "Hm.", "model-1")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.request) == (20, 5, "c-1")
    (call,) = script.calls
    assert call.path == "/v1/chat/completions"
    assert call.headers["authorization"] == f"Bearer {SECRET}"
    assert call.headers["content-type"] == "application/json"
    assert call.json["model"] == "m-1" and call.json["top_p"] == 0.9
    assert call.json["response_format"]["type"] == "json_schema"


def test_nothing_secret_is_part_of_the_provider() -> None:
    endpoint = Endpoint(
        model="m", base_url="https://api.example.com:8443/v1/", api_key_env="HOUSE_KEY"
    )
    provider = open_provider(endpoint)
    assert (provider.name, provider.endpoint) == ("m", "api.example.com:8443")
    assert SECRET not in f"{provider!r} {provider.identity} {provider._asked!r}"
    assert open_provider(endpoint).identity == provider.identity
    warmer = endpoint.model_copy(update={"options": {"top_p": 0.5}})
    assert open_provider(warmer).identity != provider.identity


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("HOUSE_KEY")
    if value is not None:
        monkeypatch.setenv("HOUSE_KEY", value)
    with (
        scripted(always(200, completion())) as script,
        pytest.raises(TeacherError, match="HOUSE_KEY"),
    ):
        ask(script.base_url, request())
    assert not script.calls


def test_a_mangled_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_KEY", f"{SECRET}\nX-Evil: 1")
    with pytest.raises(TeacherError) as caught:
        open_provider(Endpoint(model="m", base_url="http://a.example", api_key_env="HOUSE_KEY"))
    assert SECRET not in str(caught.value) and "HOUSE_KEY" in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "said"),
    [
        (f"https://user:{SECRET}@api.example.com/v1", "credentials for api.example.com"),
        (f"https://{SECRET}@api.example.com/v1", "credentials"),
        (f"https://api.example.com/v1?api_key={SECRET}", "secret"),
        ("ftp://api.example.com", "no address"),
        ("api.example.com/v1", "no address"),
        ("https://api.example.com:port/v1", "no address"),
        ("https://[broken/v1", "no address"),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(base_url: str, said: str) -> None:
    with pytest.raises(TeacherError, match=said) as caught:
        open_provider(Endpoint.model_construct(model="m", base_url=base_url))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "base_url",
    [
        f"https://user:{SECRET}@api.example.com/v1",
        f"https://{SECRET}@api.example.com/v1",
        f"https://api.example.com/v1?api_key={SECRET}",
    ],
)
def test_a_task_cannot_hold_a_secret_at_all(base_url: str) -> None:
    with pytest.raises(ValueError, match="holds credentials") as caught:
        Endpoint(model="m", base_url=base_url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_options_that_are_ours_are_refused() -> None:
    with pytest.raises(TeacherError, match="'stream'"):
        open_provider(Endpoint(model="m", base_url="http://a.example", options={"stream": True}))


@pytest.mark.parametrize(
    ("status", "body", "fault", "fatal", "said"),
    [
        (401, complaint(f"Incorrect API key provided: {SECRET}"), "refused", True, "HOUSE_KEY"),
        (403, complaint("Forbidden"), "refused", True, "HOUSE_KEY"),
        (403, complaint("Your input was flagged by moderation"), "content_filtered", False, "flagged"),
        (402, complaint("Insufficient Balance"), "refused", True, "Top up"),
        (429, complaint("You exceeded your quota", code="insufficient_quota"), "refused", True, "Top up"),
        (429, complaint("Rate limit reached"), "rate_limited", False, "Rate limit"),
        (400, complaint("m-1 is not a model", code="model_not_found"), "refused", True, "m-1"),
        (400, complaint("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"), "context_overflow", False, "8192"),
        (400, complaint("prompt is too long: 210000 tokens > 200000 maximum"), "context_overflow", False, "210000"),
        (400, complaint("input length and max_tokens exceed context limit"), "context_overflow", False, "exceed"),
        (400, {"object": "error", "message": "Please reduce the length of the messages"}, "context_overflow", False, "reduce"),
        (413, b"too large", "context_overflow", False, "too large"),
        (400, complaint("filtered", code="content_filter"), "content_filtered", False, "filtered"),
        (400, complaint("Invalid parameter: response_format"), "refused", False, "response_format"),
        (422, {"detail": [{"msg": "field required"}]}, "refused", False, "field required"),
        (500, complaint("boom"), "server_error", False, "boom"),
        (503, b"<html>upstream</html>", "server_error", False, "upstream"),
        (504, b"", "timed_out", False, "HTTP 504"),
        (408, b"", "timed_out", False, "HTTP 408"),
        (405, b"", "refused", True, "/v1"),
        (200, complaint("Provider returned error", code=None) | {"choices": []}, "server_error", False, "Provider"),
        (200, {"error": {"message": "slow down", "code": 429}}, "rate_limited", False, "slow down"),
        (200, {"hello": 1}, "unreadable", False, "no chat completion"),
    ],
)  # fmt: skip
def test_errors_are_told_apart(status: int, body: Any, fault: str, fatal: bool, said: str) -> None:
    with scripted(always(status, body)) as script:
        error = fails(script.base_url)
    assert (error.fault, error.fatal) == (fault, fatal)
    assert said in f"{error.detail} {error.hint}"
    assert status in (200, error.status)
    assert (error.billed is None) == (status in (408, 504) or error.fault == "unreadable")
    assert len(script.calls) == 1


def test_a_wrong_model_gets_the_nearest_name() -> None:
    def answer(call: Call) -> Answer:
        if call.path == "/v1/models":
            return 200, {}, {"data": [{"id": "other"}, {"id": "m-12"}]}
        return 404, {}, complaint("The model `m-1` does not exist")

    with scripted(answer) as script:
        error = fails(script.base_url)
    assert error.fatal and "'m-1'" in error.detail
    assert error.hint == "Did you mean 'm-12'?"
    with scripted(always(404, b"<html>")) as script:
        assert "/v1" in (fails(script.base_url).hint or "")


def test_a_web_page_is_no_api() -> None:
    with scripted(always(200, b"<html></html>", Content_Type="text/html")) as script:
        error = fails(script.base_url)
    assert error.fatal and "text/html" in error.detail and "/v1" in (error.hint or "")


def test_a_redirect_is_not_followed_with_the_key() -> None:
    target = f"https://elsewhere.example/login?session={SECRET}"
    with scripted(always(302, b"", Location=target)) as script:
        error = fails(script.base_url)
    assert error.fatal and "https://elsewhere.example" in error.detail
    assert len(script.calls) == 1


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "7"}, 7.0, 7.0),
        ({"Retry-After": "0.5"}, 0.5, 0.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25, 0.25),
        ({"Retry-After": "-3"}, 0.0, 0.0),
        ({"Retry-After": formatdate(4_000_000_030, usegmt=True), "Date": formatdate(4_000_000_000, usegmt=True)}, 29.0, 30.0),
    ],
)  # fmt: skip
def test_the_wait_is_what_the_endpoint_asks_for(
    headers: dict[str, str], low: float, high: float
) -> None:
    from potstill.teacher.providers.refusals import retry_after_s

    wait_s = retry_after_s({name.lower(): value for name, value in headers.items()})
    assert wait_s is not None and low <= wait_s <= high
    if "Date" not in headers:
        with scripted(lambda call: (429, headers, complaint("slow"))) as script:
            assert fails(script.base_url).retry_after_s == wait_s


@pytest.mark.parametrize("header", ["", "soon", "Thu, 99 Foo"])
def test_a_wait_that_cannot_be_read_is_unknown(header: str) -> None:
    with scripted(lambda call: (429, {"Retry-After": header}, complaint("slow"))) as script:
        assert fails(script.base_url).retry_after_s is None


def test_parameters_that_a_model_turns_down_are_left_out_from_then_on() -> None:
    def answer(call: Call) -> Answer:
        sent = call.json
        if "max_tokens" in sent:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return 400, {}, complaint(said, param="max_tokens", code="unsupported_parameter")
        if "temperature" in sent:
            said = "'temperature' does not support 0.0. Only the default (1) value is supported."
            return 400, {}, complaint(said, param="temperature", code="unsupported_value")
        return 200, {}, completion()

    with scripted(answer) as script:
        replies = ask(script.base_url, request(max_tokens=77), request(max_tokens=78))
    assert [reply.text for reply in replies] == ["ok", "ok"]
    assert len(script.calls) == 4  # two refusals, two answers
    assert script.calls[-1].json["max_completion_tokens"] == 78
    assert "max_tokens" not in script.calls[-1].json and "temperature" not in script.calls[-1].json


def test_a_refusal_that_nothing_mends_is_not_repeated_for_ever() -> None:
    said = complaint("Unsupported parameter: 'max_tokens'", param="max_tokens")
    with scripted(always(400, said)) as script:
        assert fails(script.base_url).fault == "refused"
    assert len(script.calls) == 2


# Connections that fail


def test_a_host_that_nobody_knows_stops_the_run() -> None:
    error = fails("http://no-such-host.invalid/v1")
    assert error.fatal and error.billed is False
    assert "no-such-host.invalid" in error.detail


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = fails(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
    assert error.fatal and error.billed is False and error.fault == "connection_lost"


def test_an_endpoint_that_was_there_before_is_waited_for() -> None:
    with scripted(always(200, completion(), Connection="close")) as script:

        async def twice() -> None:
            provider = open_provider(Endpoint(model="m", base_url=script.base_url))
            await provider.complete(request(), "schema", timeout_s=5.0)
            gone.close()
            provider._address = provider._address._replace(netloc=free)
            try:
                await provider.complete(request(), "schema", timeout_s=5.0)
            finally:
                await provider.close()

        gone = socket.socket()
        gone.bind(("127.0.0.1", 0))
        free = f"127.0.0.1:{gone.getsockname()[1]}"
        with pytest.raises(AttemptError) as caught:
            asyncio.run(twice())
    assert (caught.value.fault, caught.value.fatal) == ("connection_lost", False)


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    import threading

    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        try:
            while True:
                peer, _ = listening.accept()
                serve(peer)
        except OSError:
            return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(1.0)


def test_a_connection_that_is_cut_may_have_been_charged() -> None:
    def cut(peer: socket.socket) -> None:
        peer.recv(10)
        peer.close()

    with raw_server(cut) as netloc:
        error = fails(f"http://{netloc}/v1")
    assert (error.fault, error.billed, error.fatal) == ("connection_lost", None, False)


def test_no_reply_in_time_may_have_been_charged() -> None:
    held: list[socket.socket] = []
    with raw_server(held.append) as netloc:
        error = fails(f"http://{netloc}/v1", timeout_s=0.1)
    for peer in held:
        peer.close()
    assert (error.fault, error.billed, error.fatal) == ("timed_out", None, False)


def test_plain_http_behind_https_is_a_fault_of_tls() -> None:
    def plain(peer: socket.socket) -> None:
        peer.recv(100)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        peer.close()

    with raw_server(plain) as netloc:
        error = fails(f"https://{netloc}/v1")
    assert error.fatal and "not secure" in error.detail


def test_a_certificate_that_nobody_vouches_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp
    from aiohttp.client_reqrep import ConnectionKey

    async def refuse(*_: Any, **__: Any) -> None:
        cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
        key = ConnectionKey("a.example", 443, True, True, None, None, None)
        raise aiohttp.ClientConnectorCertificateError(key, cause)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", refuse)
    error = fails("https://a.example/v1")
    assert error.fatal and "not secure" in error.detail and "SSL_CERT_FILE" in (error.hint or "")


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://user:{SECRET}@127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        error = fails("http://api.example.com/v1")
    assert error.fatal and "proxy" in error.detail


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with scripted(always(200, completion("through"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        (reply,) = ask("http://api.example.com/v1", request())
    assert reply.text == "through"
    assert proxy.calls[0].path == "http://api.example.com/v1/chat/completions"
