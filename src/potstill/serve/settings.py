"""What an operator may set of a server, with the value that most want."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server listens, what it admits, and what it tells of itself.

    Attributes:
        host: address to listen on; one beyond loopback needs ``keys``.
        port: TCP port; 0 takes a free one.
        keys: bearer keys; whoever calls must show one of them. None asked for if empty.
        workers: threads that run texts; None has it measured at the start.
        objective_ms: the longest that a request may be expected to wait for a worker; what
            would wait longer is turned away at once with 429.
        deadline_s: the longest that a request may take in all; a caller may ask for less.
        max_body_bytes: the largest body, and the longest line of a stream.
        max_inputs: the most inputs of one request; a stream has no such bound.
        poll_s: how often the model folders are looked at for a new version.
        drain_s: how long the server goes on answering after SIGTERM while it tells callers to
            go elsewhere; long enough for a load balancer to notice.
        log_requests: whether each request is logged, without its texts.
        log_texts: whether the access log holds the texts of the inputs too.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = ()
    workers: int | None = None
    objective_ms: float = 500.0
    deadline_s: float = 30.0
    max_body_bytes: int = 4 * 2**20
    max_inputs: int = 1024
    poll_s: float = 1.0
    drain_s: float = 1.0
    log_requests: bool = True
    log_texts: bool = False
