"""Mathematics: numbers and lists read exactly here, symbols compared by math-verify elsewhere.

What is a number, with its unit or percent, is decided in microseconds with exact arithmetic; so
are lists, sets and tuples of numbers, and words. Only what is left goes to math-verify (a
wrapper around sympy), in a process that can be killed: its own limit works by signals, which do
nothing outside the main thread, and a power tower takes it longer than any training waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from potstill.verify.answers import Found, final_answer, first_sentence
from potstill.verify.base import Verdict
from potstill.verify.notation import fold, is_prose, is_words
from potstill.verify.numbers import last_number, read_number, same_number
from potstill.verify.shapes import Shape, shapes_of
from potstill.verify.workers import WorkerFault, Workers, shared_workers

MAX_ANSWER_SIGNS = 20_000
"""Signs of an answer that are read, from its end: there the final answer stands."""
MAX_FOUND_SIGNS = 1000
"""A final answer that is longer is none."""
_MAX_PARTS = 64
_MAX_DEPTH = 4

_TIME = re.compile(r"(\d{1,2}:\d{2}(?::\d{2})?)\s*([ap]\.?m\.?)?\Z", re.IGNORECASE)
_RATIO = re.compile(r"(\d+)\s*:\s*(\d+)\Z")
_BASE = re.compile(r"([0-9A-Z]+)_\{?(\d+)\}?\Z")
_ASSIGNED = re.compile(r"\s*(\\?[a-zA-Z]+(?:_\{?\w+\}?)?'?(?:\([a-z, ]+\))?)\s*=\s*([^=]+)\Z")
_BACKWARDS = re.compile(r"([^=]+?)\s*=\s*([a-zA-Z])\s*\Z")
_RELATION = re.compile(r"<|>|\\(?:le|ge|lt|gt|ne|in|cup|cap|setminus)(?![a-zA-Z])")
_A_SET = re.compile(r"[(\[{]|\\\{|\\mathbb|\\emptyset")
_EQUATION = re.compile(r"[^=]*(?:[a-zA-Z][^=()]*[-+*/^]|[-+*/^][^=()]*[a-zA-Z]|\d[a-zA-Z])[^=]*=")
_SYMBOLS = re.compile(r"[a-z]{1,2}|[xyzabc]{3}")
_TWO_SIGNS = re.compile(r"[+-]\s*[+-]")
_DIGITS_IN_A_ROW = re.compile(r"[+-]?\d+\??(?: \d+\??){2,}")
_BUILDER = re.compile(r"\\?\{\s*[a-z]\s*(?:\||:|\\mid)\s*(.*(?:<|>|\\[gln]e).*?)\\?\}\Z")
_POINT = re.compile(r"^\([a-z](?:,\s*[a-z])+\)\s*=\s*(?=\()")
_MODULO = re.compile(r"\s*\\pmod\s*\{[^{}]*\}\Z")
_OPTION = re.compile(r"\(?([A-Z])(?:\)[.:]?|[.:](?=\s)|(?=\Z))")
_REMARK = re.compile(r"(.*?\d\S*)\s+\((?![\d-])")
_STARTS_WITH_VALUE = re.compile(r"[^a-zA-Z]*(?:[a-z]\s*=\s*)?[-+$€£¥]?[\d\\.(]")
_FEW_WORDS = 4
_CONNECTIVE = re.compile(
    r"^(?:(?:so|thus|hence|therefore|then|now|finally|we\s+(?:get|have|find|obtain))\b,?\s*)+",
    re.IGNORECASE,
)
_TWO_FORMS = re.compile(r"(\S+)\s+\(([^()]+)\)\Z")
_NAMED = re.compile(r"^[a-zA-Z]\s*:\s*(?=[-+\d\\$])")
_BOTH = re.compile(r"^(?:both|they\s+are)\s+(?=\S+\s+and\b)", re.IGNORECASE)
_CODE = re.compile(r"__|\bimport\b|\blambda\b|\beval\b")


@dataclass(frozen=True)
class Mathematics:
    """Whether two answers are the same mathematically. ``wanted`` is the bare right answer.

    Attributes:
        timeout_s: seconds for one comparison of symbols.
        workers: the processes in which symbols are compared.
    """

    timeout_s: float = 5.0
    workers: Workers = field(default_factory=shared_workers)

    def __call__(self, answer: str, wanted: str, /) -> Verdict:
        """See `Verifier`."""
        gold = fold(wanted)
        found = self.extract(answer, gold)
        if not found:
            return Verdict(False, "no_answer")
        if len(found) > MAX_FOUND_SIGNS:
            return Verdict(False, "too_long", found[:80])
        try:
            right = self._same(found, gold)
        except WorkerFault as fault:
            return Verdict(None, fault.name, found)
        except (ArithmeticError, ValueError, RecursionError) as error:
            return Verdict(None, type(error).__name__, found)
        return Verdict(right, None, found)

    def extract(self, answer: str, gold: str) -> str:
        """The final answer, folded; empty where the text has none.

        Args:
            answer: all that stands behind the thought.
            gold: the right answer, folded, which tells whether words may be an answer.
        """
        worded = is_words(gold) and read_number(gold) is None and len(gold.strip("(). ")) > 1
        found = final_answer(answer[-MAX_ANSWER_SIGNS:], words=worded)
        text = fold(found.text)
        return text if found.place == "box" or worded else value_in(text, found)

    def _same(self, found: str, gold: str, depth: int = 0) -> bool:
        found, gold = _unbuilt(found), _unbuilt(gold)
        if found == gold:
            return not _is_tautology(found)
        if _is_tautology(found) or _TWO_SIGNS.match(found):
            return False
        if (known := _same_option(found, gold)) is not None:
            return known
        if (known := _same_in_words(found, gold)) is not None:
            return known
        if _RELATION.search(found + gold) and depth == 0:
            bare = [text for text in (found, gold) if not _RELATION.search(text)]
            # "> 5" is not 5: only a set can be what a relation says.
            return all(_A_SET.match(text) for text in bare) and self._symbolic(found, gold)
        return any(
            self._same_shape(one, other, depth)
            for one in shapes_of(found)
            for other in shapes_of(gold)
        )

    def _same_shape(self, found: Shape, gold: Shape, depth: int) -> bool:
        if found.kind == "one" and gold.kind == "one":
            return self._same_value(found.parts[0], gold.parts[0])
        many = max(len(found.parts), len(gold.parts)) > _MAX_PARTS
        if "one" in (found.kind, gold.kind) or many or depth > _MAX_DEPTH:
            return False
        if {found.kind, gold.kind} & {"tuple", "square", "half_open"}:
            return self._same_in_order(found, gold, depth)
        names, others = _names_of(found), _names_of(gold)
        if len(names) > 1 and len(others) > 1:
            return names.keys() == others.keys() and all(
                self._same(names[name], others[name], depth + 1) for name in names
            )
        return self._covers(found, gold, depth) and self._covers(gold, found, depth)

    def _same_in_order(self, found: Shape, gold: Shape, depth: int) -> bool:
        """Brackets that are not written match any but those of a set; others their own."""
        kinds = {found.kind, gold.kind}
        if "set" in kinds or ("list" not in kinds and found.brackets != gold.brackets):
            return False
        pairs = zip(found.parts, gold.parts, strict=False)
        return len(found.parts) == len(gold.parts) and all(
            self._same(_right_side(a), _right_side(b), depth + 1) for a, b in pairs
        )

    def _covers(self, some: Shape, others: Shape, depth: int) -> bool:
        return all(
            any(self._same(_right_side(a), _right_side(b), depth + 1) for b in others.parts)
            for a in some.parts
        )

    def _same_value(self, found: str, gold: str) -> bool:
        if "=" not in gold and _EQUATION.match(re.sub(r"\\[a-zA-Z]+", "", found)):
            return False  # the right side of x + y = 12 is not what is asked for
        found, gold = _unassigned(found, gold)
        if found == gold:
            return True
        if (known := _same_in_words(found, gold)) is not None:
            return known
        number, other = read_number(found), read_number(gold)
        if number is not None and other is not None:
            return same_number(number, other)
        if (known := _same_special(found, gold)) is not None:
            return known
        return self._symbolic(found, gold)

    def _symbolic(self, found: str, gold: str) -> bool:
        if _CODE.search(found) or is_prose(found) != is_prose(gold):
            return False
        number = read_number(found) or read_number(gold)
        places, digits = (None, 0) if number is None else (number.places, number.digits)
        reply = self.workers.ask(
            "mathematics",
            {"answer": found, "wanted": gold, "places": places, "digits": digits},
            self.timeout_s,
        )
        return bool(reply)


def value_in(text: str, found: Found) -> str:
    """The value in a phrase: all of it where it is no prose, else the last number in it."""
    with_other = _TWO_FORMS.match(text)  # "0.375 (3/8)"
    if with_other and read_number(with_other[1]) and read_number(with_other[2]):
        text = with_other[1]
    text = _NAMED.sub("", text)
    text = _BOTH.sub("", _CONNECTIVE.sub("", text))
    if _DIGITS_IN_A_ROW.fullmatch(text) and read_number(text) is None:
        return ""  # without a comma they are no list and no number
    if found.place == "line" and not _is_value(text) and ". " not in text:
        text = fold(first_sentence(text))
    if _is_value(text):
        return _last_side(text)
    if found.place == "line" or _STARTS_WITH_VALUE.match(text):
        return _before_remark(text, found) or last_number(text)
    return text if len(text.split()) <= _FEW_WORDS else ""


def _before_remark(text: str, found: Found) -> str:
    """The number with which a phrase begins, where only a remark follows; empty without one."""
    if found.place == "line":
        return ""
    head, comma, _ = text.partition(", ")  # "42, so yes"
    with_remark = _REMARK.match(text)  # "4 (graded correct)"
    for candidate in (head if comma else "", with_remark[1] if with_remark else ""):
        if read_number(candidate) is not None:
            return candidate
    return ""


def _is_value(text: str) -> bool:
    return not is_prose(text) or read_number(text) is not None


def _last_side(text: str) -> str:
    """The end of a chain of equations that starts with a sum: "6 * 7 = 42" says 42."""
    left, _, right = text.rpartition("=")
    chained = left.strip() and not re.search(r"[a-zA-Z<>\\]", left) and "," not in text
    if chained and re.search(r"\d", right) and left.strip() != right.strip():
        return right.strip()
    return text.lstrip("= ")


def _unbuilt(text: str) -> str:
    """Without what says only how to read it: ``{x | …}``, ``(x, y) = …``, ``… (mod 12)``."""
    built = _BUILDER.match(text)
    text = built[1].strip() if built else text
    return _MODULO.sub("", _POINT.sub("", text))


def _same_option(found: str, gold: str) -> bool | None:
    """Compare options of a choice, where an option is what is wanted."""
    option, chosen = _OPTION.fullmatch(gold), _OPTION.match(found)
    if option is None or chosen is None or found.isalnum():
        return None
    return option[1] == chosen[1]


def _names_of(shape: Shape) -> dict[str, str]:
    """Name to value, where every part of a list is given a name of its own."""
    pairs = [_ASSIGNED.match(part) for part in shape.parts]
    named = {pair[1]: pair[2].strip() for pair in pairs if pair}
    return named if len(named) == len(pairs) else {}


def _is_tautology(text: str) -> bool:
    left, sign, right = text.partition("=")
    return bool(sign) and left.strip() == right.strip()


def _right_side(text: str) -> str:
    found = _ASSIGNED.match(text)
    return found[2].strip() if found else text


def _unassigned(found: str, gold: str) -> tuple[str, str]:
    """Without "x =" where only one side has it, or both the same."""
    left, right = _sides(found), _sides(gold)
    if left and right:
        return (left[1], right[1]) if left[0] == right[0] else (found, gold)
    if left and "=" not in gold:
        return left[1], gold
    return (found, right[1]) if right and "=" not in found else (found, gold)


def _sides(text: str) -> tuple[str, str] | None:
    if (found := _ASSIGNED.match(text)) is not None:
        return found[1], found[2].strip()
    if (found := _BACKWARDS.match(text)) is not None and not re.search("[a-zA-Z]", found[1]):
        return found[2], found[1].strip()
    return None


def _same_in_words(found: str, gold: str) -> bool | None:
    """Whether two answers in words are the same; None where one of them is none.

    Symbols are told from words by length: sympy would take "listen" for a product of letters,
    which equals "silent".
    """
    number, other = read_number(found), read_number(gold)
    if number is not None or other is not None or not (is_words(found) or is_words(gold)):
        return None
    one, two = (text.strip("().,!?'\" ") for text in (found, gold))
    if one == two or (len(one) > 1 and one.casefold() == two.casefold()):
        return True
    infinite = {"infinity": r"\infty", "inf": r"\infty", "oo": r"\infty"}
    if infinite.get(one.lower(), one) == infinite.get(two.lower(), two):
        return True
    if _SYMBOLS.fullmatch(one) and _SYMBOLS.fullmatch(two):
        return None if len(one) > 1 or len(two) > 1 else False
    if is_words(found) and is_words(gold):
        return False
    # A word against a formula: only names that sympy knows can be equal to one.
    word = one if is_words(found) else two
    return None if _SYMBOLS.fullmatch(word) or word.lower() in ("pi", "inf", "infinity") else False


def _same_special(found: str, gold: str) -> bool | None:
    time, wanted_time = _TIME.match(found), _TIME.match(gold)
    if time and wanted_time:
        halves = [(half[2] or "").lower().replace(".", "") for half in (time, wanted_time)]
        same = time[1].lstrip("0") == wanted_time[1].lstrip("0")
        return same and (halves[0] == halves[1] or "" in halves)
    ratio, other = _RATIO.match(found), _RATIO.match(gold)
    if ratio and other:
        return int(ratio[1]) * int(other[2]) == int(ratio[2]) * int(other[1])
    base, wanted = _BASE.match(found), _BASE.match(gold)
    if base and wanted:
        return base.groups() == wanted.groups()
    if wanted:
        return found == wanted[1]
    return None
