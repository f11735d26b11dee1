"""Verifiers that need no library: a number, a text, an option's letter, labels."""
# ruff: noqa: RUF001 - the signs of other languages are meant

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass

from potstill.verify.answers import Found, final_answer, first_sentence, said_lines
from potstill.verify.base import Verdict
from potstill.verify.mathematics import MAX_ANSWER_SIGNS, value_in
from potstill.verify.notation import fold, unwrapped
from potstill.verify.numbers import Number, read_number, same_number

_EDGES = " \t\n.!?,;:\"'`“”„«»‘’()[]*_"
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")
_HEDGED = re.compile(r"\b(?:or|either|maybe|perhaps|possibly)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|never|neither|nor|no)\b|n't\b", re.IGNORECASE)

_OPTION = r"(?:option|choice|answer|letter|number)?\s*"
_LONE = re.compile(
    rf"\A{_OPTION}[(\[]?([A-Z]|\d{{1,2}})(?:[)\].:,]|\s*\Z|\s*[-=]\s)", re.IGNORECASE
)
_LETTER = re.compile(r"(?<![\w'])[(\[]?([A-Z])[)\]]?(?![\w'])")
# "A dog" and "I think" are no options, but "A is right" and "(A)" are.
_ARTICLE = re.compile(
    r"(?<![\w(\[])(?:A(?=\s+(?!is\b|was\b|and\b|or\b|because\b|fits\b)[a-z])|I(?=\s+[a-z]|'))(?![)\].:])"
)
_SAID_LETTER = re.compile(
    r"(?:^|[,;:.(\[=]\s*|\b(?:is|was|be|so|a|an|choose|chose|pick|select|take|say|guess|maybe|perhaps|probably|between|option|answer|choice|letter|then"
    r"|[Ii]s|[Aa]nswer|[Oo]ption|thus|therefore|hence|with|and|or|[Ii]t's)\s+)[(\[]?([A-Z])(?![\w'])"
)
_LISTED = re.compile(r"(?<!\w)([A-Z])\)")
_REFUSED = re.compile(
    r"[(\[]?(?<!\w)([A-Z])(?!\w)[)\]]?\s+(?:is|was|are|were|seems|looks)\s+(?:wrong|incorrect|not|false|out)\b"
    r"|\bneither\s+[(\[]?([A-Z])(?!\w)[)\]]?|\bnor\s+[(\[]?([A-Z])(?!\w)[)\]]?"
    r"|\bnot\s+[(\[]?([A-Z])(?!\w)[)\]]?|\brather\s+than\s+[(\[]?([A-Z])(?!\w)[)\]]?"
)


@dataclass(frozen=True)
class Numeric:
    """Whether a number is the one that was wanted, as precisely as that one is written.

    3.14159 is right where 3.14 is wanted, and 3.1 is not; a whole number is wanted exactly.
    """

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        gold = read_number(fold(wanted))
        if gold is None:
            return Verdict(None, "unreadable_wanted", wanted[:80])
        found = final_answer(answer[-MAX_ANSWER_SIGNS:])
        text = value_in(fold(found.text), found)
        number = read_number(text)
        if number is None:
            number = read_number(re.sub(r"\A[a-zA-Z]\s*=\s*", "", text))
        if number is None:
            return Verdict(False, "no_answer", text[:80])
        return Verdict(same_number(number, gold) or _rounds_to(number, gold), None, text)


@dataclass(frozen=True)
class Exact:
    """Whether a text is the one that was wanted, but for case, spaces, quotation and width."""

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        gold = _normal(wanted)
        text = answer[-MAX_ANSWER_SIGNS:]
        found = final_answer(text, words=True).text
        tried = (found, first_sentence(found), text, *said_lines(text))
        right = bool(gold) and any(_normal(candidate) == gold for candidate in tried)
        return Verdict(right, None if found else "no_answer", found[:200])


@dataclass(frozen=True)
class Choice:
    """Whether the option that was chosen is the wanted one: a letter, or the number of one."""

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        gold = _option_in(fold(wanted).upper())
        if gold is None:
            return Verdict(None, "unreadable_wanted", wanted[:80])
        found = final_answer(answer[-MAX_ANSWER_SIGNS:], words=True)
        chosen = _chosen(found)
        if chosen is None:
            return Verdict(False, "no_answer", found.text[:80])
        return Verdict(chosen == gold, None, chosen)


