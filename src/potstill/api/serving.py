"""`serve`: from paths and task files to a server at work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.api.loading import load, must_exist
from potstill.api.making import RUNS
from potstill.errors import ModelError, SpecError
from potstill.runtime.finding import find_model
from potstill.runtime.folder import read_card
from potstill.spec.loading import LoadedTask, load_task, load_workflow

if TYPE_CHECKING:
    from starlette.routing import Router

    from potstill.runtime import Loaded
    from potstill.serve.contract import Fallback, Recorder
    from potstill.serve.hall import Hall
    from potstill.serve.registry import Registry, Source
    from potstill.serve.settings import Settings
    from potstill.workflow import Workflow

_log = logging.getLogger("potstill.serve")


def serve(
    paths: Sequence[Path | str] = (),
    *,
    settings: Settings | None = None,
    tasks: Sequence[Path | str] = (),
    record: Path | None = None,
    prices: Path | None = None,
    runs: Path = RUNS,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve models and workflows over HTTP until SIGTERM or SIGINT.

    Args:
        paths: model folders, run folders and workflow files.
        settings: how the server listens, and what it admits.
        tasks: task files: each says what of its model's traffic may be kept, who answers what
            the model defers, and, where its teacher has an address, opens the chat-completions
            protocol. A task's model is the one of its name among `paths`, else the newest of
            its runs, as soon as there is one.
        record: folder that receives what is kept; nothing is kept without it.
        prices: a price file that goes before the one that ships.
        runs: folder of all runs.
        on_ready: called with the server's URL once it answers.

    Raises:
        PotstillError: a model, a workflow or a task cannot be used, or the address is taken.
        MissingExtraError: the ``serve`` extra is not installed.
    """
    from potstill.serve.registry import Registry
    from potstill.serve.server import serve as serve_all
    from potstill.serve.settings import Settings

    # The rows that a task learns from may still have to come, out of what is recorded here.
    loaded = [load_task(Path(task), check_files=False) for task in tasks]
    if not paths and not loaded:
        raise SpecError(
            "nothing to serve.", hint="Name a model folder, a workflow file, or a task with --task."
        )
    sources = [_source(Path(path)) for path in paths]
    present, awaited = _of_tasks(loaded, {source.name for source in sources}, runs)
    rooms = _rooms(loaded, record)
    chatting = _chatting(loaded, record, keyed=bool(settings and settings.keys))
    registry = Registry([*sources, *present], awaited)
    _check_labels(loaded, registry)
    if not registry.versions and not chatting:
        raise SpecError(
            f"there is no model of {loaded[0].task.name!r} yet, and no live teacher to ask.",
            where=str(loaded[0].path),
            hint="Run the task first, or name a teacher with a 'base_url'.",
        )

    def version_of(name: str) -> str | None:
        return dict(registry.versions).get(name)

    recorder = _recorder(loaded, record)
    serve_all(
        registry,
        settings or Settings(),
        fallbacks={
            task.task.name: _fallback(task, folder, prices, version_of) for task, folder in rooms
        },
        recorder=recorder,
        routes=[
            partial(_chat, task, record=record, recorder=recorder, prices=prices)
            for task in chatting
        ],
        on_ready=on_ready,
    )


def _of_tasks(
    tasks: Sequence[LoadedTask], named: set[str], runs: Path
) -> tuple[list[Source], list[Source]]:
    """The models of tasks that were not named: those that are there, and those that may come."""
    from potstill.serve.registry import Source

    present: list[Source] = []
    awaited: list[Source] = []
    for name in (task.task.name for task in tasks if task.task.name not in named):
        source = Source(name=name, path=runs / name, load=_load)
        try:
            find_model(source.path)
        except ModelError:
            awaited.append(source)
            if named:
                _log.warning(
                    "no model called %r is served (%s are); its task's rules wait for one in %s",
                    name,
                    ", ".join(sorted(named)),
                    source.path,
                )
        else:
            present.append(source)
    return present, awaited


def _load(path: Path) -> Loaded | Workflow:
    # The server's own threads do the work.
    return load(path, workers=1)


