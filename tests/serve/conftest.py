"""A server around a servable of a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from chat_teacher import ChatTeacher, Place, Upstream
from chat_teacher import serving as serving_any
from served import Caller, Topics, registry_of

from potstill.serve import Settings
from potstill.serve.registry import Registry
from potstill.serve.server import serving


@pytest.fixture
def topics() -> Iterator[Topics]:
    servable = Topics()
    yield servable
    servable.release.set()


@pytest.fixture
def start(topics: Topics) -> Iterator[Callable[..., Caller]]:
    """``start(*servables or registry, settings…, fallbacks=, recorder=, routes=)``."""
    with ExitStack() as stack:

        def go(
            *servables: Any,
            registry: Registry | None = None,
            fallbacks: Any = None,
            recorder: Any = None,
            routes: Sequence[Any] = (),
            **settings: Any,
        ) -> Caller:
            known: dict[str, Any] = {
                "port": 0,
                "workers": 2,
                "poll_s": 0.05,
                "drain_s": 0.0,
                "log_requests": False,
                **settings,
            }
            url = stack.enter_context(
                serving(
                    registry or registry_of(*(servables or (topics,))),
                    Settings(**known),
                    fallbacks=fallbacks,
                    recorder=recorder,
                    routes=routes,
                )
            )
            return Caller(url)

        yield go


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    """A caller of one server of `Topics`, for all tests of a module that change nothing."""
    servable = Topics()
    settings = Settings(port=0, workers=2, drain_s=0.0, log_requests=False)
    with serving(registry_of(servable), settings) as url:
        yield Caller(url)
    servable.release.set()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    found = Upstream()
    with serving_any(found) as url:
        found.url = f"{url}/v1"
        yield found


@pytest.fixture
def teacher(upstream: Upstream) -> ChatTeacher:
    upstream.teacher = ChatTeacher()
    return upstream.teacher


@pytest.fixture
def place(
    tmp_path: Path, upstream: Upstream, teacher: ChatTeacher
) -> Iterator[Callable[..., Place]]:
    with upstream.places(tmp_path) as make:
        yield make
