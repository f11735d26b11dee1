"""How the words of an answer are read as a text, and how of several texts one is chosen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from potstill.data import Text
from potstill.data.rouge import rouge
from potstill.teacher.answer import Answer
from potstill.teacher.consensus import Consensus, Verdict

_FENCE = re.compile(r"^```(?:\w+)?\s*(.*?)\s*```$", re.DOTALL)


def read_text(raw: object, columns: Sequence[str]) -> Text | None:
    """The text that an answer states; None where it states none.

    An answer is the text itself, or JSON: an object with the text under one of some keys, or
    with nothing but a text.

    Args:
        raw: the answer.
        columns: the keys.
    """
    if isinstance(raw, str):
        fenced = _FENCE.match(raw.strip())
        said = fenced[1] if fenced else raw
        try:
            raw = orjson.loads(said)
        except orjson.JSONDecodeError:
            raw = said
        if not isinstance(raw, Mapping | str):
            raw = said  # a text that is a number, or in brackets, is a text all the same
    if isinstance(raw, Mapping):
        raw = _text_in(raw, columns)
    return Text(raw.strip()) if isinstance(raw, str) and raw.strip() else None


def _text_in(said: Mapping[Any, Any], columns: Sequence[str]) -> Any:
    if len(said) == 1:
        return next(iter(said.values()))
    return next((said[key] for key in columns if key in said), None)


def choose_texts(answers: Sequence[Sequence[Answer]]) -> Consensus:
    """Of the texts for every input the one that is most like the others.

    That is minimum Bayes risk (Kumar and Byrne 2004; Eikema and Aziz 2020), with ROUGE-L as the
    gain and the answers themselves as the sample. A teacher that answered several times has one
    say; of texts that tie, as two always do, the first is chosen.

    Args:
        answers: the answers to each input, usable or not.

    Raises:
        MissingExtraError: there is something to choose, and rouge-score is not installed.
    """
    verdicts: list[Verdict | None] = []
    for row in answers:
        usable = [answer for answer in row if isinstance(answer.target, Text)]
        verdicts.append(Verdict(_medoid(usable), None) if usable else None)
    return Consensus(verdicts, {}, {})


def _medoid(answers: Sequence[Answer]) -> Text:
    texts = [answer.target for answer in answers if isinstance(answer.target, Text)]
    if len(texts) < 3:
        return texts[0]
    answered = Counter(answer.teacher for answer in answers)
    says = [1.0 / answered[answer.teacher] for answer in answers]
    places = range(len(texts))

    def gain(place: int) -> float:
        others = [other for other in places if other != place]
        alike = sum(says[other] * likeness(texts[place], texts[other]) for other in others)
        return alike / sum(says[other] for other in others)

    return texts[max(places, key=gain)]


def likeness(one: Text, other: Text) -> float:
    """How much two texts say in the same words: ROUGE-L, 1 where they are the same."""
    return 1.0 if one.text == other.text else rouge(one.text, [other.text]).rouge_l
