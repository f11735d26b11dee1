"""A completion taken apart: the thought, the answer behind it, and what is wrong with its form."""

# ruff: noqa: RUF001 - the signs of other tokenizers are meant

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from potstill.spec.recipe import TemplateSpec

CompletionFault = Literal[
    "no_opening", "unclosed", "two_thoughts", "text_before", "empty_thought", "empty_answer"
]

# Marks of chat templates, which tokenizers leave in decoded text. What follows one behind the
# answer is another turn, which the model must not be able to speak in.
_CHAT_MARK = re.compile(
    r"<\|[a-z_0-9]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|</?s>|<(?:eos|bos|pad|unk)>|\[/?INST\]"
    r"|<(?:start|end)_of_turn>|<\|(?:User|Assistant)\|>"
)
_ROLE = re.compile(r"\s*(?:assistant|model|Assistant:)?\s*\Z")
# "Human:" at the beginning of a line, where the model goes on with a turn of the person's.
_NEXT_TURN = re.compile(r"\n\s*(?:Human|User|Question|Q)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion in its parts.

    Attributes:
        thought: the text between the marks; empty where there is none.
        answer: the text behind the thought; all text where no thought was opened or closed,
            and empty where a thought was opened and never closed.
        fault: the first thing that is wrong with its form, the gravest first; None for
            exactly one closed thought that says something, with an answer behind it.
    """

    thought: str
    answer: str
    fault: CompletionFault | None

    @property
    def well_formed(self) -> bool:
        """Whether it has the form that the template asks for."""
        return self.fault is None


def parse_completion(text: str, template: TemplateSpec) -> Completion:
    """Take a completion apart by the marks of a template.

    What a chat template leaves around it (``<|im_end|>``, ``</s>``, a role's name before the
    thought) is taken off, and a turn that the model wrote for somebody else is cut. With several
    closed thoughts the answer is what stands behind the last, so that a thought never counts as
    an answer.
    """
    opening, closing = template.opening, template.closing
    text = _without_marks_before(text, opening)
    opened, closed = text.count(opening), text.count(closing)
    head, _, rest = text.partition(opening)
    if opened and not closed:
        return Completion(rest.strip(), "", "unclosed")
    if not opened and not closed:
        return Completion("", _answer_of(text), "no_opening")
    if not opened:
        thought, _, answer = text.rpartition(closing)
        return Completion(thought.replace(closing, "").strip(), _answer_of(answer), "no_opening")
    inside, _, answer = rest.rpartition(closing)
    if not inside and closing not in rest:  # the closing mark stands before the opening one
        return Completion(rest.strip(), "", "unclosed")
    # A mark that is opened behind the last closing one opens a thought that never ends.
    answer, reopened, _ = answer.partition(opening)
    thought, answer = inside.strip(), _answer_of(answer)
    if reopened or opened > 1 or closed > 1:
        return Completion(thought, "" if reopened else answer, "two_thoughts")
    fault: CompletionFault | None = None
    if head.strip():
        fault = "text_before"
    elif not answer:
        fault = "empty_answer"
    elif not thought:
        fault = "empty_thought"
    return Completion(thought, answer, fault)


def write_completion(thought: str, answer: str, template: TemplateSpec) -> str:
    """The completion that `parse_completion` takes apart again, without an end mark."""
    return f"{template.opening}\n{thought}\n{template.closing}\n{answer}"


def _without_marks_before(text: str, opening: str) -> str:
    head, mark, rest = text.partition(opening)
    if not mark:
        head, rest = "", text
    bare = _CHAT_MARK.sub("", head)
    if bare != head and _ROLE.match(bare):
        bare = ""
    return bare + mark + rest


def _answer_of(text: str) -> str:
    text = text.strip()
    while (found := _CHAT_MARK.match(text)) is not None:
        text = text[found.end() :].removeprefix("assistant").strip()
    ended = _CHAT_MARK.search(text)
    text = text[: ended.start()] if ended else text
    turn = _NEXT_TURN.search(text)
    return (text[: turn.start()] if turn else text).strip()
