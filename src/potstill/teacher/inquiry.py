"""One question, pursued until it is answered or has failed for good.

What follows from each way in which an attempt can end is decided here, and only here:

=================  =============================================================
answered           done
rate_limited       asked again when the gate opens; the row is not to blame
server's faults    asked again after a jittered wait, `Manner.max_attempts` calls in all
cut_off            asked again once, with twice the room; never read
unusable answers   asked again, told what was wrong, `Manner.max_repairs` times
all others         failed at once
=================  =============================================================
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from potstill.errors import TeacherError
from potstill.teacher.budget import cost_of, most_of
from potstill.teacher.desk import Desk
from potstill.teacher.entries import Answered
from potstill.teacher.gate import Pass, Stopped
from potstill.teacher.pace import jittered_wait_s
from potstill.teacher.request import AttemptError, Fault, Message, Outcome, Reply, Request, Rung
from potstill.teacher.structured import read_answer

SERVER_FAULTS: frozenset[Fault] = frozenset(
    {"server_error", "timed_out", "connection_lost", "unreadable"}
)
UNUSABLE: frozenset[Fault] = frozenset({"empty", "invalid_json", "outside_schema"})
ROW_FAULTS: frozenset[Fault] = frozenset({"context_overflow", "content_filtered"})
"""Errors that show that the endpoint is there and this row is the trouble."""

_MOST_TURNED_AWAY = 50
"""A row that is turned away this often, while others get in, is itself too large for the rate."""
_GRACE_S = 5.0
"""A provider that does not keep to its timeout is cut off this much later."""
_LONGEST_REST_S = 60.0
_QUOTED_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt ended."""

    reply: Reply | None
    value: Any
    fault: Fault | None
    detail: str
    retry_after_s: float = 0.0


