"""What is served under which name, and how a new version takes its place.

A version is loaded and tried beside the one that answers, and takes its place between two
requests: whoever was handed to the old one is answered by it. A version that cannot be loaded,
or that fails its own probes, is refused and logged, and the old one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import difflib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from potstill.data.example import Input
from potstill.errors import PotstillError
from potstill.serve.contract import Servable
from potstill.serve.facts import Facts, facts_of
from potstill.serve.pool import DOCUMENT_CHARACTERS, Lane, Pace
from potstill.serve.refusal import Refusal

_log = logging.getLogger("potstill.serve")

_CHARACTERS_PER_TOKEN = 5
_ANY_LENGTH = 1 << 40
_WARM_TEXT = "a first text, so that no caller waits for what happens once"

Mark = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """Where a servable comes from.

    Attributes:
        name: the name in its routes.
        path: a model folder, or a workflow file.
        load: loads it; called again for a new version, in a thread of its own. A model should
            be loaded with one worker: the server's threads do the rest.
    """

    name: str
    path: Path
    load: Callable[[Path], Servable]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One version at work.

    Attributes:
        lane: the servable and its speed.
        facts: what the routes tell of it.
        since: when it was loaded, seconds since 1970.
        mark: state of its files at that time.
    """

    lane: Lane
    facts: Facts
    since: float
    mark: Mark


class Entry:
    """A name, and the version that answers under it now."""

    def __init__(self, source: Source, current: Loaded) -> None:
        self.source = source
        self.current = current
        self.seen: Mark | None = None
        self.refused: Mark | None = None

    @property
    def name(self) -> str:
        """The name in the routes."""
        return self.source.name


