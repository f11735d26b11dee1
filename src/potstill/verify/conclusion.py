"""What a thought concludes: the label that it names last, in so many words, as its result.

Conservative on purpose. A thought weighs many labels before it settles, so a label counts only
where a sentence says that it *is* the answer; what is hedged, denied, asked or told of others
counts for nothing, and a sentence that thinks on takes back what was said before it.
"""
# ruff: noqa: RUF001 - the signs of other languages are meant

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")

# What introduces a result, in the languages that models think in. The label itself is found apart.
_THING = (
    r"(?:answer|label|category|class|product|intent|intention|topic|choice|pick|classification|verdict"
    r"|conclusion|decision|option)"
)
_CONCLUDES = re.compile(
    "|".join(
        (
            rf"\b{_THING}\b(?:\s+[\w'’-]+){{0,5}}?\s*(?:\b(?:is|remains)\b|\b(?:should|must|has\s+to|will)\s+be\b|[:=→])",
            rf"\bas\s+the\s+(?:\w+\s+)?{_THING}\b|\b(?:is|makes?|leaves?)\b.{{0,60}}\bthe\s+(?:\w+\s+)?{_THING}\b",
            r"\b(?:fits?|match(?:es)?|suits?)\b.{0,20}\bbest\b|\bbest\s+(?:fit|match|choice)\b",
            r"\b(?:belongs?|falls?|goes)\s+(?:in|into|to|under|with)\b|\bcounts?\s+as\b",
            r"\b(?:classif(?:y|ied)|categori[sz]ed?|label(?:l?ed)?|filed?|tag(?:ged)?)\b.{0,20}\b(?:as|under)\b",
            r"\bI(?:\s+will|\s+would|\s+have\s+to|\s+must|['’]ll|['’]d)?\s+(?:therefore\s+|thus\s+|so\s+)?"
            r"(?:choose|chose|pick|select|take|go\s+(?:with|for)|conclude|settle\s+on|decide\s+(?:on|for)|answer|assign)\b",
            r"\b(?:so|thus|hence|therefore|finally|clearly|in\s+conclusion|all\s+in\s+all|overall)\b,?\s*(?:it|this|that)(?:['’]s|\s+(?:is|concerns))\b",
            r"^\W*(?:this|the)\s+(?:product|question|case)\s+(?:is|concerns)\b",
            # German, French, Spanish, Italian, Portuguese, Chinese
            r"\b(?:Antwort|Kategorie|Bezeichnung|Label|Ergebnis|Klasse)\b\s*(?:ist|lautet|wäre|:)|\b(?:ist|lautet)\b.{0,12}\b(?:Antwort|Kategorie|Klasse)\b"
            r"|\bgehört\s+(?:also\s+|daher\s+)?(?:zu|in|unter)\b|\b(?:also|daher|somit)\s+(?:ist\s+es|nehme\s+ich|wähle\s+ich)\b",
            r"\b(?:réponse|étiquette|catégorie)\b.{0,12}?(?:\best\b|:)|\bdonc\b.{0,8}\b(?:c['’]est|je\s+choisis)\b",
            r"\b(?:respuesta|etiqueta|categoría)\b.{0,12}?(?:\bes\b|:)|\b(?:risposta|etichetta|categoria)\b.{0,12}?(?:\bè\b|:)"
            r"|\b(?:resposta|etiqueta|categoria)\b.{0,12}?(?:\bé\b|:)",
            r"(?:答案|标签|类别|分类)(?:应该|应当)?(?:是|为|：|:)",
        )
    ),
    re.IGNORECASE,
)
# The sentence does not mean it: denied, doubted, asked, supposed, or somebody else's opinion.
_HEDGE = re.compile(
    r"[?？]|\b(?:not|cannot|\w+n['’]t|never|neither|nor|unless|if|when|whether|might|may|could|perhaps|maybe|possibly"
    r"|probably\s+not|would\s+have|would\s+be\s+wrong|seems?|looks?\s+like|at\s+first|first\s+(?:guess|thought|sight|idea)|rather"
    r"|instead|unlike|either|or|other\s+annotators?|others|some(?:body|one|\s+people)?|reader|example|rules?|defined|means|only"
    r"|nicht|kein\w*|vielleicht|könnte|wenn|oder|pas|peut-être|pourrait|si|ou|quizás?|podría|forse|potrebbe|non|não|talvez)\b"
    r"|不|吗|也许|可能|如果|或",
    re.IGNORECASE,
)
_THINKS_ON = re.compile(
    r"^\W*(?:but|wait|hold\s+on|however|actually|hmm+|although|though|then\s+again|on\s+second\s+thought|on\s+the\s+other\s+hand|no\b|yet"
    r"|aber|warte|doch|jedoch|allerdings|mais|attends|cependant|pero|espera|ma|però|aspetta|mas|porém)\b|^\W*(?:但|不过|等等|等一下)",
    re.IGNORECASE,
)
# "Credit card fraud" and "a credit card company" are something else than the label.
_COMPOUND = re.compile(
    r" (?!(?:and|as|because|but|by|for|given|here|in|is|it|label|on|rather|since|so|that|the|this|to|too|weil|which|with)\b)[a-z]"
)


def concluded_label(thought: str, labels: Sequence[str]) -> str | None:
    """The one label that the thought settles on; None where it does not say so plainly.

    Args:
        thought: the text.
        labels: the taxonomy.
    """
    pattern, names = _naming(tuple(labels))
    verdict: str | None = None
    for sentence in _SENTENCE.split(thought):
        mentions = list(pattern.finditer(sentence))
        named = {names[_fold(mention[1])] for mention in mentions}
        # A label may hold a doubtful word itself: "lost or stolen card".
        doubtful = _HEDGE.search(pattern.sub("…", sentence)) is not None
        part_of_more = any(_COMPOUND.match(sentence, mention.end()) for mention in mentions)
        plain = len(named) == 1 and not doubtful and not part_of_more
        if plain and _CONCLUDES.search(sentence):
            (verdict,) = named
        elif _THINKS_ON.search(sentence) or named - {verdict} or (named and doubtful):
            verdict = None
    return verdict


@cache
def _naming(labels: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    names = {_fold(label): label for label in labels}
    longest = sorted(names, key=len, reverse=True)
    words = (r"[\s_-]+".join(map(re.escape, name.split())) for name in longest)
    # Chinese has no spaces between words, so a label may touch its signs.
    edge = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
    return re.compile(rf"(?<!{edge})({'|'.join(words)})s?(?!{edge})", re.IGNORECASE), names


def _fold(label: str) -> str:
    return " ".join(re.split(r"[\s_-]+", label.casefold().strip()))
