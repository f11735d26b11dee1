"""From inputs to answers: the pool, the fallback for what is deferred, the books."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from potstill.data.example import Input, Prediction
from potstill.errors import DataError, NodeTimeout, PotstillError
from potstill.serve.contract import Answer, Fallback, Recorder, Served
from potstill.serve.metrics import Meters
from potstill.serve.pool import Outcome, Pool
from potstill.serve.refusal import Refusal, told
from potstill.serve.registry import Entry, Loaded
from potstill.serve.visit import Visit

_log = logging.getLogger("potstill.serve")

_LOOK = "Look for this request in the server's log."


class Answerer:
    """Answers the inputs of requests.

    Args:
        pool: the threads.
        meters: counts.
        fallbacks: who answers what a model deferred, by the model's name.
        recorder: keeps what was served.
    """

    def __init__(
        self,
        pool: Pool,
        meters: Meters,
        *,
        fallbacks: Mapping[str, Fallback],
        recorder: Recorder | None,
    ) -> None:
        self.pool = pool
        self._meters = meters
        self._fallbacks = fallbacks
        self._recorder = recorder

    async def answer(
        self, entry: Entry, values: Sequence[Input], visit: Visit, *, truncate: bool = True
    ) -> list[Answer]:
        """Answers of one request, in the order of its inputs.

        Args:
            entry: what was asked.
            values: at least one input.
            visit: the request; its model, version and deadline.
            truncate: whether an input may be longer than the model reads.

        Raises:
            Refusal: overloaded (429), too long (422) or too long for the deadline (413), or the
                servable raised (500).
            TimeoutError: the deadline has passed.
        """
        loaded = entry.current
        visit.model, visit.version = entry.name, loaded.facts.version
        visit.inputs += len(values)
        if not self.pool.check_documents(loaded.lane, values, _left_s(visit)):
            self.pool.admit()
        async with asyncio.timeout(_left_s(visit)):
            outcomes = await self.pool.answer(loaded.lane, values)
        # Counted once the answer is on its way.
        later = asyncio.get_running_loop().call_soon
        later(self._count, entry.name, outcomes)
        predictions = [_prediction(outcome, entry) for outcome in outcomes]
        if not truncate:
            _refuse_truncated(predictions, loaded)
        if any(prediction.deferred for prediction in predictions):
            answers = await asyncio.gather(
                *(
                    self._settled(loaded, entry, value, prediction, _left_s(visit))
                    for value, prediction in zip(values, predictions, strict=True)
                )
            )
        else:
            answers = [_own(prediction, loaded) for prediction in predictions]
        for value, answer, prediction in zip(values, answers, predictions, strict=True):
            later(self._book, visit, visit.spent_ms, value, answer, prediction)
        return answers

    async def answer_each(
        self, entry: Entry, values: Sequence[Input], visit: Visit
    ) -> list[Answer | Refusal]:
        """As `answer` for an admitted stream: what fails stands in its input's place."""
        loaded = entry.current
        visit.model, visit.version = entry.name, loaded.facts.version
        visit.inputs += len(values)
        answers: list[Answer | Refusal] = []
        outcomes = await self.pool.answer(loaded.lane, values)
        for value, outcome in zip(values, outcomes, strict=True):
            self._meters.outcome(entry.name, outcome)
            try:
                prediction = _prediction(outcome, entry)
            except Refusal as refusal:
                answers.append(refusal)
                continue
            answer = await self._settled(loaded, entry, value, prediction, visit.timeout_s)
            self._book(visit, visit.spent_ms, value, answer, prediction)
            answers.append(answer)
        return answers

    async def _settled(
        self, loaded: Loaded, entry: Entry, value: Input, prediction: Prediction, left_s: float
    ) -> Answer:
        """The model's answer; of a deferred input the fallback's, if it comes in time."""
        if prediction.deferred is None:
            return _own(prediction, loaded)
        fallback = self._fallbacks.get(entry.name)
        if fallback is None:
            return Answer(prediction, "nobody", "abstained")
        try:
            async with asyncio.timeout(left_s):
                return await fallback.answer(entry.name, value, prediction)
        except TimeoutError:
            return Answer(prediction, "nobody", "unavailable")

    def _count(self, name: str, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._meters.outcome(name, outcome)

    def _book(
        self, visit: Visit, ms: float, value: Input, answer: Answer, guess: Prediction
    ) -> None:
        served = Served(
            request=visit.id,
            model=visit.model,
            version=visit.version,
            value=value,
            answer=answer,
            ms=ms,
            own=None if answer.prediction is guess else guess,
        )
        self._meters.served(served, guess.deferred)
        if self._recorder is not None:
            self._recorder.record(served)


def _prediction(outcome: Outcome, entry: Entry) -> Prediction:
    """The prediction, or the refusal that says why there is none.

    Raises:
        Refusal: the servable raised: 500, or 504 and 422 where that is whose fault it was.
    """
    if isinstance(outcome.result, Prediction):
        return outcome.result
    error = outcome.result
    if isinstance(error, DataError):
        raise Refusal(422, "invalid", error.message, hint=error.hint or _LOOK) from error
    _log.error("%s failed on an input: %s", entry.name, told(error))
    if isinstance(error, NodeTimeout):
        raise Refusal(504, "node_timeout", error.message, hint=error.hint or _LOOK) from error
    if isinstance(error, PotstillError):
        raise Refusal(500, "model_failed", error.message, hint=error.hint or _LOOK) from error
    raise Refusal(500, "model_failed", "the model raised an error.", hint=_LOOK) from error


def _own(prediction: Prediction, loaded: Loaded) -> Answer:
    """The servable's own answer; what a teacher inside a workflow took for it is not known here."""
    return Answer(prediction, loaded.facts.kind, cost_usd=0.0 if loaded.facts.free else None)


def _left_s(visit: Visit) -> float:
    """Seconds until the request's deadline."""
    return visit.timeout_s - (time.perf_counter() - visit.began)


def _refuse_truncated(predictions: Sequence[Prediction], loaded: Loaded) -> None:
    for at, prediction in enumerate(predictions):
        if prediction.truncated:
            raise Refusal(
                422,
                "too_long",
                f"input {at} is longer than the {loaded.facts.max_tokens} tokens that the "
                "model reads.",
                hint="Shorten it, or allow the model to read its beginning: 'truncate': true.",
            )
