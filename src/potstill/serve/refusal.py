"""`Refusal`: a request that is not answered, with its status and what to do about it."""

from __future__ import annotations

import math
import traceback

import orjson
from starlette.responses import Response

from potstill.errors import PotstillError


def told(error: BaseException) -> str:
    """An exception for the log: where it was raised and its type, and its words if they are ours.

    The words of another's exception may hold the text of a request.
    """
    words = f": {error}" if isinstance(error, PotstillError) else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}{words}\n{frames}".rstrip()


class Refusal(PotstillError):
    """A request that cannot be answered; becomes a JSON error.

    Args:
        status: the HTTP status.
        code: a short machine-readable name, e.g. ``empty_text``.
        message: what is wrong, as one sentence.
        hint: what the caller should do.
        retry_after_s: when to try again.
        allow: methods that the path does have, for 405.
        close: whether the connection ends with the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str,
        retry_after_s: float | None = None,
        allow: str | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.headers: dict[str, str] = {}
        if retry_after_s is not None:
            self.headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
        if allow is not None:
            self.headers["allow"] = allow
        if status == 401:
            self.headers["www-authenticate"] = "Bearer"
        if close:
            self.headers["connection"] = "close"

    def to_json(self, request: str) -> dict[str, object]:
        """The JSON error: code, message, hint, and the request's id."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "request": request,
            }
        }

    def response(self, request: str, *, plain: bool = False) -> Response:
        """The whole answer.

        Args:
            request: the request's id.
            plain: whether ``error`` is one text, as the Open Inference Protocol has it.
        """
        content = self.to_json(request)
        if plain:
            content = {"error": str(self), "code": self.code, "request": request}
        return Response(
            orjson.dumps(content), self.status, self.headers, media_type="application/json"
        )
