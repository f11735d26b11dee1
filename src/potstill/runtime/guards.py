"""Guards: what a text has to pass before it is answered.

`length`: no more words than were asked for. `copied`: each figure and each name stands in the
source. `repetition`: nothing is said over and over. They need no model, no dictionary and under
a millisecond, and they say what was wrong in words of the text itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from potstill.data.counting import count_words
from potstill.data.example import Text
from potstill.data.sentences import Sentence, split_sentences
from potstill.runtime.facts import Facts
from potstill.spec.generation import Guard, TextSpec

_SHORTEST_REPEATED_WORDS = 3
_SENTENCE_ENDS = ".!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964"
_CLOSING = "\"')]}\u2019\u201d\u00bb\u300d\u300f\uff09 "

_MOST_REPEATED = 0.3
"""Share of a sentence that the same three words, said at least three times, may fill."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guards say of a text.

    Attributes:
        broken: the guards that it does not pass, in the order of the task.
        details: a sentence for each of them.
    """

    broken: tuple[Guard, ...] = ()
    details: Mapping[Guard, str] = field(default_factory=dict[Guard, str])

    @property
    def ok(self) -> bool:
        """Whether it passes all."""
        return not self.broken


def guard(text: str, source: str, spec: TextSpec) -> Verdict:
    """Hold a text against its source.

    Args:
        text: what was written.
        source: what it was written about, its context included.
        spec: which guards stand, and how many words are allowed.
    """
    return _guard(text, Facts.of(source), spec)


def repair(text: str, source: str, spec: TextSpec, instead: Callable[[], str]) -> Text:
    """The text, without the sentences that break a guard, or another one in its place.

    A last sentence that was broken off goes as well where a whole one stands before it.

    Args:
        text: what was written.
        source: what it was written about, its context included.
        spec: which guards stand, and how many words are allowed.
        instead: gives sentences of the source, asked only where no sentence is left.

    Returns:
        The text; ``guarded`` names the guards that changed it.
    """
    facts = Facts.of(source)
    verdict = _guard(text, facts, spec)
    if verdict.ok and text.strip():
        return Text(text)
    kept: list[str] = []
    for sentence in _whole_ones(text):
        longer = [*kept, sentence]
        if _guard(" ".join(longer), facts, spec).ok:
            kept = longer
    # Nothing at all breaks no guard of the task, and is too short for an answer.
    return Text(" ".join(kept) or instead(), guarded=verdict.broken or ("length",))


def invented(text: str, source: str) -> tuple[str, ...]:
    """The figures and names of a text that do not stand in its source, as they are written."""
    return Facts.of(source).missing(text)


def repeated(text: str) -> str | None:
    """What a text says over and over: a sentence twice, or words of one again and again."""
    seen: set[str] = set()
    *_, last = sentences = split_sentences(text) or [Sentence("", 0, 0)]
    begun = "" if _is_whole(last.text) else last.text.lower()
    if begun and any(one.text.lower().startswith(begun) for one in sentences[:-1]):
        return last.text
    for sentence in sentences:
        said = sentence.text.lower().rstrip(".!? ")
        if said in seen:
            return sentence.text
        seen.add(said)
        run = _repeated_run(said.split())
        if run is not None:
            return run
    return None


def _whole_ones(text: str) -> list[str]:
    """The sentences of a text, without a last one that was broken off after a whole one."""
    said = [sentence.text for sentence in split_sentences(text)]
    if any(map(_is_whole, said)) and not _is_whole(said[-1]):
        return said[:-1]
    return said


def _is_whole(sentence: str) -> bool:
    return sentence.rstrip(_CLOSING).endswith(tuple(_SENTENCE_ENDS))


def _guard(text: str, facts: Facts, spec: TextSpec) -> Verdict:
    found: dict[Guard, str] = {}
    for name in spec.guards:
        said = _CHECKS[name](text, facts, spec)
        if said is not None:
            found[name] = said
    return Verdict(tuple(found), found)


def _length(text: str, _: Facts, spec: TextSpec) -> str | None:
    words = count_words(text)
    return f"{words} words, allowed are {spec.max_words}" if words > spec.max_words else None


def _copied(text: str, facts: Facts, _: TextSpec) -> str | None:
    missing = facts.missing(text)
    return f"not in the source: {', '.join(missing)}" if missing else None


def _repetition(text: str, _: Facts, __: TextSpec) -> str | None:
    said = repeated(text)
    return f"said again and again: {said!r}" if said else None


_CHECKS: dict[Guard, Callable[[str, Facts, TextSpec], str | None]] = {
    "length": _length,
    "copied": _copied,
    "repetition": _repetition,
}


def _repeated_run(words: list[str]) -> str | None:
    """Three words that fill much of a sentence, or a run that follows upon itself."""
    counts: dict[tuple[str, ...], int] = {}
    for at in range(len(words) - _SHORTEST_REPEATED_WORDS + 1):
        run = tuple(words[at : at + _SHORTEST_REPEATED_WORDS])
        counts[run] = counts.get(run, 0) + 1
        if counts[run] > 2 and len(run) * counts[run] > _MOST_REPEATED * len(words):
            return " ".join(run)
        if run == tuple(words[at + len(run) : at + 2 * len(run)]):
            return " ".join(run)
    return None
