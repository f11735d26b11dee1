r"""What runs in a worker process: math-verify, JSON schemas, reasoning-gym. Started by `workers`.

Reads ``{"kind": …, …}`` a line and writes ``{"value": …}`` or ``{"fault": …}`` a line. Its first
line says that it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

_TOLERANCE = 1e-12
_MIN_DIGITS = 3
_FUNCTION = re.compile(
    r"(?<![\\a-zA-Z])(sin|cos|tan|cot|sec|csc|log|ln|exp|pi|gcd|lcm|arcsin|arccos|arctan)(?![a-zA-Z])"
)
_TURN = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")


def mathematics(answer: str, wanted: str, places: int | None, digits: int) -> bool:
    """Whether two formulas are the same.

    Args:
        answer: what was answered, folded.
        wanted: the right answer, folded.
        places: digits behind the point of whichever of the two is a decimal; None for neither.
        digits: its significant digits.
    """
    from math_verify import verify

    if " or " in answer + wanted:
        solved = _solutions(answer)
        return solved is not None and bool(solved == _solutions(wanted))
    found, gold = _parsed(answer), _parsed(wanted)
    if found is None or gold is None:
        return False
    equations = _equations(found, gold)
    if equations is not None:
        return equations
    numeric = _numeric(found, gold, places, digits)
    if numeric is not None:
        return numeric
    return bool(
        verify(
            gold,
            found,
            timeout_seconds=None,
            raise_on_error=True,
            allow_set_relation_comp=True,
        )
    )


def json_schema(document: str, schema: str) -> bool:
    """Whether a JSON document is valid under a schema; nothing is fetched for a ``$ref``."""
    import jsonschema
    import referencing
    from jsonschema.validators import validator_for

    rules = json.loads(schema)
    kind = validator_for(rules, jsonschema.Draft202012Validator)
    kind.check_schema(rules)
    return kind(rules, registry=referencing.Registry()).is_valid(json.loads(document))


def reasoning_gym(found: str, entry: dict[str, Any]) -> float:
    """The score that the family of an entry gives an answer, 0 to 1."""
    from reasoning_gym import (  # pyright: ignore[reportMissingImports] - an extra
        get_score_answer_fn,
    )

    return float(get_score_answer_fn(entry["metadata"]["source_dataset"])(found, entry))


_KINDS: dict[str, Callable[..., Any]] = {
    "mathematics": mathematics,
    "json_schema": json_schema,
    "reasoning_gym": reasoning_gym,
}


def _parsed(text: str) -> Any:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse
    from sympy import Basic, I, MatrixBase

    text = _FUNCTION.sub(r"\\\1 ", text).replace("**", "^").replace(r"\ln e", r"\ln(e)")
    text = re.sub(r"(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    if _TURN.search(text):  # math-verify drops the sign of degrees
        text = re.sub(r"(\d+(?:\.\d+)?)\s*\^\\circ", r"(\1\\pi/180)", text)
    text = re.sub(r"(?<![a-zA-Z\\])oo(?![a-zA-Z])", r"\\infty ", text)
    text = text.replace("<=", r"\le ").replace(">=", r"\ge ")
    found = parse(
        rf"\boxed{{{text}}}",
        extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()],
        parsing_timeout=0,  # signals do not work off the main thread; the parent kills us
        raise_on_error=True,
    )
    for read in found:
        if isinstance(read, Basic | MatrixBase):
            imaginary = {sign: I for sign in read.free_symbols if str(sign) == "i"}
            return read.subs(imaginary).doit() if imaginary else read
    return None


def _solutions(text: str) -> Any:
    """The set of numbers that one of several inequalities holds for; None for anything else."""
    from sympy import Or
    from sympy.core.relational import Relational

    read = [_parsed(part) for part in text.split(" or ")]
    if not all(isinstance(part, Relational) for part in read):
        return None
    return Or(*read).as_set()


def _equations(found: Any, gold: Any) -> bool | None:
    """Whether two equations say the same: one is a multiple of the other; None for others."""
    from sympy import Add, Eq, Expr, simplify

    if not (isinstance(found, Eq) and isinstance(gold, Eq)):
        return None
    sides: list[Any] = [side for read in (found, gold) for side in (read.lhs, read.rhs)]
    if not all(isinstance(side, Expr) for side in sides):
        return None
    one, two = Add(sides[0], -sides[1]), Add(sides[2], -sides[3])
    if simplify(two) == 0:
        return bool(simplify(one) == 0)
    ratio = simplify(one / two)
    return bool(ratio.is_number and ratio.is_finite and ratio != 0)


def _numeric(found: Any, gold: Any, places: int | None, digits: int) -> bool | None:
    """Compare two numbers to thirty digits; None where one of them is no number."""
    from sympy import Expr

    if not (isinstance(found, Expr) and isinstance(gold, Expr)):
        return None
    if found.free_symbols or gold.free_symbols:
        return None
    one, two = found.evalf(30), gold.evalf(30)
    if not (one.is_number and two.is_number) or not (one.is_finite and two.is_finite):
        return None
    gap, size = abs(one - two), max(abs(one), abs(two))
    if gap <= _TOLERANCE * size:
        return True
    if not places or digits < _MIN_DIGITS or (found.is_Rational and gold.is_Rational):
        return False
    return bool(gap * 2 <= 10 ** (-places))


def main() -> None:
    """Answer requests until there are no more."""
    _limit_memory(int(sys.argv[1]))
    # What a library prints must not be taken for a reply.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import logging
    import warnings

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    # No integer of a power tower is written out; sympy would take minutes for its digits.
    sys.set_int_max_str_digits(20_000)
    # Libraries are imported, and their tables made, before the clock of a request runs.
    with contextlib.suppress(Exception):
        mathematics("x+1", "1+x", None, 0)
    print("{}", file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"value": _KINDS[request.pop("kind")](**request)}
        except (MemoryError, RecursionError) as error:
            reply = {"fault": type(error).__name__}
        except Exception as error:
            reply = {"fault": type(error).__name__, "detail": str(error)[:200]}
        print(json.dumps(reply), file=replies, flush=True)


def _limit_memory(size: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    except (ImportError, ValueError, OSError):  # not on this system: the time limit remains
        return


if __name__ == "__main__":
    main()
