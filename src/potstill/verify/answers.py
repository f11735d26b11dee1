r"""The final answer in a text: the last ``\boxed{}``, ``#### x``, "the answer is x", or the end.

A mark that was asked for (a box, ``####``, ``<answer>``) goes before what is said, and the last
one of a kind before earlier ones. What a text claims about itself ("Verdict: correct", "the
answer is right") is no answer, and an answer that names two things names neither.
"""
# ruff: noqa: RUF001 - the signs of other languages are meant

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Place = Literal["box", "mark", "said", "line", "none"]

_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_BARE = re.compile(r"[^\s{}$\\.,;]+|\\[a-zA-Z]+(?:\{[^{}]*\})*")
_HASHES = re.compile(r"(?:^|(?<=\s))####[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
# Between two boxes that are one answer: "2 and 3", "x = 2 or x = 3".
_JOINS = re.compile(r"[\s$\\,;()\[\]]*(?:\b(and|or)\b)?[\s$\\()\[\]]*(?:[a-zA-Z]\s*=)?[\s$]*\Z")
_SAID = re.compile(
    r"\b(?:final\s+|correct\s+|right\s+|best\s+)?(?:answer|result|solution|label|option|choice|category)\b"
    r"(?:\s+(?:to|of|for)\b[^.\n:=]{1,60}?)?\s*(?:\*\*|__)?\s*"
    r"(?:(?::|=|：)|\b(?:is|are|must\s+be|should\s+be|would\s+be|will\s+be|becomes|remains)\b)\s*:?\s*"
    r"|\bA\s*:\s+|\bI\s+(?:choose|pick|select|would\s+choose|go\s+with)\s+(?:option\s+)?"
    r"|答案(?:应该|应当)?(?:是|为|：|:)\s*",
    re.IGNORECASE,
)
_IS_THE_ANSWER = re.compile(
    r"(?:^|[.!?,;:\n]|\b(?:therefore|thus|so|hence)\b,?)\s*([^.!?,;:\n]{1,80}?)\s+is\s+the\s+(?:final\s+|correct\s+|right\s+)?(?:answer|result)\b",
    re.IGNORECASE,
)
_THEREFORE = re.compile(r"^(?:therefore|thus|so|hence|then)\b,?\s*", re.IGNORECASE)
_BELOW = re.compile(r"(?:as\s+follows|below|this|the\s+following)\s*[:.]?\s*\Z", re.IGNORECASE)
# Marks of emphasis, of headings and of quotations; "2**10" has none.
_MARKDOWN = re.compile(
    r"(?<![\w*])(\*\*|__)(?=\S)(?P<said>[^\n]+?)(?<=\S)\1(?![\w*])|^#{1,6}\s+|^>\s+", re.MULTILINE
)
# "5. The other…", but not "3.14" and not "e.g. 5".
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+[^\s\d]|\s*\Z)|[。！？]")
_AFTERTHOUGHT = re.compile(
    r",?\s+(?:because|since|as\s+(?:shown|we|it|the|can)|which\s+(?:is|means)|where|due\s+to)\b.*"
    r"|,?\s+and\s+not\s.*|,\s*(?:not|and\s+not|rather\s+than|instead\s+of|out\s+of|as\b)\s?.*",
    re.IGNORECASE | re.DOTALL,
)
_DISPLAY = re.compile(r"^(?:\$\$|\\\[)\s*\n")
_TAGS = re.compile(r"</?(?:b|i|u|p|br|em|strong|span|div|code)\s*/?>", re.IGNORECASE)
_RULE = re.compile(r"^[-_*=~\s$]+$")
_NOT_BUT = re.compile(r"^(?:not|n't)\b.*?\bbut\s+(?:rather\s+)?", re.IGNORECASE | re.DOTALL)
_DENIED = re.compile(r"^(?:not|never|neither|nor|unlikely)\b", re.IGNORECASE)
# What a text says of its own worth; a line of it is no line of an answer.
CLAIM = re.compile(
    r"\b(?:verdict|reward|score|grade|graded|grader|marks?|points?|is_?correct|right|correct)\b[\"']?\s*[:=]",
    re.IGNORECASE,
)
_EMPTY_PRAISE = re.compile(
    r"^(?:correct|right|true|verified|clear|obvious|given|known|above|wrong|the\s+(?:reference|wanted|expected|correct|right|same)\b)"
    r"(?!\s*\d).*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Found:
    """The final answer of a text.

    Attributes:
        text: the answer, without what stood around it; empty where there is none.
        place: how it was marked: by a box, another mark, a sentence, or nothing but its place.
    """

    text: str
    place: Place


def final_answer(text: str, *, words: bool = False) -> Found:
    r"""The final answer of a text.

    Args:
        text: what stands behind the thought.
        words: whether a word may be the answer, so that "the answer is correct" can mean it.
    """
    marked = _marked(text)
    if marked is not None:
        return marked
    plain = _unmarked(text)
    said, spoke = _said(plain, words)
    if said:
        return Found(said, "said")
    if spoke:  # it speaks of an answer and names none: what else stands there is no answer
        return Found("", "none")
    lines = [line.strip() for line in plain.splitlines() if not _RULE.match(line + " ")]
    lines = [line for line in lines if words or not CLAIM.search(line)]
    return Found(lines[-1], "line") if lines else Found("", "none")


def boxes(text: str) -> list[tuple[int, int, str]]:
    r"""All ``\boxed{}`` and ``\fbox{}`` that stand in no other one: start, end, content."""
    found: list[tuple[int, int, str]] = []
    at = 0
    while (mark := _BOX.search(text, at)) is not None:
        start = mark.end()
        if text[start : start + 1] == "{":
            end = _closing(text, start)
            content = text[start + 1 : end]
            at = min(end + 1, len(text))
        else:
            bare = _BARE.match(text, start)
            content, at = (bare[0], bare.end()) if bare else ("", start)
        found.append((mark.start(), at, content.strip()))
    return found


def said_lines(text: str) -> list[str]:
    """What follows each "the answer is" up to the end of its line: an answer may hold a stop."""
    plain = _unmarked(text)
    return [plain[mark.end() :].split("\n", 1)[0] for mark in _SAID.finditer(plain)]


def first_sentence(text: str) -> str:
    """The first line of a text up to the end of its first sentence, without afterthoughts."""
    line = text.strip().split("\n", 1)[0]
    end = _SENTENCE_END.search(line)
    line = line[: end.start()] if end else line
    return _AFTERTHOUGHT.sub("", line).strip().rstrip(".!?,;:").strip()


def _unmarked(text: str) -> str:
    return _MARKDOWN.sub(lambda mark: mark["said"] or "", _TAGS.sub("", text)).strip()


def _marked(text: str) -> Found | None:
    """The last of the marks that a question asks for."""
    drawn = boxes(text)
    marks = [(m.start(), m[1]) for m in _HASHES.finditer(text)]
    marks += [(m.start(), m[1].strip()) for m in _TAG.finditer(text)]
    last_mark = max(marks, default=(-1, ""))
    if drawn and drawn[-1][0] > last_mark[0]:
        return Found(_joined(text, drawn), "box")
    if not marks:
        return None
    inner = boxes(last_mark[1])
    return Found(inner[-1][2] if inner else _unmarked(last_mark[1]), "mark")


def _joined(text: str, drawn: list[tuple[int, int, str]]) -> str:
    """The last box, with those before it that it is joined to."""
    parts, start = [_inmost(drawn[-1][2])], drawn[-1][0]
    if not parts[0]:
        return ""
    joint = ", "
    for begin, end, content in reversed(drawn[:-1]):
        between = _JOINS.match(text[end:start])
        # Boxes side by side are one answer, boxes on lines of their own are not.
        if between is None or (not between[1] and "\n" in text[end:start]):
            break
        joint = " or " if between[1] == "or" else joint
        parts.append(_inmost(content))
        start = begin
    return joint.join(reversed(parts))


def _inmost(content: str) -> str:
    inner = boxes(content)
    return _inmost(inner[-1][2]) if inner else content


def _closing(text: str, start: int) -> int:
    """Place of the brace that closes the one at ``start``; the end of the line without one."""
    depth = 0
    for at in range(start, len(text)):
        sign = text[at]
        if sign in "{}" and text[at - 1] != "\\":
            depth += 1 if sign == "{" else -1
            if depth == 0:
                return at
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _said(text: str, words: bool) -> tuple[str, bool]:
    """What is last said to be the answer, and whether anything is said of one."""
    values: list[tuple[int, str]] = []
    spoke = False
    for mark in _SAID.finditer(text):
        spoke = True
        rest = text[mark.end() :].lstrip(" \t")
        if rest.startswith("\n") or _BELOW.match(rest.split("\n", 1)[0]):
            rest = rest.partition("\n")[2].lstrip()
        value = _meant(_DISPLAY.sub("", rest))
        if value and (words or not _EMPTY_PRAISE.match(value)):
            values.append((mark.start(), value))
    for mark in _IS_THE_ANSWER.finditer(text):
        spoke = True
        values.append((mark.start(), _THEREFORE.sub("", mark[1].strip())))
    return (max(values)[1] if values else ""), spoke


def _meant(rest: str) -> str:
    value = first_sentence(_NOT_BUT.sub("", rest))
    return "" if _DENIED.match(value) else value
