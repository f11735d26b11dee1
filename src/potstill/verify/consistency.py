r"""Language consistency: the share of a thought that is in the language that was asked for.

DeepSeek-R1's reward (arXiv:2501.12948v2, 2.3.2) is the words of a thought in the target language
divided by all its words. Words are told apart by script first, which costs a millisecond for
30,000 letters and is enough where the target has a script of its own (Chinese, Japanese,
Korean, Russian …) and for English against those. Where it shares its script, sentences are
judged as the `trace_health` filter judges them.

Code, LaTeX, quotations, addresses and numbers have no language and are taken out first.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from potstill.verify.language import SILENT, languages_of

_SCRIPTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("zh",), ("CJK",)),
    **dict.fromkeys(("ja",), ("CJK", "HIRAGANA", "KATAKANA")),
    **dict.fromkeys(("ko",), ("HANGUL",)),
    **dict.fromkeys(("ru", "uk", "bg", "sr", "mk", "be", "kk", "mn"), ("CYRILLIC",)),
    **dict.fromkeys(("ar", "fa", "ur"), ("ARABIC",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI",)),
    **dict.fromkeys(("el",), ("GREEK",)),
    **dict.fromkeys(("he", "yi"), ("HEBREW",)),
    **dict.fromkeys(("th",), ("THAI",)),
    **dict.fromkeys(("bn",), ("BENGALI",)),
    **dict.fromkeys(("ta",), ("TAMIL",)),
    **dict.fromkeys(("te",), ("TELUGU",)),
    **dict.fromkeys(("ka",), ("GEORGIAN",)),
    **dict.fromkeys(("hy",), ("ARMENIAN",)),
}
_LATIN = ("LATIN",)
_SHARED = frozenset(("LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI"))
# Scripts without spaces between words: a word has about this many signs.
_DENSE = {"CJK": 1.6, "HIRAGANA": 2.5, "KATAKANA": 4.0, "THAI": 4.5, "HANGUL": 2.8}
_ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*?(?:\\end\{\1\}|\Z)", re.DOTALL)
_COMMAND = re.compile(r"\\[a-zA-Z]+\*?(?:\s*\{[^{}]*\})*")
_RUN = re.compile(r"[^\W\d_]+")
_TERM = re.compile(r"(?:[^\W\d_](?![^\W\d_])|[A-Z]{2,5}(?![^\W\d_]))")
_CODE_LINE = re.compile(
    r"^(?:\s{4,}|\t)?(?:def |class |return\b|import |from \w+ import|for \w+ in |while .*:$|if .*:$|print\().*$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Consistency:
    """How much of a thought is in one language.

    Attributes:
        share: words in the language divided by all words, 0 to 1; 1 where there are none.
        words: words that were counted.
    """

    share: float
    words: float


def consistency_of(thought: str, language: str, *, sentences: bool | None = None) -> Consistency:
    """The share of a thought that is in a language.

    Args:
        thought: the text.
        language: ISO 639-1.
        sentences: whether sentences in the right script are judged too, by lingua, which takes
            about a millisecond a sentence; None does so where the script does not tell the
            language, except for English, whose models slip into other scripts.

    Raises:
        MissingExtraError: sentences are judged, and lingua-language-detector is not installed.
    """
    wanted = _SCRIPTS.get(language, _LATIN)
    counts: dict[str, float] = {}
    for run in _RUN.findall(plain_text(thought)):
        if _TERM.fullmatch(run) and ord(run[0]) < 0x250:
            continue  # x, AB, ASCII: names of variables and points belong to no language
        for script, length in _scripts(run):
            counts[script] = counts.get(script, 0.0) + length
    total = sum(counts.values())
    if not total:
        return Consistency(1.0, 0.0)
    share = sum(counts.get(script, 0.0) for script in wanted) / total
    if language == "ja" and not any(counts.get(kana) for kana in ("HIRAGANA", "KATAKANA")):
        share = 0.0  # Chinese characters alone are Chinese
    if language == "zh" and counts.get("HIRAGANA"):
        share *= counts.get("CJK", 0.0) / (counts.get("CJK", 0.0) + counts["HIRAGANA"])
    if sentences is None:
        sentences = language != "en" and bool(_SHARED.intersection(wanted))
    if sentences and share:
        judged = languages_of(thought, expected=language).shares
        share *= judged.get(language, 0.0) if judged else 1.0
    return Consistency(share, total)


def plain_text(thought: str) -> str:
    """A thought without code, formulas, quotations and addresses."""
    text = SILENT.sub(" ", _ENVIRONMENT.sub(" ", thought))
    return _COMMAND.sub(" ", _CODE_LINE.sub(" ", text))


def _scripts(run: str) -> list[tuple[str, float]]:
    """The words of a run of letters by script; a run of one script, nearly always, is one."""
    if run.isascii():
        return [("LATIN", 1.0)]
    counts: dict[str, int] = {}
    for sign in run:
        script = _script(sign)
        counts[script] = counts.get(script, 0) + 1
    return [
        (script, length / _DENSE[script] if script in _DENSE else 1.0)
        for script, length in counts.items()
    ]


@lru_cache(maxsize=65_536)
def _script(sign: str) -> str:
    name = unicodedata.name(sign, "OTHER").split()
    if name[0] in ("FULLWIDTH", "HALFWIDTH", "MODIFIER") and len(name) > 1:
        return name[1]
    return name[0]
