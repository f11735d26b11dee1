"""What Prometheus reads: requests, waiting, answers, deferrals, money."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from potstill.data.example import Target
from potstill.data.extraction import Extraction
from potstill.errors import MissingExtraError
from potstill.serve.contract import Recorder, Served
from potstill.serve.pool import Outcome, Pool
from potstill.serve.registry import Entry, Registry

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_GROUPS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class _OfModel:
    """The series of one model that every answer touches."""

    waited: Histogram
    group: Histogram
    confidence: Histogram
    truncated: Counter


class Meters:
    """All series of one server, in a registry of its own.

    Args:
        registry: what is served.
        pool: the threads.

    Raises:
        MissingExtraError: prometheus_client is not installed.
    """

    def __init__(self, registry: Registry, pool: Pool) -> None:
        try:
            from prometheus_client import (
                CollectorRegistry,
                Counter,
                Gauge,
                Histogram,
                ProcessCollector,
            )
        except ImportError as error:
            raise MissingExtraError("prometheus_client", "serve") from error
        self._all = own = CollectorRegistry()
        ProcessCollector(registry=own)
        name = "potstill_{}".format
        self._requests = Counter(
            name("requests"), "Requests.", ["route", "model", "status"], registry=own
        )
        self._seconds = Histogram(
            name("request_seconds"),
            "Arrival of a request to the end of its answer.",
            ["route", "model"],
            buckets=_SECONDS,
            registry=own,
        )
        self._waited = Histogram(
            name("queue_seconds"),
            "A text's wait for a thread.",
            ["model"],
            buckets=_SECONDS,
            registry=own,
        )
        self._group = Histogram(
            name("group_texts"),
            "Texts that a thread took together.",
            ["model"],
            buckets=_GROUPS,
            registry=own,
        )
        self._confidence = Histogram(
            name("confidence"),
            "Calibrated confidence of the model, deferred inputs included.",
            ["model"],
            buckets=_SHARES,
            registry=own,
        )
        self._truncated = Counter(
            name("truncated"),
            "Texts of which only the beginning was read.",
            ["model"],
            registry=own,
        )
        self._answers = Counter(
            name("answers"),
            "Answers, by label (of an extraction by field that was found) and who gave it.",
            ["model", "label", "by"],
            registry=own,
        )
        self._deferred = Counter(
            name("deferred"),
            "Inputs that the model did not answer: why, and what became of them.",
            ["model", "reason", "fallback"],
            registry=own,
        )
        self._cost = Counter(
            name("cost_usd"),
            "Money paid for answers, beside the machine.",
            ["model", "by"],
            registry=own,
        )
        self._failed = Counter(
            name("failed"), "Inputs on which the model raised.", ["model"], registry=own
        )
        self._swaps = Counter(
            name("swaps"), "New versions, taken over or refused.", ["model", "result"], registry=own
        )
        self._version = Gauge(
            name("model"), "1 for the version that answers.", ["model", "version"], registry=own
        )
        Gauge(name("queue_texts"), "Texts queued or being answered.", registry=own).set_function(
            lambda: pool.waiting
        )
        Gauge(
            name("expected_wait_seconds"), "Wait of a text that came now.", registry=own
        ).set_function(lambda: pool.expected_wait_ms / 1e3)
        Gauge(name("workers"), "Threads that run texts.", registry=own).set(pool.workers)
        # Looking a series up by its labels costs more than counting: once for each is enough.
        self._of_model = lru_cache(1024)(self._series_of_model)
        self._of_request = lru_cache(4096)(self._series_of_request)
        self._of_answer = lru_cache(65536)(self._answers.labels)
        self._versions: dict[str, str] = {}
        registry.listeners.append(self._on_swap)
        for entry in registry:
            self._say_version(entry)

    def exposition(self) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._all), CONTENT_TYPE_LATEST

    def watch_recorder(self, recorder: Recorder) -> None:
        """Show how many answered inputs the recorder could not keep."""
        from prometheus_client import Gauge

        Gauge(
            "potstill_records_dropped",
            "Answered inputs that were to be kept and could not be.",
            registry=self._all,
        ).set_function(lambda: recorder.dropped)

    def request(self, route: str, model: str, status: int, ms: float) -> None:
        """Count a request that has been answered."""
        requests, seconds = self._of_request(route, model, status)
        requests.inc()
        seconds.observe(ms / 1e3)

    def outcome(self, model: str, outcome: Outcome) -> None:
        """Count what a thread did with one text."""
        series = self._of_model(model)
        series.waited.observe(outcome.waited_ms / 1e3)
        series.group.observe(outcome.group)
        if isinstance(outcome.result, Exception):
            self._failed.labels(model).inc()
            return
        if outcome.result.confidence is not None:
            series.confidence.observe(outcome.result.confidence)
        if outcome.result.truncated:
            series.truncated.inc()

    def served(self, served: Served, deferred: str | None) -> None:
        """Count an answer that goes back to its caller.

        Args:
            served: the answer.
            deferred: why the model did not answer, where it did not.
        """
        answer = served.answer
        for label in _named(answer.prediction.answer):
            self._of_answer(served.model, label, answer.by).inc()
        if deferred is not None:
            self._deferred.labels(served.model, deferred, answer.fallback or "none").inc()
        if answer.cost_usd:
            self._cost.labels(served.model, answer.by).inc(answer.cost_usd)

    def _series_of_model(self, model: str) -> _OfModel:
        return _OfModel(
            self._waited.labels(model),
            self._group.labels(model),
            self._confidence.labels(model),
            self._truncated.labels(model),
        )

    def _series_of_request(self, route: str, model: str, status: int) -> tuple[Counter, Histogram]:
        return (
            self._requests.labels(route, model, str(status)),
            self._seconds.labels(route, model),
        )

    def _on_swap(self, entry: Entry, swapped: bool) -> None:
        self._swaps.labels(entry.name, "taken" if swapped else "refused").inc()
        if swapped:
            self._say_version(entry)

    def _say_version(self, entry: Entry) -> None:
        version = entry.current.facts.version
        if (old := self._versions.get(entry.name)) is not None:
            self._version.remove(entry.name, old)
        self._versions[entry.name] = version
        self._version.labels(entry.name, version).set(1)


def _named(given: Target | None) -> tuple[str, ...]:
    """What an answer is counted under: its labels, the fields that it holds, or nothing."""
    match given:
        case str():
            return (given,)
        case tuple():
            return given
        case Extraction():
            return tuple(name for name, found in given.fields.items() if found)
        case _:
            return ("",)
