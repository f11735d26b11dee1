"""What may be kept of a request: whether at all, whether as a text, and with which parts blanked.

Everything of the server that writes an input to disk asks here first.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

from potstill.data.example import Input, id_of
from potstill.errors import MissingExtraError, SpecError
from potstill.spec.serving import Redaction, ServeSpec

# Possessive repeats and a look behind the first character: each text is read once, however
# long it is and whatever stands in it.
_SHIPPED = {
    "email": r"(?<![\w.+%-])[\w.+%-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)+",
    "url": r"\b(?:https?://|www\.)[^\s<>\"']++",
    "iban": r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b",
    "card": r"(?<![\d])(?<!\d[ -])\d(?:[ -]?\d){12,18}(?![ -]?\d)",
    "phone": (
        r"(?<![\w+])(?:"
        r"\+\d(?:[ ().-]{0,2}\d){6,14}"  # with a country's code
        r"|\(?0\d(?:[ ().-]{0,2}\d){6,12}"  # as it is dialled within a country
        r"|\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}"  # as North America writes it
        r")(?!\d)"
    ),
}
"""Rules that ship, by name. They blank rather too much than too little."""

_SHARES = 1 << 64
_LONGEST_S = 0.2
_NOT_BLANKED = "<not kept: a redaction rule took too long>"


class KeepingRules:
    """The owner's rules on what may be kept, ready for use; safe to share between threads.

    Args:
        spec: the `serve` section of the task.

    Raises:
        SpecError: a rule's pattern is no regular expression, or a name that does not ship.
        MissingExtraError: the ``serve`` extra is not installed.
    """

    def __init__(self, spec: ServeSpec) -> None:
        self._bound = round(spec.sample * _SHARES)
        self._blanks = _blanks(spec.redact)
        self.texts = spec.consent
        """Whether texts may be kept; without consent hashes alone."""

    def sampled(self, value: Input) -> bool:
        """Whether this input is among those that are kept; the same at every time of asking."""
        return int(id_of(value), 16) < self._bound

    def clean(self, text: str) -> str:
        """A text with whatever the rules match blanked; nothing of it where that takes too long.

        A pattern of the owner's may need exponential time on some text; it is given up after a
        fifth of a second, and does not hold the interpreter meanwhile.
        """
        try:
            for blank in self._blanks:
                text = blank(text)
        except TimeoutError:
            return _NOT_BLANKED
        return text

    def clean_input(self, value: Input) -> Input:
        """An input with whatever the rules match blanked, in each of its fields."""
        if isinstance(value, str):
            return self.clean(value)
        return {name: self.clean(field) for name, field in value.items()}

    def clean_json(self, value: object) -> object:
        """A JSON value with whatever the rules match blanked, in every string but the keys."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {key: self.clean_json(held) for key, held in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean_json(held) for held in value]
        return value


def _blanks(rules: Sequence[Redaction]) -> list[Callable[[str], str]]:
    return [_blank(rule, place) for place, rule in enumerate(rules)]


def _blank(rule: Redaction, place: int) -> Callable[[str], str]:
    try:
        import regex
    except ImportError as error:
        raise MissingExtraError("regex", "serve") from error
    where = f"serve.redact.{place}"
    shipped = _SHIPPED.get(rule.pattern)
    if shipped is None and rule.pattern.isalpha():
        near = difflib.get_close_matches(rule.pattern, _SHIPPED, n=1)
        raise SpecError(
            f"no rule that ships is called {rule.pattern!r}.",
            where=where,
            hint=f"Did you mean {near[0]!r}?"
            if near
            else f"There are {', '.join(sorted(_SHIPPED))}; as a pattern, write '({rule.pattern})'.",
        )
    try:
        pattern = regex.compile(shipped or rule.pattern)
    except regex.error as error:
        raise SpecError(
            f"{rule.pattern!r} is no regular expression ({error}).",
            where=where,
            hint=f"Mend it, or name a rule that ships: {', '.join(sorted(_SHIPPED))}.",
        ) from error
    if pattern.match("") is not None:
        raise SpecError(
            f"{rule.pattern!r} matches the empty text, so that it would stand between all letters.",
            where=where,
            hint="Have it match at least one character.",
        )
    replacement = rule.replacement
    if replacement is None:
        replacement = f"<{rule.pattern}>" if shipped else "<redacted>"
    # A function, so that a backslash in the replacement stays one.
    return lambda text: pattern.sub(
        lambda _: replacement, text, timeout=_LONGEST_S, concurrent=True
    )
