"""A small drawing board for inline SVG: coordinates in, escaped markup out.

Colours are classes, not values, so that the page's style sheet decides them, for light, dark
and paper alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

# Width of a character in ems, for the widest of the system fonts that the page may meet.
_EM_PER_CHARACTER = 0.6


class Drawing:
    """One figure, with the title and description that a screen reader speaks.

    Args:
        slug: unique on the page; ids are made from it.
        title: what the figure is.
        description: what it shows, in a sentence.
        width: in user units; a unit is a CSS pixel at full size.
        height: likewise.
    """

    def __init__(
        self,
        slug: str,
        *,
        width: float,
        height: float,
        title: str = "",
        description: str = "",
    ) -> None:
        self._slug = slug
        self._title = title
        self._description = description
        self._width = width
        self._height = height
        self._parts: list[Markup] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self._add("line", kind, {"x1": x1, "y1": y1, "x2": x2, "y2": y2})

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        kind: str,
        *,
        opacity: float = 1.0,
        tip: str = "",
    ) -> None:
        """A rectangle."""
        shape = {"x": x, "y": y, "width": max(width, 0.0), "height": max(height, 0.0)}
        self._add("rect", kind, shape, tip=tip, opacity=opacity)

    def disc(self, x: float, y: float, radius: float, kind: str, *, tip: str = "") -> None:
        """A circle."""
        self._add("circle", kind, {"cx": x, "cy": y, "r": radius}, tip=tip)

    def diamond(self, x: float, y: float, radius: float, kind: str, *, tip: str = "") -> None:
        """A square on its tip."""
        points = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
        self.polygon(points, kind, tip=tip)

    def polygon(self, points: Sequence[tuple[float, float]], kind: str, *, tip: str = "") -> None:
        """A closed shape."""
        self._add("polygon", kind, {"points": _points(points)}, tip=tip)

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        self._add("polyline", kind, {"points": _points(points)})

    def text(
        self,
        x: float,
        y: float,
        content: str,
        kind: str = "tick",
        *,
        anchor: str = "start",
        turn: float = 0.0,
        tip: str = "",
    ) -> None:
        """A word or two, turned around its own anchor."""
        place: dict[str, float | str] = {"x": x, "y": y, "text-anchor": anchor}
        if turn:
            place["transform"] = f"rotate({turn:g} {x:.1f} {y:.1f})"
        self._add("text", kind, place, content=content, tip=tip)

    def markup(self) -> Markup:
        """The finished figure; without a title it is decoration, which readers skip."""
        spoken = Markup('aria-hidden="true">')
        if self._title:
            spoken = Markup(
                'role="img" aria-labelledby="{0}-t {0}-d"><title id="{0}-t">{1}</title>'
                '<desc id="{0}-d">{2}</desc>'
            ).format(self._slug, self._title, self._description)
        size = f"{self._width:.0f}", f"{self._height:.0f}"
        opening = Markup('<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" ').format(*size)
        return opening + spoken + Markup("").join(self._parts) + Markup("</svg>")

    def _add(
        self,
        element: str,
        kind: str,
        attributes: Mapping[str, float | str],
        *,
        content: str = "",
        tip: str = "",
        opacity: float = 1.0,
    ) -> None:
        named: dict[str, float | str] = {"class": kind, **attributes}
        if opacity < 1.0:
            named["fill-opacity"] = f"{opacity:.2f}"
        written = Markup("").join(
            Markup(' {}="{}"').format(key, _number(value)) for key, value in named.items()
        )
        inner = escape(content) + (Markup("<title>{}</title>").format(tip) if tip else "")
        self._parts.append(Markup(f"<{element}{written}>{inner}</{element}>"))


def shorten(text: str, width: float, size: float = 12.0) -> str:
    """Cut a text to about `width` user units at a font size, with an ellipsis."""
    fits = max(3, int(width / (size * _EM_PER_CHARACTER)))
    return text if len(text) <= fits else text[: fits - 1].rstrip() + "…"


def text_width(text: str, size: float = 12.0) -> float:
    """About how wide a text is, in user units."""
    return len(text) * size * _EM_PER_CHARACTER


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * unit for unit in (1, 2, 5, 10) if span / (power * unit) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