class Inquiry:
    """A request on its way to an outcome.

    Args:
        request: the question.
        key: its cache key.
        rung: how a structured answer is asked for; without a schema it means nothing.
        desk: where it is dealt with.
    """

    def __init__(self, request: Request, key: str, rung: Rung, desk: Desk) -> None:
        self._request = request
        self._key = key
        self._rung: Rung = rung
        self._desk = desk
        self._attempts = 0
        self._failures = 0
        self._repairs = 0
        self._turned_away = 0
        self._row = 0
        self._seconds: float | None = None
        self._cost_usd: float | None = 0.0
        self.calling = False
        self.abandoned = False

    async def outcome(self) -> Outcome:
        """Ask, and ask again where it helps.

        Raises:
            Stopped: no further call is made; the row has no outcome.
        """
        asked = self._request
        while True:
            ending = await self._attempt(asked)
            if ending.fault is None:
                return self._answered(ending)
            following = await self._next(asked, ending)
            if following is None:
                return self._ended(ending)
            asked = following

    async def reply(self) -> Reply:
        """Ask until there is a reply, be it of use or not.

        Raises:
            AttemptError: there is none.
            Stopped: no further call is made.
        """
        while True:
            ending = await self._attempt(self._request)
            if ending.reply is not None:
                return ending.reply
            assert ending.fault is not None
            if await self._next(self._request, ending) is None:
                raise AttemptError(ending.fault, ending.detail)

    async def _next(self, asked: Request, ending: Ending) -> Request | None:
        """What to ask after an attempt that failed; None where the row has failed."""
        if ending.fault == "rate_limited":
            self._turned_away += 1
            return asked if self._turned_away < _MOST_TURNED_AWAY else None
        if ending.fault in SERVER_FAULTS:
            # While the endpoint is not there at all no row is to blame for it.
            self._failures += not self._desk.gate.breaker.open
            if self._failures >= self._desk.manner.max_attempts:
                return None
            wait_s = jittered_wait_s(max(1, self._failures))
            await self._desk.gate.rest(max(wait_s, min(ending.retry_after_s, _LONGEST_REST_S)))
            return asked
        if ending.fault == "cut_off":
            wider = 2 * self._request.max_tokens
            return None if asked.max_tokens == wider else replace(asked, max_tokens=wider)
        if ending.fault in UNUSABLE and self._repairs < self._desk.manner.max_repairs:
            self._repairs += 1
            return _repair(self._request, asked.max_tokens, ending)
        return None

    async def _attempt(self, asked: Request) -> Ending:
        if self.abandoned:
            raise Stopped
        desk = self._desk
        most_usd = most_of(asked, desk.price)
        given = await desk.gate.enter(most_usd or 0.0, again=self._attempts > 0)
        cost_usd: float | None = 0.0
        try:
            self._attempts += 1
            self._row = desk.ledger.begin(
                self._request,
                self._key,
                teacher=desk.teacher,
                number=self._attempts,
                rung=None if asked.schema is None else self._rung,
                reserved_usd=most_usd,
            )
            await self._written()
            ending, cost_usd = await self._call(asked, given)
        except Stopped:
            raise
        except BaseException:
            if self.calling:
                cost_usd = None
            raise
        finally:
            self.calling = False
            desk.gate.leave(given, cost_usd)
            self._pay(cost_usd)
        return ending

    async def _written(self) -> None:
        """Wait until the beginning of the attempt is on disk: no call is made before that."""
        try:
            await self._desk.written()
        except BaseException:
            self._desk.ledger.end(self._row, "failed", detail="never sent", cost_usd=0.0)
            raise

    async def _call(self, asked: Request, given: Pass) -> tuple[Ending, float | None]:
        """Make the call and write down how it ended; its price beside it."""
        desk, clock = self._desk, asyncio.get_running_loop().time
        timeout_s = desk.manner.timeout_s
        self.calling = True
        began = clock()
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S):
                reply = await desk.provider.complete(asked, self._rung, timeout_s=timeout_s)
        except AttemptError as error:
            self._seconds = clock() - began
            return self._no_reply(error, given)
        except TimeoutError:
            self._seconds = clock() - began
            late = AttemptError("timed_out", f"no reply in {timeout_s:g} s", billed=None)
            return self._no_reply(late, given)
        except BaseException as error:
            desk.ledger.end(self._row, "lost", detail=type(error).__name__, seconds=clock() - began)
            raise
        self._seconds = clock() - began
        return self._replied(reply, asked)

    def _replied(self, reply: Reply, asked: Request) -> tuple[Ending, float | None]:
        desk = self._desk
        desk.gate.answered()
        cost_usd = cost_of(reply, desk.price)
        ending = self._read(reply, asked)
        desk.ledger.end(
            self._row,
            "answered" if ending.fault is None else "unusable",
            reply=reply,
            fault=ending.fault,
            detail=ending.detail or None,
            cost_usd=cost_usd,
            seconds=self._seconds,
        )
        return ending, cost_usd

    def _read(self, reply: Reply, asked: Request) -> Ending:
        if reply.finish_reason == "length":
            return Ending(reply, None, "cut_off", f"longer than {asked.max_tokens} tokens")
        if reply.finish_reason == "content_filter":
            return Ending(reply, None, "content_filtered", "the endpoint withheld the answer")
        if not _is_unicode(reply):
            return Ending(reply, None, "unreadable", "the reply is not valid Unicode")
        reading = read_answer(reply, asked.schema, self._rung)
        return Ending(reply, reading.value, reading.fault, reading.detail)

    def _no_reply(self, error: AttemptError, given: Pass) -> tuple[Ending, float | None]:
        desk = self._desk
        cost_usd = 0.0 if error.billed is False else None
        desk.ledger.end(
            self._row,
            "failed",
            fault=error.fault,
            detail=error.detail,
            status=error.status,
            cost_usd=cost_usd,
            seconds=self._seconds,
        )
        if error.fatal:
            self._stop(error)
        if error.fault == "rate_limited":
            desk.gate.turned_away(given, error)
        elif error.fault in ROW_FAULTS:
            desk.gate.answered()
        else:
            desk.gate.failed(given, error)
        wait_s = error.retry_after_s or 0.0
        return Ending(None, None, error.fault, error.detail, wait_s), cost_usd

    def _stop(self, error: AttemptError) -> NoReturn:
        detail = error.detail if error.detail.endswith(".") else f"{error.detail}."
        self._desk.gate.stop(TeacherError(detail, where=self._desk.provider.name, hint=error.hint))
        raise Stopped

    def _pay(self, cost_usd: float | None) -> None:
        paid = self._cost_usd
        self._cost_usd = None if paid is None or cost_usd is None else paid + cost_usd

    def _answered(self, ending: Ending) -> Outcome:
        outcome = self._ended(ending)
        assert outcome.reply is not None
        self._desk.ledger.keep(
            Answered(
                attempt=self._row,
                reply=outcome.reply,
                value=outcome.value,
                rung=outcome.rung,
                cost_usd=outcome.cost_usd,
                seconds=outcome.seconds,
            )
        )
        return outcome

    def _ended(self, ending: Ending) -> Outcome:
        answered = ending.fault is None and self._request.schema is not None
        return Outcome(
            request=self._request,
            reply=ending.reply,
            value=ending.value,
            fault=ending.fault,
            detail=ending.detail,
            attempts=self._attempts,
            cost_usd=self._cost_usd,
            seconds=self._seconds,
            ledger=str(self._row),
            rung=self._rung if answered else None,
        )


def remembered(request: Request, kept: Answered) -> Outcome:
    """The outcome of a request whose answer is in the ledger."""
    return Outcome(
        request=request,
        reply=kept.reply,
        value=kept.value,
        fault=None,
        detail="",
        attempts=0,
        cost_usd=kept.cost_usd,
        seconds=kept.seconds,
        ledger=str(kept.attempt),
        rung=kept.rung,
    )


def _is_unicode(reply: Reply) -> bool:
    try:
        f"{reply.text}{reply.thought}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _repair(request: Request, max_tokens: int, ending: Ending) -> Request:
    """The question once more, with what was wrong with the last answer.

    The complaint stands in the last turn where the answer was empty: many endpoints refuse
    an empty turn, and two turns of one role.
    """
    complaint = f"Your answer cannot be used: {ending.detail.rstrip('.')}. Answer again, in the form asked for."
    said = ending.reply.text[:_QUOTED_CHARACTERS] if ending.reply else ""
    turns: tuple[Message, ...]
    if said.strip():
        turns = (
            *request.messages,
            {"role": "assistant", "content": said},
            {"role": "user", "content": complaint},
        )
    else:
        *before, last = request.messages
        turns = (*before, {"role": last["role"], "content": f"{last['content']}\n\n{complaint}"})
    return replace(request, messages=turns, max_tokens=max_tokens)
