"""Soft labels from log-probabilities, whatever the tokenizer.

The answer is walked token by token. Where the walk stands within the label, each alternative
token leads towards the labels that begin with the text so far and that token; the teacher's
probability of the token is shared out among them, and the walk goes on with the share of the
token that was written. What leads to no label that was offered (the endpoint's grammar forbids
it) counts nothing: at every token the shares are taken of the possible ones alone, which is
the distribution that constrained decoding samples from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

_KEY = re.compile(r'"label"\s*:\s*"')


def label_distribution(
    text: str, logprobs: Sequence[Mapping[str, float]] | None, offered: Sequence[str]
) -> dict[str, float] | None:
    """The probability of each offered label, as far as the alternatives tell.

    Args:
        text: the answer, JSON with the label under ``label``.
        logprobs: for each token of the answer its alternatives, the token itself included.
        offered: the labels that could be answered.

    Returns:
        One probability a label, summing to one; None where there are no log-probabilities,
        they do not spell the text, or the text states no label.
    """
    keys = list(_KEY.finditer(text))
    path = spelling(text, logprobs) if logprobs else None
    if path is None or logprobs is None or not keys:
        return None
    start = keys[-1].end()
    # With its closing mark, so that one label may begin with another.
    endings = {label: orjson.dumps(label).decode()[1:] for label in offered}
    said = next((label for label, end in endings.items() if text.startswith(end, start)), None)
    if said is None:
        return None
    steps = [
        (written, alternatives)
        for written, alternatives in zip(path, logprobs, strict=False)
        if written.start < start + len(endings[said]) and written.end > start
    ]
    first = steps[0][0].start
    # From the first token on, which may hold the opening mark, or even the key.
    open_labels = {label: text[first:start] + ending for label, ending in endings.items()}
    shares = dict.fromkeys(offered, 0.0)
    left = 1.0
    for written, alternatives in steps:
        before = text[first : written.start]
        open_labels = {
            label: whole for label, whole in open_labels.items() if whole.startswith(before)
        }
        leads = _leads(before, alternatives, open_labels)
        taken, _ = leads.pop(written.token, (0.0, []))
        if not taken:
            return None
        total = taken + sum(chance for chance, _ in leads.values())
        for chance, labels in leads.values():
            for label in labels:
                shares[label] += left * chance / total / len(labels)
        left *= taken / total
    shares[said] += left
    return shares


class Written(NamedTuple):
    """A token of the answer, and from where to where in the text it stands."""

    start: int
    end: int
    token: str


def spelling(text: str, logprobs: Sequence[Mapping[str, float]]) -> list[Written] | None:
    """The tokens that were written; None where none spell the text.

    The alternatives do not say which of them was written, but hardly more than one row of them
    spells the text; of several the likeliest is taken. White space around the text, which
    readers of replies strip, and tokens after its end count nothing.
    """
    # After each token: the places in the text that can be reached, each by its best last step.
    reached: list[dict[int, _Step]] = [{0: _Step(0.0, 0, "")}]
    while len(text) not in reached[-1] and len(reached) <= len(logprobs):
        following: dict[int, _Step] = {}
        for place, step in reached[-1].items():
            for token, logprob in logprobs[len(reached) - 1].items():
                end = _end(text, place, token)
                score = step.score + logprob
                if end is not None and (end not in following or score > following[end].score):
                    following[end] = _Step(score, place, token)
        reached.append(following)
    if len(text) not in reached[-1]:
        return None
    path: list[Written] = []
    end = len(text)
    for steps in reached[:0:-1]:
        path.append(Written(steps[end].start, end, steps[end].token))
        end = steps[end].start
    return path[::-1]


class _Step(NamedTuple):
    """The likeliest way to a place in the text: its score, and its last token."""

    score: float
    start: int
    token: str


def _end(text: str, place: int, token: str) -> int | None:
    """Where a token that is written at a place of the text ends; None where it does not fit."""
    written = token if place else token.lstrip()
    rest = text[place : place + len(written)]
    if not written.startswith(rest) or written[len(rest) :].strip():
        return None
    return place + len(rest)


def _leads(
    before: str, alternatives: Mapping[str, float], wholes: Mapping[str, str]
) -> dict[str, tuple[float, list[str]]]:
    """Each token that leads towards a label: its probability, and the labels."""
    leads: dict[str, tuple[float, list[str]]] = {}
    for token, logprob in alternatives.items():
        ahead = before + token
        labels = [
            label
            for label, whole in wholes.items()
            if whole.startswith(ahead) or ahead.startswith(whole)
        ]
        if labels and token:
            leads[token] = (math.exp(logprob), labels)
    return leads
