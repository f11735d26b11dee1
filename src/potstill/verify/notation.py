r"""One way of writing for the many that mathematics has: digits, signs and LaTeX of all kinds.

``fold`` takes ``１２``, ``٤٢``, ``−5``, ``½``, ``2³``, ``$\dfrac{1}{2}$`` and ``1{,}234`` to what
the readers of numbers and lists understand. It changes how a thing is written, never its value.
"""
# ruff: noqa: RUF001, RUF002 - the signs that are folded are meant

from __future__ import annotations

import re
import unicodedata

_SIGNS = {
    **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\u2015\ufe63\ufe58\uff0d", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u00ad", ""),
    **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2006\u2005\u2002\u2003\u3000\t", " "),
    **dict.fromkeys("×✕⨯∗·⋅∙", "*"),
    **dict.fromkeys("％٪﹪", "%"),
    "÷": "/", "⁄": "/", "∕": "/", "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ",
    "≠": r"\ne ", "∞": r"\infty ", "π": r"\pi ", "∅": r"\emptyset ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ", "′": "'",
    "‘": "'", "’": "'", "“": '"', "”": '"', "，": ",", "；": ";", "：": ":", "٫": ".", "٬": ",",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "θ": r"\theta ", "λ": r"\lambda ",
    "μ": r"\mu ", "φ": r"\phi ", "ω": r"\omega ", "…": "...", "≈": "= ",
}  # fmt: skip
_SIGN = re.compile("[" + "".join(map(re.escape, _SIGNS)) + "]")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_LOWERED_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_ROOT = re.compile(r"√\s*(\d+(?:\.\d+)?|[a-zA-Z]|\([^()]*\)|\{[^{}]*\})")
_WRAPS = (
    ("$$", "$$"),
    ("$", "$"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
    ("`", "`"),
    ("_", "_"),
    ('"', '"'),
)
_SPACING = re.compile(
    r"(?<!\\)\\[,;:! ]|~|\\(?:q?quad|left|right|big|Big|bigg|Bigg|displaystyle|textstyle|limits)(?![a-zA-Z])"
)
# Text in LaTeX becomes text, between spaces, so that it does not grow together with a number.
_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname|textnormal|rm|bf)\s*\{([^{}]*)\}"
)
_FUNCTIONS = frozenset(
    ["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "log", "ln", "lg", "exp", "max", "min", "gcd", "lcm", "det", "mod", "sqrt", "lim", "arg", "deg", "dim", "ker", "Re", "Im", "tr", "rank", "binom", "frac", "pi", "infty"]
)  # fmt: skip
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{[a-z]+\*?\}")
_ARROW = re.compile(r"^(?:=>|->|[→⇒⟹∴]|\\(?:to|[rR]ightarrow|implies|therefore)(?![a-zA-Z]))\s*")
_OVER = re.compile(
    r"(?:^|(?<=\{))([^{}]*(?:\{[^{}]*\}[^{}]*)*?)\s*\\over(?![a-z])\s*([^{}]*)(?:$|(?=\}))"
)
_ALL_REALS = re.compile(r"ℝ|(?<!\\)\ball\s+real(?:\s+numbers?|s)\b", re.IGNORECASE)
_WORD = re.compile(r"(?<![\\a-zA-Z])(?:[a-zA-Z]{3,}|(?:so|we|is|it|if|of)(?![a-zA-Z]))")
_JOINING = frozenset(("and", "or", "inf", "infinity", "union"))


def fold(text: str) -> str:
    """One way of writing; see the module."""
    text = _VULGAR.sub(_vulgar, text)
    text = _RAISED_RUN.sub(lambda run: "^{" + run[0].translate(_RAISED) + "}", text)
    text = _LOWERED_RUN.sub(lambda run: "_{" + run[0].translate(_LOWERED) + "}", text)
    text = _SIGN.sub(lambda sign: _SIGNS[sign[0]], text)
    text = "".join(_plain(sign) for sign in text) if not text.isascii() else text
    text = _ROOT.sub(lambda root: r"\sqrt{" + root[1].strip("(){}") + "}", text)
    text = unwrapped(text)
    text = re.sub(r"\{,\}|,\\!", ",", text)
    text = re.sub(r"(?<=\d)\\[,! ](?=\d{3}(?!\d))", ",", text)
    text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    text = _SPACING.sub(" ", text)
    text = _TEXT.sub(lambda said: " " + said[1] + " ", text)
    text = re.sub(r"\\([%$#&])", r"\1", text)
    text = text.replace(r"^{\circ}", r"^\circ").replace(r"\degree", r"^\circ")
    text = (
        text.replace(r"\varnothing", r"\emptyset").replace(r"\leq", r"\le").replace(r"\geq", r"\ge")
    )
    text = re.sub(r"\\(?:ldots|dots|cdots)(?![a-zA-Z])", "...", text)
    text = re.sub(r"\\approx(?![a-zA-Z])", "=", text)
    text = re.sub(r"\\(ne|le|ge)q(?![a-zA-Z])", r"\\\1", _ARROW.sub("", text.strip()))
    text = _OVER.sub(r"\\frac{\1}{\2}", text)
    text = _ALL_REALS.sub(r"\\mathbb{R}", text)
    return " ".join(text.split()).rstrip(",; \\")


def unwrapped(text: str) -> str:
    """Without dollars, brackets of LaTeX, quotation marks or asterisks all around it."""
    text = text.strip()
    while True:
        inner = text.strip("*").strip()
        for opening, closing in _WRAPS:
            size = len(opening)
            framed = inner.startswith(opening) and inner.endswith(closing)
            if framed and len(inner) >= 2 * size:
                body = inner[size : -size or None]
                if opening not in body and closing not in body:
                    inner = body.strip()
        if inner == text:
            return text
        text = inner


def is_prose(text: str) -> bool:
    """Whether folded text holds words that are no names of functions."""
    text = _ENVIRONMENT.sub("", text)
    return any(
        word not in _FUNCTIONS and word.lower() not in _JOINING for word in _WORD.findall(text)
    )


def is_words(text: str) -> bool:
    """Whether folded text is nothing but words: letters, spaces and what joins them."""
    bare = text.strip("().,!?'\" ")
    if "-" in bare and any(len(word) == 1 for word in re.split(r"\W+", bare)):
        return False  # p - q
    return bool(bare) and re.fullmatch(r"[^\W\d_]+(?:[ '.,-]+[^\W\d_]+)*", bare) is not None


def _plain(sign: str) -> str:
    if sign.isascii():
        return sign
    if unicodedata.category(sign) == "Nd":
        return str(unicodedata.decimal(sign))
    if unicodedata.category(sign) == "So":  # a tick, a pointing hand
        return ""
    if "\uff01" <= sign <= "\uff5e":  # the full width forms of ASCII
        return chr(ord(sign) - 0xFEE0)
    return sign


def _vulgar(found: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", found[0]).partition("\u2044")
    return f" {over}/{under}"