class Registry:
    """All that is served.

    Args:
        sources: loaded at once, in order.
        awaited: those that are not there yet; each is served from when it can be loaded.

    Raises:
        PotstillError: two of one name, or one that cannot be loaded.
    """

    def __init__(self, sources: Sequence[Source], awaited: Sequence[Source] = ()) -> None:
        self._awaited: dict[Source, Mark | None] = dict.fromkeys(awaited)
        self._entries: dict[str, Entry] = {}
        # One thread loads all versions: each thread has an arena of its own, and keeps it.
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="potstill-load")
        self._freed = False
        self.listeners: list[Callable[[Entry, bool], None]] = []
        for source in sources:
            if source.name in self._entries:
                raise PotstillError(
                    f"two of what shall be served have the name {source.name!r}.",
                    where=str(source.path),
                    hint="Serve one of them, or give the other another name.",
                )
            self._entries[source.name] = Entry(source, load(source))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def find(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            Refusal: there is none (404); the message names the nearest.
        """
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        near = difflib.get_close_matches(name[:100], self._entries, n=1)
        raise Refusal(
            404,
            "unknown_model",
            f"no model has the name {name[:100]!r}.",
            hint=f"Did you mean {near[0]!r}?"
            if near
            else f"Served: {', '.join(self._entries) or 'nothing yet'}.",
        )

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Name and version of each, in order."""
        return tuple((entry.name, entry.current.facts.version) for entry in self)

    async def refresh(self, *, at_once: bool = False) -> None:
        """Load every entry whose files have changed since it was loaded or refused.

        Args:
            at_once: take files that may still be changing; otherwise they must look the same
                twice, so that a folder that is being copied is not read half.
        """
        loop = asyncio.get_running_loop()
        if self._freed:
            # Not at the swap itself: threads may have been answering with the old version still.
            self._freed = False
            await loop.run_in_executor(self._loader, _return_memory)
        for entry in list(self):
            await loop.run_in_executor(self._loader, self._refresh, entry, at_once)
        for source in list(self._awaited):
            await loop.run_in_executor(self._loader, self._welcome, source)

    def _welcome(self, source: Source) -> None:
        """Serve what has been awaited, if it has come."""
        mark = mark_of((source.path,))
        if mark == self._awaited[source]:
            return
        self._awaited[source] = mark
        try:
            entry = Entry(source, load(source))
        except PotstillError:
            return  # not there yet, or not whole; its files will change
        del self._awaited[source]
        self._entries[source.name] = entry
        _log.info("%s: version %s is there", entry.name, entry.current.facts.version)
        self._tell(entry, True)

    def _refresh(self, entry: Entry, at_once: bool) -> None:
        mark = mark_of(entry.current.facts.paths)
        if mark in (entry.current.mark, entry.refused):
            return
        if mark != entry.seen and not at_once:
            entry.seen = mark
            return
        try:
            fresh = load(entry.source)
        except Exception as error:  # whatever is wrong with the new one, the old one goes on
            entry.refused = mark
            _log.error("%s: the new version is refused, the old one goes on: %s", entry.name, error)
            self._tell(entry, False)
            return
        if strange := _another(entry.current, fresh):
            entry.refused = mark
            _log.error(
                "%s: the new version is refused, the old one goes on: %s", entry.name, strange
            )
            self._tell(entry, False)
            return
        old, entry.refused = entry.current.facts.version, None
        entry.current = fresh
        self._freed = True
        if fresh.facts.version != old:
            _log.info("%s: version %s takes over from %s", entry.name, fresh.facts.version, old)
            self._tell(entry, True)

    def _tell(self, entry: Entry, swapped: bool) -> None:
        for listener in self.listeners:
            listener(entry, swapped)


def load(source: Source) -> Loaded:
    """Load a servable, try it, and measure its speed.

    Raises:
        PotstillError: it cannot be loaded, or does not answer.
    """
    before = mark_of((source.path,))
    servable = source.load(source.path)
    facts = facts_of(servable, source.path)
    # Marks are taken before the files are read: a change in between is then seen as new.
    mark = before if facts.paths == (source.path,) else mark_of(facts.paths)
    return Loaded(_warm(servable, facts), facts, time.time(), mark)


def _warm(servable: Servable, facts: Facts) -> Lane:
    value: Input = dict.fromkeys(facts.fields, _WARM_TEXT) if facts.fields else _WARM_TEXT
    pace = Pace()
    if facts.max_tokens is not None and facts.labelling:
        # Whatever finds or makes text reads its documents whole, in windows.
        pace.most_characters = facts.max_tokens * _CHARACTERS_PER_TOKEN
    elif not facts.labelling:
        pace.most_characters = _ANY_LENGTH
    if not facts.free:
        return Lane(servable, pace)  # a first text would cost money, or wait for somebody
    servable.predict(value)
    begin = time.perf_counter()
    servable.predict(value)
    pace.measure_first(value, 1e3 * (time.perf_counter() - begin))
    if facts.type in ("extraction", "generation"):
        _time_a_document(servable, facts, pace)
    return Lane(servable, pace)


def _time_a_document(servable: Servable, facts: Facts, pace: Pace) -> None:
    """Measure the pace of what reads a document of any length; a writer reads its beginning."""
    if "writer" in getattr(servable, "card", {}):
        return
    text = (_WARM_TEXT + ". ") * (1 + DOCUMENT_CHARACTERS // len(_WARM_TEXT))
    value: Input = text
    if facts.fields:
        value = {name: _WARM_TEXT if at else text for at, name in enumerate(facts.fields)}
    begin = time.perf_counter()
    if not servable.predict(value).truncated:
        pace.measure_document(value, 1e3 * (time.perf_counter() - begin))


def _another(old: Loaded, fresh: Loaded) -> str | None:
    """Why a new version cannot stand under the old one's name; None where it can."""
    was, name = old.lane.servable.name, fresh.lane.servable.name
    if was != name:
        return f"it is called {name!r}, and not {was!r}."
    if old.facts.fields != fresh.facts.fields:
        return "it reads other fields."
    if old.facts.type != fresh.facts.type:
        return "its answers are of another kind."
    if old.lane.servable.labels != fresh.lane.servable.labels:
        what = "labels" if fresh.facts.labelling else "fields"
        _log.warning("%s: the new version has other %s", name, what)
    return None


def mark_of(paths: Sequence[Path]) -> Mark:
    """State of files and folders: name, inode, size and time of change of each file."""
    found: list[tuple[str, int, int, int]] = []
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else (path,):
            try:
                stat = file.stat()
            except OSError:
                continue
            found.append((str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _return_memory() -> None:
    """Give the system what the old version has freed.

    glibc keeps it otherwise: after some swaps the process was 160 MB larger, for a model of
    24 MB. Other C libraries do not have the function, and do not need it.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
