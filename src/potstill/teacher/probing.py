"""Which rung of the ladder an endpoint obeys: asked once, before the questions that cost money."""

from __future__ import annotations

from typing import NoReturn

from potstill.errors import TeacherError
from potstill.teacher.desk import Desk
from potstill.teacher.gate import Stopped
from potstill.teacher.inquiry import Inquiry
from potstill.teacher.request import AttemptError, Reply, Request, Rung
from potstill.teacher.structured import probe


async def settled_rung(request: Request, desk: Desk) -> Rung:
    """The rung for a request; the endpoint is probed where that is not known yet.

    What a probe found is noted in the ledger, so that a run that is resumed does not pay for
    another one. The calls of the probe are attempts like any other, with rows of their own.

    Raises:
        Stopped: no further call is made; the endpoint obeys no rung, or cannot be asked.
    """
    rungs = desk.provider.rungs
    if desk.rung is None and len(rungs) == 1:
        desk.rung = rungs[0]
    if desk.rung is not None or request.schema is None:
        return desk.rung or rungs[0]
    async with desk.probing:
        # Another row may have probed while this one waited.
        return desk.rung or await _probed(desk)


async def _probed(desk: Desk) -> Rung:
    async def complete(request: Request, rung: Rung) -> Reply:
        key = request.key(f"{desk.provider.identity} {rung}")
        return await Inquiry(request, key, rung, desk).reply()

    name = f"rung of {desk.provider.identity}"
    rung: Rung | None = desk.ledger.noted(name)
    if rung is None:
        try:
            rung = await probe(desk.provider.rungs, complete)
        except TeacherError as error:
            _stop(desk, error)
        except AttemptError as error:
            detail = error.detail.rstrip(".")
            place = f" at {desk.provider.endpoint}" if desk.provider.endpoint else ""
            trouble = TeacherError(
                f"{desk.provider.name}{place} cannot be probed: {detail}.",
                hint="Check 'base_url' (http or https?), the network, and 'timeout_s'.",
            )
            _stop(desk, trouble)
        desk.ledger.note(name, rung)
    desk.rung = rung
    return rung


def _stop(desk: Desk, error: TeacherError) -> NoReturn:
    # At once, lest the rows that wait for the probe make it again.
    desk.gate.stop(error)
    raise Stopped from error
