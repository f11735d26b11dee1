"""One answer, what was lost of it, and how its words are read as a label of the taxonomy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from potstill.data import Target
from potstill.data.answers import label_text
from potstill.teacher.request import Fault as RequestFault

LossCause = Literal[
    "evidence_not_found",  # neither the quoted words nor the value itself stand in the document
    "bad_offsets",  # the offsets do not lie within the document
    "value_not_in_evidence",  # the quoted words are there, and do not state the value
    "unreadable_value",  # not a value of the field's type
    "several_values",  # more than one, of a field that holds one
    "required_missing",  # no value at all, of a field that every document holds
]
"""Why a value that a teacher gave, or should have given, cannot be used."""

Fault = (
    Literal["outside_taxonomy", "no_answer", "failed", "guard_broken"] | LossCause | RequestFault
)
"""Why an answer cannot be used: its words are not a label, it is empty, a value is lost that it
cannot do without, another text alone passes the guards, or the request failed; where a live teacher was asked, the more exact words of
`potstill.teacher.request.Fault`."""

_SEPARATORS = re.compile(r"[\s_-]+")
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)
_DECORATION = "\"'`*. \t\r\n"


@dataclass(frozen=True, slots=True)
class Loss:
    """One value of an answer that cannot be used.

    Attributes:
        field: the field.
        cause: why.
        detail: the same in a sentence.
    """

    field: str
    cause: LossCause
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one teacher answered for one input, once.

    Attributes:
        teacher: the model that was asked, or the name of the file where none is recorded.
        target: the label or labels, the values of fields, or the text; None where the answer
            cannot be used. Values are as they were claimed until they are looked up in the
            document: see `potstill.teacher.evidence`.
        raw: the answer as it was given.
        fault: why there is no target; None where there is one.
        detail: the fault in a sentence, where one was recorded.
        lost: values of fields that cannot be used.
        scores: labels with their probabilities, which sum to one; a label that is not there
            has none. Multilabel: each label's own. None where the answer is hard.
        rule: the rule that joined the scores with other evidence; None where they are the
            teacher's own.
        reasoning: the thought that came before the answer.
        seconds: wall time of the request.
        cost_usd: price of the request. Unknown is None, never zero, as for all figures here.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received, the thought included.
        revision: the version of the model that answered, where it differs from its name.
        endpoint: host that answered.
        request: the provider's id of the request.
    """

    teacher: str
    target: Target | None
    raw: str
    fault: Fault | None = None
    detail: str | None = None
    lost: tuple[Loss, ...] = ()
    scores: Mapping[str, float] | None = None
    rule: str | None = None
    reasoning: str | None = None
    seconds: float | None = None
    cost_usd: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    revision: str | None = None
    endpoint: str | None = None
    request: str | None = None


class LabelReader:
    """Reads the words of an answer as a target, strictly.

    An answer is taken when it *is* a label: exactly; or but for case, quotes, a full stop
    and the choice of space, hyphen or underscore, where only one label fits; or as JSON, the
    value of ``label`` or ``labels`` or the only value there is. A label that merely occurs in
    a sentence is not taken, since "not a mortgage" would become one. Multilabel answers are
    lists, in JSON or separated by commas; one unknown member makes the whole unusable,
    because what remained would claim that the other labels are absent.

    Args:
        labels: the taxonomy in its fixed order.
        multilabel: whether an answer may hold several labels, or none.
    """

    def __init__(self, labels: tuple[str, ...], *, multilabel: bool) -> None:
        self._multilabel = multilabel
        self._order = {label: place for place, label in enumerate(labels)}
        folded: dict[str, str | None] = {}
        for label in labels:
            # Two labels that differ in case alone are told apart by their exact words only.
            folded[_fold(label)] = None if _fold(label) in folded else label
        self._folded = folded

    def read(self, raw: object) -> Target | None:
        """The target that an answer states; None where it is outside the taxonomy."""
        for value in _readings(raw):
            if self._multilabel:
                found = self._several(value)
            else:
                found = self._one(
                    value[0] if isinstance(value, list) and len(value) == 1 else value
                )
            if found is not None:
                return found
        return None

    def read_scores(self, raw: object) -> dict[str, float] | None:
        """Labels with their probabilities, from an object of labels and numbers, or its JSON.

        None where a key is no label, or a value no probability.
        """
        if isinstance(raw, str):
            try:
                raw = orjson.loads(raw)
            except orjson.JSONDecodeError:
                return None
        if not isinstance(raw, Mapping) or not raw.keys() <= self._order.keys():
            return None
        if not all(_is_share(score) for score in raw.values()):
            return None
        if self._multilabel:
            return dict(raw)
        # Rounded scores do not sum to one exactly.
        total = sum(raw.values())
        return {label: score / total for label, score in raw.items() if score} if total else None

    def decide(self, scores: Mapping[str, float]) -> Target:
        """The label of the greatest score; multilabel: all of at least 0.5."""
        if self._multilabel:
            return tuple(label for label in self._order if scores.get(label, 0.0) >= 0.5)
        return max(self._order, key=lambda label: scores.get(label, 0.0))

    def _one(self, value: object) -> str | None:
        if not isinstance(value, str | int | float):
            return None
        for text in (label_text(value), str(value).strip()):
            found = text if text in self._order else self._folded.get(_fold(text))
            if found is not None:
                return found
        return None

    def _several(self, value: object) -> tuple[str, ...] | None:
        if isinstance(value, str):
            whole = self._one(value)
            parts: list[Any] = [value] if whole is not None else value.split(",")
        else:
            parts = value if isinstance(value, list) else [value]
        found = [self._one(part) for part in parts]
        known = {label for label in found if label is not None}
        if None in found:
            return None
        return tuple(sorted(known, key=self._order.__getitem__))


def _is_share(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0.0 <= value <= 1.0  # not a number compares false


def _fold(text: str) -> str:
    return _SEPARATORS.sub(" ", text.strip(_DECORATION).casefold()).strip()


def _readings(raw: object) -> Iterator[Any]:
    """The answer itself, then what its JSON holds."""
    value = raw
    if isinstance(raw, str):
        yield raw
        fenced = _FENCE.match(raw.strip())
        try:
            value = orjson.loads(fenced[1] if fenced else raw)
        except orjson.JSONDecodeError:
            return
    if isinstance(value, Mapping):
        keys = [key for key in ("label", "labels") if key in value]
        if keys or len(value) == 1:
            yield value[keys[0]] if keys else next(iter(value.values()))
    else:
        yield value


def split_thought(content: str) -> tuple[str | None, str]:
    """A completion as (thought, answer): ``<think>…</think>`` is the thought.

    The opening tag may be missing, since some chat templates put it into the prompt. A
    thought that never ends leaves no answer.
    """
    thought, end, answer = content.rpartition("</think>")
    if not end:
        started = content.lstrip().startswith("<think>")
        thought, answer = (content, "") if started else ("", content)
    thought = thought.strip().removeprefix("<think>").strip()
    return thought or None, answer.strip()
