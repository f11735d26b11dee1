"""What an endpoint's error means: its status, its codes and the wordings in common use.

Only what the codes and the text say is judged here; whether a fault can be mended by asking
again is the engine's business.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from potstill.teacher.request import AttemptError, Fault

_QUOTED_CHARACTERS = 300
_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key)[-_][\w*.-]{6,}|\bbearer\s+\S+", re.IGNORECASE)

_OVERFLOW = re.compile(
    r"context[_ ](?:length|window|size)|maximum context|exceed_context_size"
    r"|(?:prompt|input)\b.{0,40}\b(?:too long|too many tokens|exceeds?)"
    r"|(?:too many|maximum number of) (?:input )?tokens|reduce the length",
    re.IGNORECASE | re.DOTALL,
)
_FILTERED = re.compile(
    r"content[_ ](?:filter|policy|management)|moderation|flagged|safety system|data_inspection",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|billing_(?:hard_limit|not_active)"
    r"|credit balance is too low|payment required",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|unknown_model|invalid model|model\b.{0,80}\b(?:not exist|not found|unknown)"
    r"|no such model",
    re.IGNORECASE | re.DOTALL,
)
_UNSUPPORTED = re.compile(
    r"unsupported|not support|does not support|unrecognized|unknown|only the default|instead"
    r"|extra inputs|not permitted|cannot be used",
    re.IGNORECASE,
)
_PASSING = (408, 409, 425)
_MAYBE_BILLED = (408, 504, 524)
"""A gateway that gave up waiting says nothing of what the model behind it went on to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """Who was asked, for the sentences of errors.

    Attributes:
        model: the model's name.
        host: the endpoint.
        key: the secret, so that it can be taken out of what the endpoint says.
        key_env: name of the variable that held it.
    """

    model: str
    host: str
    key: str | None
    key_env: str | None

    def clean(self, text: str) -> str:
        """What an endpoint said, on one line, short, and with no key in it."""
        if self.key:
            text = text.replace(self.key, "[key]")
        text = " ".join(_LIKE_A_KEY.sub("[key]", text).split())
        return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…"


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error body, as far as it could be read.

    Attributes:
        message: the endpoint's sentence.
        codes: its machine-readable words: code, type, status.
        parameter: the parameter that it objects to.
    """

    message: str
    codes: str
    parameter: str

    @classmethod
    def read(cls, content: bytes) -> Complaint:
        """Read ``{"error": {…}}`` and its many relatives."""
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            return cls(content[:1000].decode("utf-8", "replace"), "", "")
        if isinstance(body, list) and body:
            body = body[0]
        error = body.get("error", body) if isinstance(body, Mapping) else body
        if not isinstance(error, Mapping):
            return cls(str(error), "", "")
        said = error.get("message") or error.get("detail") or error.get("msg") or ""
        codes = [error.get(name) for name in ("code", "type", "status")]
        return cls(
            said if isinstance(said, str) else orjson.dumps(said).decode(),
            " ".join(str(code) for code in codes if code is not None),
            str(error.get("param") or ""),
        )

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Whether codes or message fit a pattern."""
        return bool(pattern.search(self.codes) or pattern.search(self.message))

    def rejects(self, parameter: str) -> bool:
        """Whether the endpoint does not know this parameter of the request, or its value."""
        named = self.parameter == parameter or re.search(rf"\b{parameter}\b", self.message)
        return bool(named and (self.says(_UNSUPPORTED) or self.codes == "unsupported_value"))


def as_attempt_error(
    status: int, headers: Mapping[str, str], complaint: Complaint, asked: Asked
) -> AttemptError:
    """An HTTP status that is no success as the error that the engine understands.

    Args:
        status: of the response.
        headers: of the response, case-insensitive.
        complaint: its body.
        asked: who was asked.
    """
    said = asked.clean(complaint.message) or f"HTTP {status} without a reason"
    sentence, hint = _final(status, complaint, asked)
    if sentence:
        return AttemptError("refused", f"{sentence}: {said}", status=status, fatal=True, hint=hint)
    if status == 429 or status >= 500 or status in _PASSING:
        lost = status in _MAYBE_BILLED
        return AttemptError(
            "rate_limited" if status == 429 else "timed_out" if lost else "server_error",
            said,
            status=status,
            retry_after_s=retry_after_s(headers),
            billed=None if lost else False,
        )
    fault: Fault = "refused"
    if complaint.says(_FILTERED):
        fault = "content_filtered"
    elif status == 413 or complaint.says(_OVERFLOW):
        fault = "context_overflow"
    return AttemptError(fault, said, status=status)


def _final(status: int, complaint: Complaint, asked: Asked) -> tuple[str, str]:
    """What no further request can get past, and how to mend it; empty where one can."""
    if status == 402 or (status < 500 and complaint.says(_NO_MONEY)):
        hint = "Top up the account and run the same command again; answers are kept."
        return f"{asked.host} wants to be paid first", hint
    if status in (401, 403) and not complaint.says(_FILTERED):
        hint = "Name the variable that holds the key under 'api_key_env'."
        if asked.key_env:
            hint = f"Check the value of {asked.key_env}."
        return f"{asked.host} does not accept the key", hint
    no_model = complaint.says(_NO_MODEL) and not complaint.says(_OVERFLOW)
    if status == 404 or (status in (400, 422) and no_model):
        hint = "Check 'model', and 'base_url', which often ends in /v1."
        return f"{asked.host} has no model {asked.model!r}", hint
    if status == 405:
        hint = "Check 'base_url', which often ends in /v1."
        return f"{asked.host} takes no chat completions at this address", hint
    return "", ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that an endpoint asks to wait; None where it does not say.

    A date is taken relative to the endpoint's own, since the two clocks may differ.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers.get(name, "")) * unit_s)
        except ValueError:
            continue
    then = _seconds(headers.get("retry-after"))
    if then is None:
        return None
    now = _seconds(headers.get("date"))
    return max(0.0, then - (time.time() if now is None else now))


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None


def in_reply(body: Any) -> Mapping[str, Any] | None:
    """The error that some gateways put into a reply of status 200."""
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) and not body.get("choices") else None
