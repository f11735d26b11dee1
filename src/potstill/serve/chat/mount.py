"""`chat_routes`: a task's chat gateway as a part of the server: its model out of the registry and the pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from potstill.data.example import Input, Prediction
from potstill.errors import PotstillError
from potstill.serve.chat.gateway import ChatGateway, ChatModel
from potstill.serve.contract import Recorder, Served
from potstill.serve.hall import Hall
from potstill.spec.loading import LoadedTask

if TYPE_CHECKING:
    from starlette.routing import Router


def chat_routes(
    loaded: LoadedTask,
    hall: Hall,
    *,
    model: str,
    folder: Path | None = None,
    recorder: Recorder | None = None,
    prices: Path | None = None,
) -> Router:
    """The chat-completions protocol for a task, among the routes of a server.

    Args:
        loaded: the task; its teacher has a ``base_url``.
        hall: the server's parts. Where its settings have keys, a client's key opens this server
            and is not the teacher's.
        model: name of the task's model in the registry, in which it may not be yet.
        folder: gets a log of the forwarded pairs; None keeps nothing.
        recorder: keeps what was served.
        prices: a price file that goes before the one that ships.

    Raises:
        SpecError: the task's rules on chat or redaction cannot be used.
        TeacherError: the teacher has no address, or no key.
        StorageError: the folder may not be written.
        MissingExtraError: aiohttp or starlette is not installed.
    """

    def observe(served: Served) -> None:
        own = served.own or served.answer.prediction
        hall.meters.served(served, own.deferred)
        if recorder is not None:
            recorder.record(served)

    return ChatGateway(
        loaded,
        folder,
        model=lambda: _model_of(hall, model) if model in hall.registry else None,
        listed=lambda: [
            entry.current.facts.to_json(entry.name) | {"created": int(entry.current.since)}
            for entry in hall.registry
        ],
        observe=observe,
        pass_on_keys=not hall.settings.keys,
        prices=prices,
    ).router()


def _model_of(hall: Hall, name: str) -> ChatModel:
    loaded = hall.registry.find(name).current

    async def predict(value: Input) -> Prediction:
        hall.pool.admit()
        (outcome,) = await hall.pool.answer(loaded.lane, [value])
        hall.meters.outcome(name, outcome)
        if isinstance(outcome.result, Prediction):
            return outcome.result
        raise PotstillError("the model raised an error.") from outcome.result

    return ChatModel(name, loaded.facts.version, predict)
