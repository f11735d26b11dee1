"""Bearer keys: from the environment, compared in constant time, never logged."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from potstill.errors import PotstillError
from potstill.serve.refusal import Refusal

KEYS_VARIABLE = "POTSTILL_API_KEYS"
OPEN_PATHS = frozenset({"/health", "/ready", "/v2/health/live", "/v2/health/ready"})
"""Answered without a key: what a load balancer or an orchestrator asks."""

_SHORTEST_KEY = 16


def read_keys(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The keys in ``POTSTILL_API_KEYS``, separated by commas; none where it is not set.

    Raises:
        PotstillError: a key that is too short to be one, or not plain ASCII.
    """
    keys = tuple(key.strip() for key in environment.get(KEYS_VARIABLE, "").split(","))
    keys = tuple(key for key in keys if key)
    for key in keys:
        if len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable():
            raise PotstillError(
                f"a key in {KEYS_VARIABLE} has fewer than {_SHORTEST_KEY} characters, "
                "or others than printable ASCII.",
                hint="Make one with: openssl rand -hex 24",
            )
    return keys


def check_exposure(host: str, keys: Sequence[str]) -> None:
    """Refuse to listen beyond this machine without a key.

    Raises:
        PotstillError: the address is not a loopback one and there is no key.
    """
    if keys or _is_loopback(host):
        return
    raise PotstillError(
        f"{host} can be reached from other machines, and no key is set.",
        hint=f"Set {KEYS_VARIABLE} to one or more keys, or listen on 127.0.0.1.",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets requests with a known key in.

    Args:
        keys: the known keys; with none, everybody is let in.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def check_origin(self, origin: bytes | None) -> None:
        """Refuse what a web page of somebody else's sends through the browser of this machine.

        Without a key, an address on loopback is all that stands between the two.

        Raises:
            Refusal: another origin than this machine (403).
        """
        if origin is None or self._digests or _is_loopback(_host_of(origin)):
            return
        raise Refusal(
            403,
            "foreign_origin",
            "a web page of another origin may not ask a server that has no key.",
            hint=f"Set {KEYS_VARIABLE}, and have the page's own server show the key.",
        )

    def check(self, path: str, authorization: bytes | None) -> None:
        """Let a request in, or turn it away.

        Raises:
            Refusal: no key, or an unknown one (401).
        """
        if not self._digests or path in OPEN_PATHS:
            return
        scheme, _, key = (authorization or b"").partition(b" ")
        # Digests have one length, and all are compared: time tells nothing of the keys.
        shown = _digest(key.strip())
        known = [hmac.compare_digest(shown, digest) for digest in self._digests]
        if scheme.lower() == b"bearer" and any(known):
            return
        raise Refusal(
            401,
            "unauthorized",
            "the request shows no key." if not authorization else "the key is not known here.",
            hint="Send the header 'Authorization: Bearer KEY'.",
        )


def _host_of(origin: bytes) -> str:
    return urlsplit(origin.decode("latin-1")).hostname or ""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
