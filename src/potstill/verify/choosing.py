"""Which verifier a name of the recipe file means."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from potstill.errors import MissingExtraError
from potstill.spec.recipe import Verifier as VerifierName
from potstill.verify.base import Verifier
from potstill.verify.gym import ReasoningGym
from potstill.verify.mathematics import Mathematics
from potstill.verify.plain import Choice, Exact, LabelSet, Numeric
from potstill.verify.programs import UnitTests
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
    if name == "mathematics" and find_spec("math_verify") is None:
        raise MissingExtraError("math-verify", "verify")
    makers: dict[VerifierName, Callable[[], Verifier]] = {
        "mathematics": lambda: Mathematics(timeout_s),
        "numeric": Numeric,
        "exact": Exact,
        "choice": Choice,
        "labels": LabelSet,
        "json_schema": lambda: JsonSchema(timeout_s),
        "tests": lambda: UnitTests.confined(timeout_s),
        "reasoning_gym": lambda: ReasoningGym(timeout_s),
    }
    return makers[name]()
