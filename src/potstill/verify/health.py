"""The health of one thought: its length, loops, languages, and whether it means its answer.

Filter, reward and report measure with what stands here and beside it, so that they mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from potstill.data import Target, labels_of
from potstill.verify.conclusion import concluded_label
from potstill.verify.language import Languages, languages_of
from potstill.verify.loops import Loop, find_loop

HealthCause = Literal["too_long", "loop", "language_switch", "contradicts"]
MAX_TRACE_TOKENS = 8000
"""Longest thought that DeepSeek-R1's makers fine-tuned their non-reasoning mix with."""

_PIECE = re.compile(r"[^\W\d_]+|\d+|[^\w\s]+|_|\n+| {2,}")
_DENSE = 0x0E00  # from here on, letters are syllables or words


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a thought.

    Attributes:
        cause: a short machine-readable name.
        detail: a sentence for a person.
    """

    cause: HealthCause
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a thought.

    Attributes:
        tokens: its length, estimated unless the caller knew it.
        loop: its loops; None where it has none.
        languages: its languages, sentence by sentence.
        findings: what is wrong with it, worst first; empty for a healthy thought.
    """

    tokens: int
    loop: Loop | None
    languages: Languages
    findings: tuple[Finding, ...]


def health(
    thought: str,
    *,
    answer: Target | None = None,
    labels: Sequence[str] = (),
    expected_language: str | None = None,
    quotable: str = "",
    tokens: int | None = None,
    max_tokens: int = MAX_TRACE_TOKENS,
) -> Health:
    """Examine a thought.

    Args:
        thought: the text between the question and the answer.
        answer: what was answered; with `labels` the thought may contradict it.
        labels: the taxonomy.
        expected_language: the language that it should be in, ISO 639-1; None takes the one
            that most of it is in.
        quotable: text that it may repeat, such as its input; that is no switch of language.
        tokens: its exact length, where known.
        max_tokens: the most that is healthy.

    Raises:
        MissingExtraError: lingua-language-detector is not installed.
    """
    length = estimated_tokens(thought) if tokens is None else tokens
    findings: list[Finding] = []
    if length > max_tokens:
        about = "about " if tokens is None else ""
        findings.append(
            Finding("too_long", f"the thought has {about}{length} tokens, at most {max_tokens}")
        )
    loop = find_loop(thought)
    if loop is not None:
        detail = f"{loop.share:.0%} of the thought goes round in circles: {loop.excerpt!r}"
        findings.append(Finding("loop", detail))
    languages = languages_of(thought, expected=expected_language, quotable=quotable)
    if languages.switch is not None:
        findings.append(
            Finding(
                "language_switch",
                f"the thought is in {languages.expected!r}, but not all of it "
                f"({languages.switch_to!r}): {languages.switch[:80]!r}",
            )
        )
    concluded = concluded_label(thought, labels) if labels and answer is not None else None
    if concluded is not None and concluded not in labels_of(answer):
        detail = f"the thought concludes {concluded!r}, the answer is {_named(answer)}"
        findings.append(Finding("contradicts", detail))
    return Health(length, loop, languages, tuple(findings))


def _named(answer: Target | None) -> str:
    return ", ".join(map(repr, labels_of(answer))) or "no label"


def estimated_tokens(text: str) -> int:
    """Roughly how many tokens a text has, without a tokenizer.

    Byte-pair vocabularies of this decade hold common words whole and split long and foreign
    ones, keep digits apart, and have less than one token for a letter of Chinese. The figures
    were fitted to Qwen2.5's on half of ``benchmarks/data/traces.jsonl``: nine in ten estimates
    lie between 0.78 and 1.11 times the count.
    """
    total = 0.0
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece.isdigit():
            total += 1.35 * len(piece)
        elif not piece[0].isalpha():
            total += 0.6 * max(1.0, len(piece) / 3)
        elif ord(piece[0]) >= _DENSE:
            total += 0.62 * len(piece)
        else:
            total += 1.0 + 0.16 * max(0, len(piece.encode("utf-8", "surrogatepass")) - 5)
    return round(total)
