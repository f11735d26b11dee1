"""Programs: code in an answer, tried by unit tests in the sandbox."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace

from potstill.errors import SandboxError
from potstill.verify.base import Verdict
from potstill.verify.sandbox import DEFAULT_LIMITS, Limits, assert_confinable, run_tests

MAX_CODE_SIGNS = 100_000
"""A longer program is refused."""
_FENCE = re.compile(r"```[ \t]*(\w*)[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_PYTHON = ("", "python", "py", "python3")
_DEFINES = re.compile(r"^\s*(?:async\s+def|def|class)\s", re.MULTILINE)


@dataclass(frozen=True)
class UnitTests:
    """Whether a program passes its tests; ``wanted`` is the tests, as Python.

    The program is the last fenced block that defines something, or else the last one, or all
    of an answer without fences. One that runs out of time or memory is wrong, and its fault is
    counted; tests that cannot be read, or that assert nothing, give no verdict.

    Attributes:
        limits: what one run may use.
    """

    limits: Limits = DEFAULT_LIMITS

    @classmethod
    def confined(cls, timeout_s: float) -> UnitTests:
        """With that time, after a trivial test has run.

        Raises:
            SandboxError: this system cannot confine code.
        """
        assert_confinable()
        return cls(replace(DEFAULT_LIMITS, timeout_s=timeout_s))

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        code = code_in(answer)
        if not code:
            return Verdict(False, "no_answer")
        if len(code) > MAX_CODE_SIGNS:
            return Verdict(False, "too_long", code[:80])
        try:
            outcome = run_tests(code, wanted, self.limits)
        except SandboxError:
            return Verdict(None, "no_sandbox", code[:200])
        if outcome.fault in ("no_tests", "bad_tests"):
            return Verdict(None, outcome.fault, code[:200])
        fault = None if outcome.fault in (None, "failed") else outcome.fault
        return Verdict(outcome.passed, fault, code[:200])


def code_in(answer: str) -> str:
    """The program in an answer; empty where there is none."""
    blocks = [code for language, code in _FENCE.findall(answer) if language.lower() in _PYTHON]
    if blocks:
        defining = [code for code in blocks if _DEFINES.search(code)]
        return (defining or blocks)[-1].strip()
    text = answer.strip()
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return text
