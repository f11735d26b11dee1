"""The frame that dot plots share: names at the left, marks in the middle, figures at the right."""

from __future__ import annotations

from markupsafe import Markup

from potstill.evaluate.svg import Drawing, shorten

WIDTH = 508.0
TOP = 12.0

_NAMES = 222.0
_VALUES = 58.0
_ROW = 34.0
_AXIS = 42.0


class DotPlot:
    """A row for each name, on one axis.

    Args:
        slug: unique on the page.
        title: what the figure is.
        description: what it shows, for a screen reader.
        count: number of rows.
        names: room for the names at the left, in user units.
        values: room for the figures at the right.
    """

    def __init__(
        self,
        slug: str,
        *,
        title: str,
        description: str,
        count: int,
        names: float = _NAMES,
        values: float = _VALUES,
    ) -> None:
        self.left = names
        self.span = WIDTH - names - values - 14
        self.depth = count * _ROW
        self.board = Drawing(
            slug,
            title=title,
            description=description,
            width=WIDTH,
            height=TOP + self.depth + _AXIS,
        )

    def tick(self, x: float, text: str) -> None:
        """A vertical line, and what it stands for."""
        self.board.line(x, TOP, x, TOP + self.depth, "grid")
        if text:
            self.board.text(x, TOP + self.depth + 16, text, anchor="middle")

    def caption(self, text: str) -> None:
        """What the axis measures."""
        middle = self.left + self.span / 2
        self.board.text(middle, TOP + self.depth + 36, text, "caption", anchor="middle")

    def name(self, index: int, role: str, name: str, figure: str) -> None:
        """The name of a row, and its figure."""
        y = self._middle(index) + 4
        short = shorten(name, self.left - 8, 12.5)
        self.board.text(self.left - 14, y, short, f"name {role}", anchor="end", tip=name)
        self.board.text(WIDTH - 4, y, figure, f"figure {role}", anchor="end")

    def beyond(self, index: int, role: str, tip: str) -> None:
        """An arrow at the left edge: the figure lies below the axis."""
        x, y = self.left, self._middle(index)
        self.board.polygon(((x - 4, y), (x + 6, y - 5), (x + 6, y + 5)), f"mark {role}", tip=tip)

    def band(self, index: int) -> None:
        """A tint behind a row that stands out."""
        y = TOP + index * _ROW
        self.board.box(0, y, WIDTH, _ROW, "band")

    def whisker(
        self, index: int, role: str, low: float, middle: float, high: float, tip: str
    ) -> None:
        """A mark and its interval; the shape tells the role as well as colour does."""
        y = self._middle(index)
        self.board.line(low, y, high, y, f"whisker {role}")
        self.mark(index, role, middle, tip)

    def mark(self, index: int, role: str, x: float, tip: str) -> None:
        """A mark alone."""
        y = self._middle(index)
        if role == "teacher":
            self.board.diamond(x, y, 6.5, "mark teacher", tip=tip)
        else:
            self.board.disc(x, y, 5.5, f"mark {role}", tip=tip)

    def markup(self) -> Markup:
        """The finished figure."""
        return self.board.markup()

    def _middle(self, index: int) -> float:
        return TOP + (index + 0.5) * _ROW
