"""One pool of threads for all models: who waits, who is turned away, who is answered.

onnxruntime and tokenizers release the interpreter's lock, so a thread a core keeps every core
busy. Each text is run by itself; a thread takes as many waiting texts at a time as it can
answer in `GROUP_MS`, and never waits for company: a group only spares hand-overs. So a small
model whose texts take 50 µs is handed forty at a time, an encoder one.

A document that alone takes longer than the longest wait has a thread of its own beside the others,
one document at a time, so that it is in nobody's way but other documents'.

Admission is by time, not by count. The pool knows from measurement what the waiting texts will
take; whoever would wait longer than the objective is told at once when to come back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue

from potstill.data.example import Input, Prediction, text_of
from potstill.serve.contract import Servable
from potstill.serve.refusal import Refusal

GROUP_MS = 2.0
"""Work that a thread takes at a time: enough to make a hand-over (some 50 µs) small beside it."""

MOST_WAITING = 10_000
"""Jobs that wait at most, whatever their measured work."""

DOCUMENT_CHARACTERS = 8000
"""From so many on a text is a document, of which the pace is kept apart: what every text costs
besides is nothing beside its length."""

_MOST_REPLACED = 32
_OVERHEAD_CHARACTERS = 40


@dataclass(slots=True)
class Pace:
    """What a servable's texts take, as a moving average of measurements.

    Attributes:
        most_characters: length from which a text takes no longer, being cut.
        ms_per_character: the average; a text counts forty characters more than it has.
        document_ms_per_character: the average of documents; None where a long text is cut, or
            takes no longer than another.
    """

    most_characters: int = 4096
    ms_per_character: float = 0.02
    document_ms_per_character: float | None = None

    def expected_ms(self, value: Input) -> float:
        """What answering an input will take on one thread."""
        document = self.document_ms(value)
        return self.ms_per_character * self._characters(value) if document is None else document

    def document_ms(self, value: Input) -> float | None:
        """What answering a document will take on one thread; None of another input."""
        characters = self._characters(value)
        if self.document_ms_per_character is None or characters < DOCUMENT_CHARACTERS:
            return None
        return self.document_ms_per_character * characters

    def most_within(self, ms: float) -> int:
        """Characters of the longest document that can be answered in so many milliseconds."""
        return int(ms / (self.document_ms_per_character or self.ms_per_character))

    def measure_document(self, value: Input, ms: float) -> None:
        """Take the first measurement of a document."""
        self.document_ms_per_character = ms / self._characters(value)

    def measure_first(self, value: Input, ms: float) -> None:
        """Take one measurement for the average."""
        self.ms_per_character = ms / self._characters(value)

    def learn(self, values: Iterable[Input], ms: float) -> None:
        """Take a measurement into the average."""
        lengths = [self._characters(value) for value in values]
        measured = ms / sum(lengths)
        known = self.document_ms_per_character
        if known is not None and max(lengths) >= DOCUMENT_CHARACTERS:
            if len(lengths) == 1:
                self.document_ms_per_character = known + 0.1 * (measured - known)
            return
        self.ms_per_character += 0.1 * (measured - self.ms_per_character)

    def _characters(self, value: Input) -> int:
        length = len(value) if isinstance(value, str) else len(text_of(value))
        return min(length, self.most_characters) + _OVERHEAD_CHARACTERS


@dataclass(slots=True)
class Lane:
    """Something to be answered from, and what is known of its speed."""

    servable: Servable
    pace: Pace = field(default_factory=Pace)


@dataclass(slots=True)
class Outcome:
    """What came of one text: a prediction, or the exception in its place.

    Attributes:
        result: the one or the other.
        group: texts that the thread had taken together.
        waited_ms: from being queued to being taken.
    """

    result: Prediction | Exception
    group: int
    waited_ms: float


@dataclass(slots=True, eq=False)
class _Job:
    lane: Lane
    values: Sequence[Input]
    expected_ms: float
    future: asyncio.Future[list[Outcome]]
    queued: float
    apart: bool


@dataclass(slots=True)
class _Group:
    """What came of the jobs of one servable that a thread took together."""

    lane: Lane
    jobs: list[_Job]
    outcomes: list[Outcome]
    ms: float


class _Worker(threading.Thread):
    """One thread of the pool; `busy_since` tells whether it hangs."""

    def __init__(self, pool: Pool, number: int, queue: SimpleQueue[_Job | None]) -> None:
        super().__init__(name=f"potstill-serve-{number}", daemon=True)
        self._pool = pool
        self.queue = queue
        self.jobs: list[_Job] = []
        self.busy_since: float | None = None
        self.written_off = False

    def run(self) -> None:
        """Answer jobs until the pool closes or has given this thread up."""
        # A turn is a call of its own, so that an idle thread holds on to no model.
        while not self.written_off and self._turn():
            pass

    def _turn(self) -> bool:
        jobs = self._pool.take(self.queue)
        if not jobs:
            return False
        self.jobs, self.busy_since = jobs, time.monotonic()
        groups = _answer(jobs)
        self.jobs, self.busy_since = [], None
        self._pool.hand_back(self, jobs, groups)
        return True


class Pool:
    """Threads that answer, with admission by expected waiting time.

    All methods but `take` and `hand_back` belong to the event loop's thread.

    Args:
        workers: threads.
        objective_ms: the longest wait to which a request is admitted.
        hang_s: after so long a thread counts as hung, and another takes its place.
    """

    def __init__(self, workers: int, *, objective_ms: float = 500.0, hang_s: float = 60.0) -> None:
        self.workers = workers
        self.objective_ms = objective_ms
        self._hang_s = hang_s
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._documents: SimpleQueue[_Job | None] = SimpleQueue()
        self._expected_ms = 0.0
        self._documents_ms = 0.0
        self._waiting = 0
        self._threads: list[_Worker] = []
        self._replaced = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the threads; answers go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self.workers):
            self._start_one(self._queue)
        self._start_one(self._documents)

    async def close(self) -> None:
        """Let the threads finish what is queued, and end them; a hung one is left behind."""
        for thread in self._threads:
            thread.queue.put(None)
        patience = time.monotonic() + 1.0
        while any(map(_Worker.is_alive, self._threads)) and time.monotonic() < patience:
            await asyncio.sleep(0.005)

    @property
    def expected_wait_ms(self) -> float:
        """How long a text that came now would wait for a thread."""
        return self._expected_ms / self.workers

    @property
    def waiting(self) -> int:
        """Texts that are queued or being answered."""
        return self._waiting

    @property
    def stuck(self) -> bool:
        """Whether so many threads hung that no more are started in their place."""
        return self._replaced >= _MOST_REPLACED

    def admit(self) -> None:
        """Let a request in, or turn it away.

        Raises:
            Refusal: it would wait longer than the objective (429, with Retry-After).
        """
        wait_ms = self.expected_wait_ms
        if wait_ms <= self.objective_ms and self._queue.qsize() < MOST_WAITING:
            return
        raise Refusal(
            429,
            "overloaded",
            f"a request that came now would wait {wait_ms:,.0f} ms; "
            f"the server admits up to {self.objective_ms:,.0f} ms.",
            hint="Try again after the seconds that Retry-After names, or add a server.",
            retry_after_s=wait_ms / 1e3,
        )

    def check_documents(self, lane: Lane, values: Sequence[Input], left_s: float) -> bool:
        """Whether all inputs are documents that are answered apart, and wait for none but these.

        Args:
            lane: what is to answer.
            values: of one request.
            left_s: until its deadline.

        Raises:
            Refusal: a document cannot be answered until then, however idle the server is (413), or
                not beside those that wait already (429, with Retry-After).
        """
        left_ms = 1e3 * left_s
        for at, value in enumerate(values):
            expected = lane.pace.document_ms(value)
            if expected is not None and expected > left_ms:
                raise Refusal(
                    413,
                    "too_long_for_deadline",
                    f"input {at} has {len(text_of(value)):,} characters; until the deadline, in "
                    f"{left_s:.0f} s, this model reads some {lane.pace.most_within(left_ms):,}.",
                    hint="Send it in parts, or answer it without a server: potstill predict "
                    "MODEL FILE.",
                )
        if not all(self._is_apart(lane, [value]) for value in values):
            return False
        wait_ms = self._documents_ms + sum(map(lane.pace.expected_ms, values))
        if wait_ms > left_ms:
            raise Refusal(
                429,
                "overloaded",
                f"other documents are read first: this one would be answered in "
                f"{wait_ms / 1e3:,.0f} s, and its deadline is in {left_s:.0f} s.",
                hint="Try again after the seconds that Retry-After names, or add a server.",
                retry_after_s=self._documents_ms / 1e3,
            )
        return True

    def _is_apart(self, lane: Lane, values: Sequence[Input]) -> bool:
        """Whether a job is a document that would make others wait longer than the objective."""
        known = lane.pace.document_ms(values[0]) if len(values) == 1 else None
        return known is not None and known > self.objective_ms

    async def answer(self, lane: Lane, values: Sequence[Input]) -> list[Outcome]:
        """Answer the inputs of one admitted request, in order.

        A request of many inputs has few of them in the queue at a time, so that it does not
        keep a request of one waiting.
        """
        if len(values) == 1:
            return await self._submit(lane, values)
        outcomes: dict[int, list[Outcome]] = {}
        pieces = enumerate(self._pieces(lane.pace, values))

        async def work() -> None:
            for number, piece in pieces:
                outcomes[number] = await self._submit(lane, piece)

        async with asyncio.TaskGroup() as group:
            for _ in range(2 * self.workers):
                group.create_task(work())
        return [outcome for number in sorted(outcomes) for outcome in outcomes[number]]

    def _pieces(self, pace: Pace, values: Sequence[Input]) -> Iterable[Sequence[Input]]:
        """Runs of inputs that a thread can answer in `GROUP_MS`, one input at the least."""
        source = iter(values)
        while first := list(islice(source, 1)):
            room = int(GROUP_MS / max(pace.expected_ms(first[0]), 1e-3)) - 1
            yield first + list(islice(source, max(0, room)))

    def _submit(self, lane: Lane, values: Sequence[Input]) -> asyncio.Future[list[Outcome]]:
        assert self._loop is not None, "the pool has not been started"
        expected = sum(map(lane.pace.expected_ms, values))
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        apart = self._is_apart(lane, values)
        if apart:
            self._documents_ms += expected
        else:
            self._expected_ms += expected
        self._waiting += len(values)
        queue = self._documents if apart else self._queue
        queue.put(_Job(lane, values, expected, future, time.monotonic(), apart))
        return future

    def take(self, queue: SimpleQueue[_Job | None]) -> list[_Job]:
        """The next jobs for a thread; waits for the first, and for no other."""
        job = queue.get()
        if job is None:
            return []
        jobs, room = [job], GROUP_MS - job.expected_ms
        try:
            while room > 0.0 and (job := queue.get_nowait()) is not None:
                jobs.append(job)
                room -= job.expected_ms
        except Empty:
            return jobs
        if job is None:
            queue.put(None)  # the end was meant for a thread that has nothing to do
        return jobs

    def hand_back(self, worker: _Worker, jobs: list[_Job], groups: list[_Group]) -> None:
        """Give answers to the event loop; called by a thread."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._deliver, worker, jobs, groups)
        except RuntimeError:  # the loop is closed: nobody waits any more
            worker.written_off = True

    def _deliver(self, worker: _Worker, jobs: list[_Job], groups: list[_Group]) -> None:
        if not worker.written_off:
            self._settle(jobs)
        for group in groups:
            values = (value for job in group.jobs for value in job.values)
            group.lane.pace.learn(values, group.ms)
            outcomes = iter(group.outcomes)
            for job in group.jobs:
                mine = list(islice(outcomes, len(job.values)))
                if not job.future.done():
                    job.future.set_result(mine)

    def _settle(self, jobs: list[_Job]) -> None:
        """Take jobs off the account of what is expected."""
        for job in jobs:
            if job.apart:
                self._documents_ms -= job.expected_ms
            else:
                self._expected_ms -= job.expected_ms
            self._waiting -= len(job.values)
        if not self._waiting:
            self._expected_ms = self._documents_ms = 0.0  # what rounding left

    def replace_hung(self) -> int:
        """Start a thread for each that hangs; how many there were."""
        now = time.monotonic()
        hung = [
            thread
            for thread in self._threads
            if thread.busy_since is not None and now - thread.busy_since > self._hang_s
        ]
        for thread in hung[: _MOST_REPLACED - self._replaced]:
            thread.written_off = True
            self._settle(thread.jobs)
            self._threads.remove(thread)
            self._replaced += 1
            self._start_one(thread.queue)
        return len(hung)

    def _start_one(self, queue: SimpleQueue[_Job | None]) -> None:
        thread = _Worker(self, len(self._threads), queue)
        self._threads.append(thread)
        thread.start()