def _source(path: Path) -> Source:
    from potstill.serve.registry import Source

    must_exist(path)
    name = load_workflow(path).workflow.name if path.is_file() else read_card(find_model(path)).name
    return Source(name=name, path=path, load=_load)


def _rooms(tasks: Sequence[LoadedTask], record: Path | None) -> list[tuple[LoadedTask, Path]]:
    """The tasks whose model defers to somebody, with the folder of that fallback."""
    found: list[tuple[LoadedTask, Path]] = []
    for loaded in tasks:
        spec = loaded.task.defer
        if spec is None or spec.fallback == "abstain":
            continue
        if record is None:
            raise SpecError(
                f"the fallback {spec.fallback!r} keeps what it is given, and no folder is named.",
                where=loaded.where("defer", "fallback"),
                hint="Name one with --record.",
            )
        found.append((loaded, record / spec.fallback / loaded.task.name))
    return found


def _check_labels(tasks: Sequence[LoadedTask], registry: Registry) -> None:
    """Refuse a task whose labels, or fields, are not those of the model of its name."""
    for loaded in tasks:
        task = loaded.task
        if task.name not in registry:
            continue
        model = registry.find(task.name).current
        what = "fields" if task.type == "extraction" else "labels"
        if task.labelling != model.facts.labelling:
            raise SpecError(
                f"the model {task.name!r} is of the type {model.facts.type!r}.",
                where=loaded.where("type"),
                hint="Run the task again, or serve the model of this task.",
            )
        if strange := sorted(set(model.lane.servable.labels) ^ set(task.answer.names)):
            raise SpecError(
                f"the task and the model {task.name!r} do not have the same {what}: "
                f"{strange[0]!r} is in one alone.",
                where=loaded.where(what),
                hint="Run the task again, or serve the model of this task.",
            )


def _chatting(tasks: Sequence[LoadedTask], record: Path | None, *, keyed: bool) -> list[LoadedTask]:
    """The task whose teacher has an address that chat requests go on to, if there is one."""
    found = [
        task
        for task in tasks
        if task.task.teacher is not None and task.task.teacher.base_url is not None
    ]
    if len(found) > 1:
        raise SpecError(
            f"the teachers of {found[0].task.name!r} and {found[1].task.name!r} both have a "
            "'base_url', and one server speaks for one.",
            where=found[1].where("teacher", "base_url"),
            hint="Serve each task on a port of its own.",
        )
    for task in found:
        teacher = task.task.teacher
        if keyed and teacher is not None and teacher.api_key_env is None:
            _log.warning(
                "%s: no 'api_key_env' is named, and a caller's key opens this server alone: what "
                "is forwarded carries no key.",
                task.where("teacher"),
            )
        if record is not None and not task.task.serve.consent:
            _log.warning(
                "%s: what is forwarded is not kept: set 'serve.consent: true' if the owner of "
                "the texts agrees.",
                task.where("serve"),
            )
    return found


def _fallback(
    loaded: LoadedTask,
    folder: Path,
    prices: Path | None,
    version_of: Callable[[str], str | None],
) -> Fallback:
    from potstill.serve.fallback import QueueFallback, TeacherFallback, need_consent

    assert loaded.task.defer is not None, "a task without it has no fallback"
    if loaded.task.defer.fallback == "teacher":
        return TeacherFallback(loaded, folder, prices=prices)
    rules = need_consent(loaded, "A person's queue")
    columns = loaded.task.data.columns
    return QueueFallback(folder, rules, columns=columns, version_of=version_of)


def _recorder(tasks: Sequence[LoadedTask], record: Path | None) -> Recorder | None:
    if record is None:
        return None
    from potstill.serve.record import FileRecorder
    from potstill.serve.redact import KeepingRules

    return FileRecorder(
        record, {loaded.task.name: KeepingRules(loaded.task.serve) for loaded in tasks}
    )


def _chat(
    loaded: LoadedTask,
    hall: Hall,
    *,
    record: Path | None,
    recorder: Recorder | None,
    prices: Path | None,
) -> Router:
    from potstill.serve.chat import chat_routes

    name = loaded.task.name
    return chat_routes(
        loaded,
        hall,
        model=name,
        folder=None if record is None else record / "chat" / name,
        recorder=recorder,
        prices=prices,
    )
