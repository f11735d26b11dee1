from __future__ import annotations

import pytest

from potstill.errors import PotstillError
from potstill.serve import Settings
from potstill.serve.auth import check_exposure, read_keys
from potstill.serve.server import serve

KEY = "k" * 24


def test_keys_of_the_environment():
    assert read_keys({}) == ()
    assert read_keys({"POTSTILL_API_KEYS": f" {KEY}, {KEY}2,"}) == (KEY, f"{KEY}2")
    for weak in ("short", "é" * 20, "a b\n" * 9):
        with pytest.raises(PotstillError, match="POTSTILL_API_KEYS") as caught:
            read_keys({"POTSTILL_API_KEYS": weak})
        assert weak.strip() not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_no_listening_beyond_this_machine_without_a_key(host):
    with pytest.raises(PotstillError, match="no key is set"):
        check_exposure(host, ())
    check_exposure(host, (KEY,))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_none(host):
    check_exposure(host, ())


def test_serve_refuses_at_once(topics):
    from served import registry_of

    with pytest.raises(PotstillError, match="no key is set"):
        serve(registry_of(topics), Settings(host="0.0.0.0"))


def test_who_shows_no_key_is_turned_away(start):
    call = start(keys=(KEY, "other" * 5))
    path, body = "/v1/models/topics/predict", {"input": "a card"}
    for header in ({}, {"authorization": "Bearer nope"}, {"authorization": f"Basic {KEY}"}):
        reply = call(path, body, headers=header)
        assert (reply.status, reply.code) == (401, "unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer"
        assert KEY not in reply.body.decode()
    assert call("/metrics").status == 401
    assert call("/nowhere").status == 401
    for key in (KEY, "other" * 5):
        assert call(path, body, headers={"authorization": f"Bearer {key}"}).status == 200
    for path in ("/health", "/ready", "/v2/health/live", "/v2/health/ready"):
        assert call(path).status == 200


def test_a_web_page_of_others_may_not_ask_without_a_key(start):
    path, body = "/v1/models/topics/predict", {"input": "card"}
    call = start()
    refused = call(path, body, headers={"origin": "http://evil.example"})
    assert refused.status == 403
    assert refused.json["error"]["code"] == "foreign_origin"
    assert call(path, body, headers={"origin": "http://localhost:3000"}).status == 200
    keyed = start(keys=(KEY,))
    shown = {"origin": "http://app.example", "authorization": f"Bearer {KEY}"}
    assert keyed(path, body, headers=shown).status == 200
