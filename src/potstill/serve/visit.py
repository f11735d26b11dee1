"""`Visit`: what is known of one request while it is answered; the access log's line."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request

from potstill.data.example import Input

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}\Z")
SCOPE_KEY = "potstill"


def _new_id() -> str:
    return secrets.token_hex(8)


@dataclass(slots=True)
class Visit:
    """One request, from its first byte to its last.

    Attributes:
        id: goes back as ``x-request-id``; the caller's own where it sent a sane one.
        began: `time.perf_counter` at arrival.
        route: the path's template, for metrics: it holds nothing of the caller's.
        model: the name of the model that was asked.
        version: its version.
        inputs: how many inputs were answered.
        values: the inputs themselves, kept for the log only where the operator asked.
        timeout_s: the request's deadline, from ``began``.
    """

    id: str = field(default_factory=_new_id)
    began: float = field(default_factory=time.perf_counter)
    route: str = "other"
    model: str = ""
    version: str = ""
    inputs: int = 0
    values: list[Input] = field(default_factory=list)
    timeout_s: float = 30.0

    @property
    def spent_ms(self) -> float:
        """Milliseconds since the request arrived."""
        return 1e3 * (time.perf_counter() - self.began)


def sane_id(header: bytes | None) -> str | None:
    """The id that a caller sent, if it can stand in a header and a log."""
    return header.decode() if header and _SANE_ID.match(header) else None


def visit_of(request: Request) -> Visit:
    """The visit that the gate opened for a request."""
    return cast("Visit", cast("dict[str, Any]", request.scope)[SCOPE_KEY])
