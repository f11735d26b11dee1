"""A teacher in this process: a GGUF file run by llama.cpp.

The weights are loaded at the first question. A slot keeps the tokens of its last prompt, so
that a system turn which all questions share is read once and no more. One slot is the default:
several decode in one batch, which on a CPU was measured to cost as much for each row, and makes
an answer depend on its neighbours, because another batch rounds differently.

One CPU is left to others by default. The threads of llama.cpp wait for one another by spinning,
so that one more thread than there are free CPUs makes it slower by an order of magnitude.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import mmap
import os
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from potstill.errors import MissingExtraError
from potstill.teacher.completion import chat_body, read_completion
from potstill.teacher.gguf import Gguf
from potstill.teacher.request import AttemptError, Reply, Request, Rung

DEFAULT_SLOTS = 1
DEFAULT_CONTEXT_TOKENS = 8192
_QUIET = -1
_COMPACT = {
    "x-guidance": {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
}
_METADATA_BYTES = 64 << 20
_OVERFLOW = "exceed_context_size_error"


class LocalTeacher:
    """A `Provider` that answers out of a GGUF file.

    A timeout stops the decoding at its next token and frees the slot; while a prompt is still
    being read nothing can stop it, and the next question in that slot waits for its end.

    Args:
        gguf: the weights; their digest is the revision that answers name.
        slots: questions answered at once.
        threads: threads that compute; None is one less than the CPUs of this process.
        context_tokens: room for the prompt and the reply of one question.
        options: further parameters of each request, e.g. ``top_p``.

    Raises:
        MissingExtraError: xllamacpp is not installed.
    """

    rungs: tuple[Rung, ...] = ("schema",)
    endpoint: str | None = None

    def __init__(
        self,
        gguf: Gguf,
        *,
        slots: int = DEFAULT_SLOTS,
        threads: int | None = None,
        context_tokens: int = DEFAULT_CONTEXT_TOKENS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtraError("xllamacpp", "local")
        self.name = f"local:{gguf.name}"
        self.concurrency = slots
        self._gguf = gguf
        self._thinks = _thinks(gguf.path)
        self._threads = threads or max(1, _cpu_count() - 1)
        self._context_tokens = context_tokens
        self._options = dict(options or {})
        told = ",".join(f"{key}={self._options[key]!r}" for key in sorted(self._options))
        self.identity = f"gguf:{gguf.sha256}?context_tokens={context_tokens},{told}"
        self._workers = ThreadPoolExecutor(slots, thread_name_prefix="local-teacher")
        self._loading = threading.Lock()
        self._server: Any = None

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """One attempt; see `Provider.complete`."""
        body = self._with_grammar(chat_body(request, rung), request) | {
            # Samples of one question differ in their seed, and in nothing else.
            "seed": request.sample + 1,
            "cache_prompt": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._options,
        }
        loop, given_up = asyncio.get_running_loop(), threading.Event()
        answering = loop.run_in_executor(self._workers, self._answer, body, given_up)
        try:
            return await asyncio.wait_for(answering, timeout_s)
        except TimeoutError:
            raise AttemptError("timed_out", f"no reply in {timeout_s:g} s") from None
        finally:
            given_up.set()

    async def close(self) -> None:
        """Free the weights, once the questions under way have been let go."""
        await asyncio.to_thread(self._workers.shutdown, cancel_futures=True)
        self._server = None

    def _with_grammar(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """The schema as a grammar of our own: compact JSON and nothing around it.

        ``response_format`` would let the model write a fence and line breaks, which cost
        tokens, and its grammar is several times slower to sample from. A model that thinks
        keeps it all the same, because only llama.cpp knows where its thought ends.
        """
        if request.schema is None or self._thinks:
            return body
        grammar = _llama().json_schema_to_grammar({**request.schema, **_COMPACT})
        del body["response_format"]
        return body | {"grammar": grammar}

    def _answer(self, body: dict[str, Any], given_up: threading.Event) -> Reply:
        chunks: list[Mapping[str, Any]] = []

        def take(chunk: Mapping[str, Any]) -> bool:
            chunks.append(chunk)
            return given_up.is_set()

        try:
            self._loaded().handle_chat_completions(body, take)
        except ValueError as error:
            raise AttemptError("refused", f"llama.cpp refused the request: {error}") from error
        for chunk in chunks:
            if "error" in chunk:
                raise _as_attempt_error(chunk["error"])
        reply = read_completion(_joined(chunks) | {"model": f"sha256:{self._gguf.sha256}"})
        received = reply.completion_tokens
        if reply.finish_reason == "length" and received and received < body["max_tokens"]:
            raise AttemptError(
                "context_overflow",
                f"prompt and reply need more than {self._context_tokens} tokens",
            )
        return reply

    def _loaded(self) -> Any:
        with self._loading:
            if self._server is None:
                self._server = self._load()
            return self._server

    def _load(self) -> Any:
        wanted = _llama().CommonParams()
        wanted.model.path = str(self._gguf.path)
        wanted.n_parallel = self.concurrency
        wanted.n_ctx = self._context_tokens * self.concurrency
        wanted.cpuparams.n_threads = self._threads
        wanted.cpuparams_batch.n_threads = self._threads
        wanted.warmup = False
        wanted.verbosity = _QUIET
        # Prompts of other slots are not worth memory that grows to gigabytes.
        wanted.cache_ram_mib = 0
        # The library also listens on a loopback port, which nobody needs: it is locked.
        wanted.api_keys = [secrets.token_urlsafe()]
        wanted.endpoint_slots = False
        try:
            return _llama().Server(wanted)
        except RuntimeError as error:
            raise AttemptError(
                "refused",
                f"llama.cpp cannot load {self._gguf.path}",
                fatal=True,
                hint="The file may be damaged, of a kind that it does not know, or too large "
                "for the memory of this machine.",
            ) from error


def _llama() -> Any:
    """The compiled library, which has no types of its own."""
    return importlib.import_module("xllamacpp")


def _thinks(path: Path) -> bool:
    """Whether the chat template or the vocabulary, which stand first, know a thought."""
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(b"<think>", 0, _METADATA_BYTES) >= 0


def _cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_attempt_error(error: Mapping[str, Any]) -> AttemptError:
    detail = str(error.get("message", "llama.cpp gave no reason"))
    if error.get("type") == _OVERFLOW:
        return AttemptError("context_overflow", detail)
    if error.get("code") == 400:
        return AttemptError("refused", detail)
    return AttemptError("server_error", detail)


def _joined(chunks: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The streamed pieces of a completion as one."""
    message: dict[str, str] = {}
    tokens: list[Any] = []
    usage = finish_reason = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices", ()):
            for key in ("content", "reasoning_content"):
                message[key] = message.get(key, "") + (choice["delta"].get(key) or "")
            tokens += (choice.get("logprobs") or {}).get("content") or ()
            finish_reason = choice.get("finish_reason") or finish_reason
    choice = {"message": message, "finish_reason": finish_reason, "logprobs": {"content": tokens}}
    return {"choices": [choice], "usage": usage}