def _answer(jobs: list[_Job]) -> list[_Group]:
    """Run the jobs that somebody still waits for, those of one servable together."""
    lanes: dict[int, list[_Job]] = {}
    for job in jobs:
        if not job.future.cancelled():
            lanes.setdefault(id(job.lane), []).append(job)
    return [_answer_group(members) for members in lanes.values()]


def _answer_group(jobs: list[_Job]) -> _Group:
    values = [value for job in jobs for value in job.values]
    begin = time.monotonic()
    results = _run(jobs[0].lane.servable, values)
    ms = 1e3 * (time.monotonic() - begin)
    waits = [1e3 * (begin - job.queued) for job in jobs for _ in job.values]
    outcomes = [
        Outcome(result, len(values), waited) for result, waited in zip(results, waits, strict=True)
    ]
    return _Group(jobs[0].lane, jobs, outcomes, ms)


def _run(servable: Servable, values: list[Input]) -> Sequence[Prediction | Exception]:
    """A prediction for each input; where one raises, its exception stands in its place."""
    try:
        return [servable.predict(values[0])] if len(values) == 1 else servable.predict(values)
    except Exception as error:  # a servable may raise anything; the server lives on
        if len(values) == 1:
            return [error]
        return [_run(servable, [value])[0] for value in values]
