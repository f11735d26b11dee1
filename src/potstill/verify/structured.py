"""Structured answers: JSON that must be valid under a schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from potstill.errors import MissingExtraError
from potstill.verify.base import Verdict
from potstill.verify.workers import WorkerFault, Workers, shared_workers

MAX_JSON_SIGNS = 200_000
"""A longer document is refused."""
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class JsonSchema:
    """Whether an answer is one JSON document under a schema; ``wanted`` is the schema.

    Strict, as a program that reads the answer is: no NaN, no key twice, nothing behind the
    document. Fences of Markdown, and a sentence before a document, are forgiven. A pattern in
    the schema may take forever, so it is matched in a process that can be killed.

    Raises:
        MissingExtraError: jsonschema is not installed.
    """

    timeout_s: float = 5.0
    workers: Workers = field(default_factory=shared_workers)

    def __post_init__(self) -> None:
        if find_spec("jsonschema") is None:
            raise MissingExtraError("jsonschema", "verify")

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        if len(answer) > MAX_JSON_SIGNS:
            return Verdict(False, "too_long")
        text = _document_of(answer)
        try:
            json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            return Verdict(False, "no_json", text[:80])
        try:
            right = self.workers.ask(
                "json_schema", {"document": text, "schema": wanted}, self.timeout_s
            )
        except WorkerFault as fault:
            return Verdict(None, fault.name, text[:80])
        return Verdict(bool(right), None, text[:80])


def _document_of(answer: str) -> str:
    fences = _FENCE.findall(answer)
    if fences:
        return fences[-1].strip()
    text = answer.strip()
    started = re.search(r"(?<=[:\s])[{\[]", text)
    # Only a sentence may stand before it; another document may not.
    prose = started and not re.search(r"[{}\[\]]", text[: started.start()])
    return text[started.start() :] if started and prose and text[:1].isalpha() else text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice")
        found[key] = value
    return found