@dataclass(frozen=True)
class LabelSet:
    """Whether the labels are the wanted ones, in any order: names with commas, or JSON."""

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        gold = _labels_in(wanted)
        document = _json_in(answer)
        if document is not None:
            found = document
        else:
            marked = final_answer(answer[-MAX_ANSWER_SIGNS:], words=True)
            listed = re.findall(r"^\s*(?:[-*•]|\d+[.)])\s+(.+)$", answer, re.MULTILINE)
            # One label a line, where nothing but a list was answered.
            text = ", ".join(listed) if len(listed) > 1 and marked.place == "line" else marked.text
            if _HEDGED.search(text) or _DENIED.search(text):
                return Verdict(gold == _labels_in(text), None, text[:200])
            found = _labels_in(text)
        fault = None if found else "no_answer"
        return Verdict(bool(found) and found == gold, fault, ", ".join(sorted(found))[:200])


def _rounds_to(number: Number, gold: Number) -> bool:
    if not gold.places or number.percent != gold.percent:
        return False
    if number.unit is not None and gold.unit is not None and number.unit != gold.unit:
        return False
    if number.places is not None and number.places <= gold.places:
        return False
    scaled = number.value * 10**gold.places
    whole = int((2 * abs(scaled) + 1) // 2)
    return whole == abs(gold.value) * 10**gold.places and scaled * gold.value >= 0


def _normal(text: str) -> str:
    text = _LATEX_TEXT.sub(r"\1", unwrapped(text))
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)


def _option_in(text: str) -> str | None:
    lone = _LONE.match(text.strip())
    return lone[1].upper() if lone else None


def _chosen(found: Found) -> str | None:
    """The one option that a phrase names; None for none or several."""
    text = fold(found.text)
    if found.place == "line" and re.match(r"[(\[]?[A-Z][)\].:]\s", text) and "\n" in found.text:
        return None
    refused = {letter for match in _REFUSED.findall(text) for letter in match if letter}
    kept = _ARTICLE.sub(" ", text)
    letters = [letter for letter in _LETTER.findall(kept) if letter not in refused]
    if len(set(_LISTED.findall(kept))) > 1:
        return None  # the options themselves, not one of them
    lone = _option_in(kept)
    if lone is not None and lone not in refused:
        others = {letter for letter in letters if letter != lone}
        # "B. the second, as A fails" has chosen; "A, B" has not.
        joined = re.match(
            rf"\W*{re.escape(lone)}\W{{0,3}}\s*(?:,|and|or|&|/|\+)?\s*[(\[]?[A-Z](?!\w)",
            kept,
            re.IGNORECASE,
        )
        return None if others and joined else lone
    if found.place == "line":
        # In a sentence, a letter counts where something says that it is chosen: "vitamin C".
        said = [letter for letter in _SAID_LETTER.findall(kept) if letter not in refused]
        if set(said) != set(letters):
            return None
        kept = " ".join(said)
    if not letters:
        return None
    named = set(letters)
    return named.pop() if len(named) == 1 else _first_before_reason(kept, refused)


def _first_before_reason(text: str, refused: set[str]) -> str | None:
    """The option before "because": "B because A is wrong" has chosen B."""
    head = re.split(r"\b(?:because|since|as|while|whereas)\b", text, maxsplit=1)[0]
    named = {letter for letter in _LETTER.findall(head) if letter not in refused}
    return named.pop() if len(named) == 1 else None


def _json_in(text: str) -> set[str] | None:
    """Labels in JSON: a list, or an object whose one value is a label or a list."""
    start = re.search(r"[\[{]", text)
    if start is None:
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(text[start.start() :])
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict):
        document = next(iter(document.values()), None) if len(document) == 1 else None
    names = [document] if isinstance(document, str) else document
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return {_label(name) for name in names}


def _labels_in(text: str) -> set[str]:
    document = _json_in(text)
    if document is not None:
        return document
    parts = re.split(r",|;|\n|\s+and\s+|\s*&\s*", unwrapped(_LATEX_TEXT.sub(r"\1", text)))
    return {label for part in parts if (label := _label(part))}


def _label(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().strip(_EDGES + "-•")
    return re.sub(r"[\s_-]+", " ", text)
