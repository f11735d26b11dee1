"""Which verifier a name of the recipe file means."""

from __future__ import annotations

from importlib.util import find_spec

from potstill.errors import MissingExtraError
from potstill.spec.recipe import Verifier as VerifierName
from potstill.verify.base import Verifier
from potstill.verify.mathematics import Mathematics
from potstill.verify.plain import Choice, Exact, LabelSet, Numeric
from potstill.verify.structured import JsonSchema


def verifier_of(name: VerifierName, *, timeout_s: float = 5.0) -> Verifier:
    """The verifier of that name, seen to be usable here before anything is trained.

    Args:
        name: as in a recipe file.
        timeout_s: seconds that it may take for one answer.

    Raises:
        MissingExtraError: its library is not installed.
        SandboxError: ``tests`` on a system where code cannot be confined.
    """
    match name:
        case "mathematics":
            if find_spec("math_verify") is None:
                raise MissingExtraError("math-verify", "verify")
            return Mathematics(timeout_s)
        case "numeric":
            return Numeric()
        case "exact":
            return Exact()
        case "choice":
            return Choice()
        case "labels":
            return LabelSet()
        case "json_schema":
            return JsonSchema(timeout_s)
        case "tests":
            from potstill.verify.programs import UnitTests

            return UnitTests.confined(timeout_s)
        case "reasoning_gym":
            from potstill.verify.gym import ReasoningGym

            return ReasoningGym(timeout_s)
