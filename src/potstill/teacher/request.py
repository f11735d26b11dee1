"""One question to a live teacher, what came back, and who can be asked: the contract.

Everything that asks (labelling, auditions, synthesis, judging) builds `Request`s lazily and
reads `Outcome`s as they complete; everything that answers (an endpoint, a GGUF file in this
process, a Python callable) is a `Provider`. The engine stands between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict

import orjson

Rung = Literal["schema", "json", "tagged"]
"""How a structured answer is asked for, strictest first: the endpoint enforces a JSON schema;
it promises some JSON object; or the prompt alone asks for JSON between ``<answer>`` tags."""

Fault = Literal[
    "rate_limited",  # 429, until the attempts were used up
    "server_error",  # 5xx
    "timed_out",
    "connection_lost",
    "cut_off",  # finish_reason "length": never parsed
    "empty",  # no content
    "invalid_json",
    "outside_schema",  # JSON, but not what the schema asks for: a wrong label
    "context_overflow",  # this row is too long for the model
    "content_filtered",
    "refused",  # another 4xx for this request alone
    "unreadable",  # 200, but not a chat completion
]
"""Why a request ended without a usable answer."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked, apart from who is asked.

    Attributes:
        id: the caller's own name for it (a row's id, a grid cell); not part of the cache key.
        purpose: the stage that asks, for the ledger: ``label``, ``audition``, ``judge`` ….
        messages: the conversation, the system turn first.
        max_tokens: most tokens of the reply, a thought included.
        temperature: of sampling; 0 is greedy.
        schema: JSON schema that the answer must fulfil; None asks for plain text.
        logprobs: alternatives wanted for each token of the answer; 0 asks for none.
        sample: which of several samples of the same question this is: votes differ in it,
            so that each is asked, cached and paid for on its own.
    """

    id: str
    purpose: str
    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    schema: Mapping[str, Any] | None = None
    logprobs: int = 0
    sample: int = 0

    def key(self, identity: str) -> str:
        """The cache key: 32 hexadecimal digits over the question and the one who is asked.

        Args:
            identity: the provider's `Provider.identity`.
        """
        asked = [
            identity,
            self.messages,
            self.max_tokens,
            self.temperature,
            self.schema,
            self.logprobs,
            self.sample,
        ]
        canonical = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(canonical, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a provider returned for one attempt. Unknown is None, never zero.

    Attributes:
        text: the answer, without the thought.
        thought: ``reasoning_content``, or what stood between ``<think>`` tags.
        finish_reason: as the endpoint gave it: ``stop``, ``length``, ``content_filter`` ….
        prompt_tokens: tokens sent.
        completion_tokens: tokens received, the thought included.
        cached_tokens: tokens of the prompt that the endpoint had in its own cache.
        logprobs: for each token of the answer its alternatives, token to log-probability.
        model: the version that answered, as the endpoint names it.
        request: the provider's id of the request.
    """

    text: str
    thought: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    logprobs: tuple[Mapping[str, float], ...] | None = None
    model: str | None = None
    request: str | None = None


class AttemptError(Exception):
    """An attempt that brought no reply; the engine decides what follows from it.

    Args:
        fault: what happened.
        detail: a sentence for a person, without secrets.
        status: HTTP status; None where there was none.
        retry_after_s: seconds that the endpoint asked to wait.
        billed: whether the attempt may have been charged: None is unknown (a timeout),
            False certain not (429, refused connection).
        fatal: no request can succeed (wrong key, unknown model, TLS failure): the whole run
            stops with this sentence, and `hint` says how to mend it.
        hint: how to mend it.
    """

    def __init__(
        self,
        fault: Fault,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        billed: bool | None = False,
        fatal: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.fault: Fault = fault
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
        self.billed = billed
        self.fatal = fatal
        self.hint = hint


class Provider(Protocol):
    """Someone who can be asked.

    Attributes:
        name: the model's name for tables and lineage, e.g. ``deepseek-reasoner``.
        identity: what tells this teacher from any other, in cache keys: endpoint, model and
            every parameter that changes answers; never a secret.
        endpoint: host that answers; None in this process.
        concurrency: most attempts that make sense at once.
        rungs: rungs of the ladder worth trying, strictest first.
    """

    name: str
    identity: str
    endpoint: str | None
    concurrency: int
    rungs: tuple[Rung, ...]

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """One attempt.

        Args:
            request: the question.
            rung: how to ask for structure; without a schema it means nothing.
            timeout_s: seconds after which the attempt is given up.

        Raises:
            AttemptError: there is no reply.
        """
        ...

    async def close(self) -> None:
        """Let connections, threads and weights go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended: answered, or failed for good with a cause.

    Attributes:
        request: the question.
        reply: the last reply; None where none came. A reply beside a `fault` is unusable.
        value: the parsed answer, checked against the schema (without one: the text); None
            where there is a fault.
        fault: why there is no value.
        detail: a sentence for a person.
        attempts: attempts made now; 0 for an answer out of the cache.
        cost_usd: money paid for all attempts, now or when the answer was cached; None as
            soon as one price is unknown.
        seconds: wall time of the last attempt.
        ledger: id of the last attempt's row in the ledger, for the lineage.
        rung: the rung on which the answer was given.
    """

    request: Request
    reply: Reply | None
    value: Any
    fault: Fault | None
    detail: str
    attempts: int
    cost_usd: float | None
    seconds: float | None
    ledger: str
    rung: Rung | None


class Asker(Protocol):
    """Whoever has requests answered: the engine, or a stand-in in a test."""

    @property
    def provider(self) -> Provider:
        """Who answers."""
        ...

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Outcomes as they complete, in any order; exactly one for each request.

        Requests are drawn lazily, never more than a bounded number ahead of the outcomes
        that were read, so that a million rows need no more memory than a thousand.

        Raises:
            BudgetReached: the next attempt could pass the cap; everything in flight was
                waited for and yielded first.
            TeacherError: the teacher cannot be asked at all (wrong key, unknown model, host
                that cannot be reached); what was answered stays in the ledger.
        """
        ...
