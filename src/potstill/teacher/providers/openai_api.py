"""Any endpoint that speaks the OpenAI protocol, over one pool of kept-alive connections.

Nothing is retried here but a request whose parameters a model turned down (``max_tokens``,
``temperature`` or ``logprobs``): such a refusal costs nothing, and is remembered.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from difflib import get_close_matches
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

import orjson

from potstill.errors import MissingExtraError, TeacherError
from potstill.spec.teacher import Endpoint
from potstill.teacher.completion import chat_body, read_completion
from potstill.teacher.providers.refusals import Asked, Complaint, as_attempt_error, in_reply
from potstill.teacher.request import AttemptError, Reply, Request, Rung

if TYPE_CHECKING:
    import aiohttp

DEFAULT_CONCURRENCY = 32
_OURS = ("messages", "model", "n", "stream")
_LONGEST_CONNECT_S = 30.0
_LIST_MODELS_S = 10.0
_NARROWER = {
    "max_tokens": "max_completion_tokens",
    "temperature": None,
    "top_logprobs": None,
    "logprobs": None,
}
"""Parameters that some models do not take, and what takes their place."""


def open_endpoint(endpoint: Endpoint) -> OpenAiTeacher:
    """The provider of an endpoint with a ``base_url``; nothing is sent yet.

    Raises:
        TeacherError: the address is none, or holds a secret; there is no key in the variable
            that was named; an option is not the user's to set.
        MissingExtraError: aiohttp is not installed.
    """
    assert endpoint.model is not None and endpoint.base_url is not None
    taken = sorted(set(endpoint.options) & set(_OURS))
    if taken:
        raise TeacherError(
            f"{taken[0]!r} cannot be set under 'options'.", hint="Remove it from there."
        )
    key = _key(endpoint.api_key_env)
    return OpenAiTeacher(
        endpoint.model,
        _address(endpoint.base_url),
        key=key,
        key_env=endpoint.api_key_env,
        concurrency=endpoint.concurrency or DEFAULT_CONCURRENCY,
        options=endpoint.options,
    )


class OpenAiTeacher:
    """A `Provider` behind HTTP.

    Args:
        model: the model's name at the endpoint.
        address: the endpoint, without credentials.
        key: the secret; None sends none.
        key_env: name of the variable that held it, for error messages.
        concurrency: most attempts that make sense at once.
        options: further parameters of each request.
    """

    rungs: tuple[Rung, ...] = ("schema", "json", "tagged")

    def __init__(
        self,
        model: str,
        address: SplitResult,
        *,
        key: str | None = None,
        key_env: str | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            import aiohttp
        except ImportError as error:
            raise MissingExtraError("aiohttp", "live") from error
        self._aiohttp = aiohttp
        self.name = model
        self.endpoint: str | None = address.netloc
        self.concurrency = concurrency
        self._address = address
        self._options = dict(options or {})
        told = orjson.dumps(self._options, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(told, digest_size=8).hexdigest()
        self.identity = f"{urlunsplit(address)} {model} {digest}"
        self._asked = Asked(model, address.netloc, key, key_env)
        self._turned_down: set[str] = set()
        self._reached = False
        self._session: aiohttp.ClientSession | None = None

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """One attempt; see `Provider.complete`."""
        body = self.body(request, rung)
        while True:
            narrowed = orjson.dumps(self._narrowed(body))
            status, headers, content = await self.send(
                "POST", "/chat/completions", data=narrowed, timeout_s=timeout_s
            )
            if status == 200:
                return self._read(headers, content)
            if status in (400, 422) and self._turns_down(Complaint.read(content), body):
                continue
            error = self.refusal(status, headers, content)
            if status == 404 and error.fatal:
                error.hint = await self._nearest_model() or error.hint
            raise error

    def body(self, request: Request, rung: Rung) -> dict[str, Any]:
        """The body of a completion request, for one call or for a line of a batch."""
        return self._narrowed(chat_body(request, rung) | {"model": self.name} | self._options)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self, method: str, path: str, *, data: Any = None, timeout_s: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and content of the response to one HTTP request.

        Args:
            method: of HTTP.
            path: below the endpoint's address.
            data: bytes of JSON, or a form.
            timeout_s: seconds after which it is given up.

        Raises:
            AttemptError: there is no response.
        """
        timeout = self._aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=min(timeout_s, _LONGEST_CONNECT_S)
        )
        kind = {"Content-Type": "application/json"} if isinstance(data, bytes) else None
        try:
            async with self._open_session().request(
                method,
                self._url(path),
                data=data,
                headers=kind,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return response.status, response.headers, await response.read()
        except (self._aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreached(error, timeout_s) from None

    @asynccontextmanager
    async def relay(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None,
        headers: Mapping[str, str],
        idle_s: float,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The response to somebody else's request, its content still to be read.

        Args:
            method: of HTTP.
            path: below the endpoint's address.
            data: the body, sent as it is.
            headers: sent as they are, beside the endpoint's own key where there is one.
            idle_s: seconds without a byte after which it is given up, however long the whole
                takes.

        Raises:
            AttemptError: there is no response, or not all of it.
        """
        timeout = self._aiohttp.ClientTimeout(
            total=None, sock_connect=min(idle_s, _LONGEST_CONNECT_S), sock_read=idle_s
        )
        try:
            async with self._open_session().request(
                method,
                self._url(path),
                # A stream, so that a large body does not hold up the event loop.
                data=None if data is None else BytesIO(data),
                headers=headers,
                skip_auto_headers=("Content-Type", "User-Agent"),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if 300 <= response.status < 400:
                    raise self._moved(response.status, response.headers)
                yield response
        except (self._aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreached(error, idle_s) from None

    def refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> AttemptError:
        """The error that a response other than a success means."""
        if 300 <= status < 400:
            return self._moved(status, headers)
        return as_attempt_error(status, headers, Complaint.read(content), self._asked)

    def form(self, lines: bytes) -> Any:
        """A JSONL file as the form that hands it in for a batch."""
        form = self._aiohttp.FormData({"purpose": "batch"})
        form.add_field(
            "file", lines, filename="batch.jsonl", content_type="application/octet-stream"
        )
        return form

    def clean(self, text: str) -> str:
        """What the endpoint said, on one line, short, and without the key."""
        return self._asked.clean(text)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            key = self._asked.key
            self._session = self._aiohttp.ClientSession(
                # The engine alone decides how many calls there are at once.
                connector=self._aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                cookie_jar=self._aiohttp.DummyCookieJar(),
                headers={"Authorization": f"Bearer {key}"} if key else None,
                trust_env=True,
            )
        return self._session

    def _url(self, path: str) -> str:
        path, _, query = path.partition("?")
        query = "&".join(part for part in (self._address.query, query) if part)
        return urlunsplit(self._address._replace(path=self._address.path + path, query=query))

    def _read(self, headers: Mapping[str, str], content: bytes) -> Reply:
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise self._no_json(headers) from None
        error = in_reply(body)
        if error is not None:
            code = error.get("code")
            status = code if isinstance(code, int) and 400 <= code < 600 else 502
            raise as_attempt_error(status, headers, Complaint.read(content), self._asked)
        reply = read_completion(body)
        self._reached = True
        return reply

    def _narrowed(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body without what the model has turned down."""
        for name in self._turned_down & body.keys():
            body = dict(body)
            value, other = body.pop(name), _NARROWER[name]
            if other is not None:
                body.setdefault(other, value)
        return body

    def _turns_down(self, complaint: Complaint, body: Mapping[str, Any]) -> bool:
        """Whether the model refused a parameter that it can be asked without."""
        for name in _NARROWER:
            sent = name in body and name not in self._turned_down and name not in self._options
            if sent and complaint.rejects(name):
                self._turned_down.add(name)
                return True
        return False

    def _unreached(self, error: Exception, timeout_s: float) -> AttemptError:
        """No response: a fault of the address while nobody has answered yet, else of the moment."""
        client, host = self._aiohttp, self._asked.host
        if isinstance(error, client.ClientConnectorCertificateError | client.ClientSSLError):
            return AttemptError(
                "connection_lost",
                f"the connection to {host} is not secure ({_reason(error)})",
                fatal=True,
                hint="Check the address; for a certificate of your own authority set SSL_CERT_FILE.",
            )
        for kind, reason in (
            (client.ClientConnectorDNSError, "no such host is known"),
            (client.ClientProxyConnectionError, "the proxy of the environment is not there"),
            (client.ClientHttpProxyError, "the proxy of the environment does not let through"),
            (client.ConnectionTimeoutError, "no connection within the time"),
            (client.ClientConnectorError, _reason(error)),
            (client.InvalidURL, "its address is not valid"),
        ):
            if isinstance(error, kind):
                return AttemptError(
                    "connection_lost",
                    f"{host} cannot be reached: {reason}",
                    fatal=not self._reached,
                    hint="Check 'base_url' and the network.",
                )
        if isinstance(error, TimeoutError):
            return AttemptError("timed_out", f"no reply in {timeout_s:g} s", billed=None)
        return AttemptError(
            "connection_lost", f"{host} closed the connection ({type(error).__name__})", billed=None
        )

    def _no_json(self, headers: Mapping[str, str]) -> AttemptError:
        kind = headers.get("content-type", "").partition(";")[0] or "something"
        return AttemptError(
            "unreadable",
            f"{self._asked.host} sent {kind} instead of JSON",
            status=200,
            billed=None,
            fatal=kind == "text/html" and not self._reached,
            hint="Check 'base_url', which often ends in /v1.",
        )

    def _moved(self, status: int, headers: Mapping[str, str]) -> AttemptError:
        target = urlsplit(headers.get("location", ""))
        place = f"{target.scheme}://{target.hostname}" if target.hostname else "another address"
        return AttemptError(
            "refused",
            f"{self._asked.host} sends requests on to {place}",
            status=status,
            fatal=True,
            hint="Name the final address under 'base_url': a key is not handed on.",
        )

    async def _nearest_model(self) -> str | None:
        """A hint with the likeliest model that the endpoint lists; None where it lists none."""
        try:
            _, _, content = await self.send("GET", "/models", timeout_s=_LIST_MODELS_S)
            names = [str(model["id"]) for model in orjson.loads(content)["data"]]
        except (AttemptError, ValueError, KeyError, TypeError):
            return None
        nearest = get_close_matches(self.name, names, n=1, cutoff=0.4)
        if nearest:
            return f"Did you mean {nearest[0]!r}?"
        return f"It has {', '.join(names[:5])}." if names else None


def _key(variable: str | None) -> str | None:
    """The key in an environment variable."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise TeacherError(
            f"the environment variable {variable} holds no key.",
            hint=f"Set it: export {variable}=… (the key itself stays out of every file).",
        )
    if not key.isascii() or not key.isprintable():
        raise TeacherError(
            f"the value of {variable} is no key: it holds characters that no key has.",
            hint="Copy the key again.",
        )
    return key


def _address(base_url: str) -> SplitResult:
    """The parts of a base address that holds no secret."""
    hint = "Give it as in https://api.example.com/v1."
    try:
        address = urlsplit(base_url.strip())
        port = address.port
    except ValueError:
        raise TeacherError("'base_url' is no address.", hint=hint) from None
    if address.scheme not in ("http", "https") or not address.hostname:
        raise TeacherError("'base_url' is no address of the web.", hint=hint)
    if "@" in address.netloc:
        raise TeacherError(
            f"'base_url' holds credentials for {address.hostname}.",
            hint="Put the key into an environment variable and name that under 'api_key_env'.",
        )
    words = ("key", "token", "secret", "password", "sig")
    if any(word in name.lower() for name, _ in parse_qsl(address.query) for word in words):
        raise TeacherError(
            f"'base_url' holds a secret for {address.hostname} in its query.",
            hint="Put the key into an environment variable and name that under 'api_key_env'.",
        )
    path = address.path.rstrip("/").removesuffix("/chat/completions")
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    netloc = host if port is None else f"{host}:{port}"
    return address._replace(netloc=netloc, path=path, fragment="")


def _reason(error: Exception) -> str:
    """The operating system's words, which name no header and no path."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return (
        getattr(inner, "verify_message", None)
        or getattr(inner, "strerror", None)
        or type(inner).__name__
    )
