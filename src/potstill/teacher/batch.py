"""The batch interface of an endpoint: half the price, answers within hours.

An `Asker` like the engine, with the same ledger and the same outcomes. Requests are handed in
as files of some thousand lines, one batch after another. A batch is noted in the ledger before
it exists, so that after ``kill -9`` the one under way is found again and read, and nothing is
handed in twice.

An answer that cannot be used is final here, since asking again would take hours more; a line
that the endpoint never came to, or failed at, is handed in again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from potstill.errors import BudgetReached, TeacherError
from potstill.spec.teacher import Price
from potstill.teacher.budget import cost_of, most_of
from potstill.teacher.completion import read_completion
from potstill.teacher.inquiry import remembered
from potstill.teacher.ledger import Answered, Ledger
from potstill.teacher.providers.openai_api import OpenAiTeacher
from potstill.teacher.request import AttemptError, Fault, Outcome, Reply, Request, Rung
from potstill.teacher.structured import read_answer

_T = TypeVar("_T")
_ENDED = ("completed", "failed", "expired", "cancelled")
_AGAIN: frozenset[Fault] = frozenset({"server_error", "timed_out", "rate_limited", "unreadable"})
_AGAIN_AT_ONCE = _AGAIN | {"connection_lost"}
_WAITS_S = (1.0, 5.0, 30.0, 120.0)
_MOST_TRIES = 3
_CALL_S = 300.0
_FIRST_POLL_S = 5.0
_LONGEST_POLL_S = 300.0
_POLL_GROWTH = 1.5
_LISTED = 100
_SMALLEST_SHARE = 20


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A batch under way, as the ledger notes it.

    Attributes:
        token: our name for it, by which it is found where its id was not noted in time.
        id: the endpoint's.
        attempts: the ledger's row of each key.
        schemas: the different schemas.
        schema_of: which of them the answer to a key must fulfil; None is plain text.
    """

    token: str
    id: str | None
    attempts: Mapping[str, int]
    schemas: Sequence[Mapping[str, Any]]
    schema_of: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a line of a batch ended."""

    attempt: int
    reply: Reply | None = None
    value: Any = None
    fault: Fault | None = None
    detail: str = ""
    cost_usd: float | None = 0.0


class BatchAsker:
    """An `Asker` through an endpoint's batch interface; a context manager.

    Args:
        provider: the endpoint; closed with this.
        ledger: where every attempt is written down.
        price: of a million tokens in a batch; None is unknown.
        cap_usd: most money that this ledger may ever spend; None is no cap.
        rung: how structured answers are asked for; a batch is too slow to probe.
        lines: requests in a batch.
        told: told in a sentence how far a batch is, at each look.
        sleep: waits a number of seconds.

    Raises:
        TeacherError: there is a cap, but the price is unknown.
    """

    def __init__(
        self,
        provider: OpenAiTeacher,
        ledger: Ledger,
        *,
        price: Price | None,
        cap_usd: float | None = None,
        rung: Rung = "schema",
        lines: int = 2000,
        told: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if cap_usd is not None and price is None:
            raise TeacherError(
                f"a budget is set, but the price of {provider.name} is unknown.",
                hint="Give it under 'price', or set no budget.",
            )
        self._provider = provider
        self._ledger = ledger
        self._price = price
        self._cap_usd = cap_usd
        self._rung: Rung = rung
        self._lines = lines
        self._told = told
        self._sleep = sleep
        self._teacher = ledger.teacher(provider)
        self._note = f"batch {provider.identity}"
        # A loop in a thread of its own, because the caller's may be running one already.
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")

    @property
    def provider(self) -> OpenAiTeacher:
        """Who answers."""
        return self._provider

    def ask(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Outcomes, batch by batch; see `Asker.ask`.

        Raises:
            BudgetReached: no batch worth its wait fits under the cap.
            TeacherError: the endpoint refuses the batch.
            StorageError: the disk is full.
        """
        source = iter(requests)
        while drawn := list(islice(source, self._lines)):
            waiting: dict[str, list[Request]] = {}
            for request in drawn:
                key = request.key(self._provider.identity)
                kept = self._ledger.reply(key)
                if kept is None:
                    waiting.setdefault(key, []).append(request)
                else:
                    yield remembered(request, kept)
            try:
                yield from self._answered(waiting)
            except AttemptError as error:
                detail = f"{error.detail.rstrip('.')}."
                raise TeacherError(detail, where=self._provider.name, hint=error.hint) from None

    def close(self) -> None:
        """Let the endpoint and the thread go."""
        if self._loop.is_closed():
            return
        self._run(self._provider.close())
        self._thread.shutdown()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answered(self, waiting: dict[str, list[Request]]) -> Iterator[Outcome]:
        tries: dict[str, int] = dict.fromkeys(waiting, 0)
        while waiting:
            ticket = self._under_way() or self._hand_in(waiting)
            endings = self._endings(ticket, self._finished(ticket))
            self._write(endings, ticket)
            for key, ending in endings.items():
                if key not in waiting:
                    continue
                tries[key] += 1
                if ending.fault in _AGAIN and tries[key] < _MOST_TRIES:
                    continue
                for request in waiting.pop(key):
                    yield self._outcome(request, ending, tries[key])

    def _under_way(self) -> _Ticket | None:
        """The batch that an earlier process handed in and did not live to read."""
        noted = self._ledger.noted(self._note)
        if noted is None:
            return None
        ticket = _Ticket(**noted)
        if ticket.id is not None:
            return ticket
        listed = self._json("GET", f"/batches?limit={_LISTED}").get("data", ())
        for batch in listed:
            if (batch.get("metadata") or {}).get("potstill") == ticket.token:
                return self._noted(replace(ticket, id=batch["id"]))
        self._never_sent(ticket, "the batch was never handed in")
        return None

    def _hand_in(self, waiting: Mapping[str, list[Request]]) -> _Ticket:
        fitting = self._affordable(waiting)
        ticket = self._noted(self._begun(fitting))
        try:
            uploaded = self._json("POST", "/files", form=self._lines_of(fitting))
            job = {
                "input_file_id": uploaded["id"],
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "metadata": {"potstill": ticket.token},
            }
            batch = self._json("POST", "/batches", body=orjson.dumps(job))
        except AttemptError as error:
            # Where the batch may exist in spite of the error, the note stays, and it is looked
            # for at the next start.
            if error.billed is False:
                self._never_sent(ticket, error.detail)
            raise
        return self._noted(replace(ticket, id=batch["id"]))

    def _begun(self, requests: Mapping[str, Request]) -> _Ticket:
        """The attempts of a batch, written into the ledger."""
        schemas: dict[bytes, int] = {}
        attempts: dict[str, int] = {}
        schema_of: dict[str, int | None] = {}
        for key, request in requests.items():
            attempts[key] = self._ledger.begin(
                request,
                key,
                teacher=self._teacher,
                number=1,
                rung=None if request.schema is None else self._rung,
                reserved_usd=most_of(request, self._price),
            )
            schema = orjson.dumps(request.schema)
            plain = request.schema is None
            schema_of[key] = None if plain else schemas.setdefault(schema, len(schemas))
        self._ledger.flush()
        distinct = [orjson.loads(schema) for schema in schemas]
        return _Ticket(secrets.token_hex(8), None, attempts, distinct, schema_of)

    def _noted(self, ticket: _Ticket) -> _Ticket:
        self._ledger.note(self._note, asdict(ticket))
        return ticket

    def _never_sent(self, ticket: _Ticket, detail: str) -> None:
        for attempt in ticket.attempts.values():
            self._ledger.end(attempt, "failed", detail=detail, cost_usd=0.0)
        self._ledger.flush()
        self._ledger.note(self._note, None)

    def _affordable(self, waiting: Mapping[str, list[Request]]) -> dict[str, Request]:
        """As many of the requests as fit under the cap."""
        left = float("inf")
        if self._cap_usd is not None:
            left = self._cap_usd - self._ledger.committed_usd()
        fitting: dict[str, Request] = {}
        for key, (request, *_) in waiting.items():
            left -= most_of(request, self._price) or 0.0
            if left < 0:
                break
            fitting[key] = request
        # Near the cap, batches of a handful of lines would each take hours.
        if len(fitting) < min(len(waiting), max(1, self._lines // _SMALLEST_SHARE)):
            raise BudgetReached(
                f"the next batch could pass the budget of ${self._cap_usd:g}.",
                hint="Raise the budget and run the same command again; answers are kept.",
            )
        return fitting

    def _lines_of(self, requests: Mapping[str, Request]) -> bytes:
        return b"".join(
            orjson.dumps(
                {
                    "custom_id": key,
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": self._provider.body(request, self._rung),
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for key, request in requests.items()
        )

    def _finished(self, ticket: _Ticket) -> Mapping[str, Any]:
        """The batch, once it has ended."""
        wait_s = _FIRST_POLL_S
        while True:
            batch = self._json("GET", f"/batches/{ticket.id}")
            status = batch.get("status")
            if self._told is not None:
                counts = batch.get("request_counts") or {}
                done = f"{counts.get('completed', 0)} of {len(ticket.attempts)} answered"
                self._told(f"batch {ticket.id}: {status}, {done}")
            if status in _ENDED:
                return batch
            self._sleep(wait_s)
            wait_s = min(_POLL_GROWTH * wait_s, _LONGEST_POLL_S)

    def _endings(self, ticket: _Ticket, batch: Mapping[str, Any]) -> dict[str, _Ending]:
        """How each line ended, from both files in whatever order."""
        endings: dict[str, _Ending] = {}
        for name in ("output_file_id", "error_file_id"):
            content = b""
            if batch.get(name):
                content = self._content("GET", f"/files/{batch[name]}/content")
            for line in content.splitlines():
                said = orjson.loads(line)
                key = said.get("custom_id")
                if key in ticket.attempts and key not in endings:
                    endings[key] = self._ending(ticket, key, said)
        if batch["status"] == "failed" and not endings:
            self._never_sent(ticket, "the batch was refused")
            raise self._refused(batch)
        missing = f"the batch ended as {batch['status']} before this line"
        for key, attempt in ticket.attempts.items():
            if key not in endings:
                endings[key] = _Ending(attempt, fault="timed_out", detail=missing)
        return endings

    def _refused(self, batch: Mapping[str, Any]) -> AttemptError:
        troubles = (batch.get("errors") or {}).get("data") or [{}]
        said = self._provider.clean(troubles[0].get("message") or "it gives no reason")
        return AttemptError(
            "refused",
            f"{self._provider.endpoint} refused the batch: {said}",
            hint="Mend what it complains of, or ask without 'batch'.",
        )

    def _ending(self, ticket: _Ticket, key: str, said: Mapping[str, Any]) -> _Ending:
        """One line of a result file."""
        attempt, place = ticket.attempts[key], ticket.schema_of[key]
        response = said.get("response") or {}
        status, body = response.get("status_code"), response.get("body")
        try:
            if status != 200:
                raise self._provider.refusal(status or 502, {}, orjson.dumps(body or said))
            reply = read_completion(body)
        except AttemptError as error:
            cost_usd = 0.0 if error.billed is False else None
            return _Ending(attempt, fault=error.fault, detail=error.detail, cost_usd=cost_usd)
        reading = read_answer(reply, None if place is None else ticket.schemas[place], self._rung)
        cost_usd = cost_of(reply, self._price)
        return _Ending(attempt, reply, reading.value, reading.fault, reading.detail, cost_usd)

    def _write(self, endings: Mapping[str, _Ending], ticket: _Ticket) -> None:
        for key, ending in endings.items():
            state = "answered" if ending.fault is None else "unusable"
            self._ledger.end(
                ending.attempt,
                "failed" if ending.reply is None else state,
                reply=ending.reply,
                fault=ending.fault,
                detail=ending.detail or None,
                cost_usd=ending.cost_usd,
            )
            if ending.fault is None and ending.reply is not None:
                answered = Answered(
                    attempt=ending.attempt,
                    reply=ending.reply,
                    value=ending.value,
                    rung=None if ticket.schema_of[key] is None else self._rung,
                    cost_usd=ending.cost_usd,
                    seconds=None,
                )
                self._ledger.keep(answered)
        self._ledger.flush()
        self._ledger.note(self._note, None)

    def _outcome(self, request: Request, ending: _Ending, tries: int) -> Outcome:
        answered = ending.fault is None and request.schema is not None
        return Outcome(
            request=request,
            reply=ending.reply,
            value=ending.value,
            fault=ending.fault,
            detail=ending.detail,
            attempts=tries,
            cost_usd=ending.cost_usd,
            seconds=None,
            ledger=str(ending.attempt),
            rung=self._rung if answered else None,
        )

    def _json(self, method: str, path: str, **sent: bytes) -> dict[str, Any]:
        try:
            return orjson.loads(self._content(method, path, **sent))
        except orjson.JSONDecodeError:
            raise AttemptError(
                "unreadable", f"{self._provider.endpoint} answers {path} with no JSON", billed=None
            ) from None

    def _content(self, method: str, path: str, *, body: bytes = b"", form: bytes = b"") -> bytes:
        """The content of a response; what passes is tried again, but never a batch twice."""
        for wait_s in (*_WAITS_S, None):
            try:
                return self._run(self._sent(method, path, body, form))
            except AttemptError as error:
                may_exist = bool(body) and error.billed is not False
                if wait_s is None or error.fatal or may_exist or error.fault not in _AGAIN_AT_ONCE:
                    raise
                self._sleep(max(wait_s, error.retry_after_s or 0.0))
        raise AssertionError("unreachable: the last wait raises")

    async def _sent(self, method: str, path: str, body: bytes, form: bytes) -> bytes:
        # A form can be sent once only, so that each try makes its own.
        data = self._provider.form(form) if form else body or None
        status, headers, content = await self._provider.send(
            method, path, data=data, timeout_s=_CALL_S
        )
        if not 200 <= status < 300:
            raise self._provider.refusal(status, headers, content)
        return content

    def _run(self, call: Coroutine[Any, Any, _T]) -> _T:
        return self._thread.submit(self._loop.run_until_complete, call).result()
