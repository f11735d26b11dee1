"""The report of a recipe as one HTML file that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from potstill.evaluate import recipe_charts, recipe_words
from potstill.evaluate.render import environment
from potstill.evaluate.stability_words import NOTE


def recipe_html(report: Mapping[str, Any]) -> str:
    """The page, as one string.

    Args:
        report: the content of a recipe's ``report.json``.
    """
    return (
        environment()
        .get_template("recipe.html.j2")
        .render(report=report, words=recipe_words, charts=recipe_charts, note=NOTE)
    )
