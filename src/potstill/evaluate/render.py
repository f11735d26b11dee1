"""`report.html`, `report.json` and `report.md` from a `Report`.

The HTML is one file that needs no network and no script.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from potstill.data.files import writing
from potstill.evaluate import charts, figures, teaching_charts, teaching_words, wording
from potstill.evaluate.calibration import CoveragePoint
from potstill.evaluate.frontier_chart import frontier_chart
from potstill.evaluate.markdown import markdown
from potstill.evaluate.metrics import Confusion, Evaluation, LabelScore
from potstill.evaluate.report import Report

_PAIRS_SHOWN = 20
_PAIRS_BESIDE_HEAT_MAP = 8
_LABELS_OPEN = 25
_LABELS_SIDE_BY_SIDE = 8


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.html` and `report.md`, each whole or not at all.

    Args:
        report: what to write.
        folder: made where it does not exist; files of these names are replaced.

    Raises:
        StorageError: the folder cannot be written.
    """
    pages = {
        "report.json": orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2) + b"\n",
        "report.html": html(report).encode("utf-8", "replace"),
        "report.md": markdown(report).encode("utf-8", "replace"),
    }
    for name, content in pages.items():
        with writing(folder / name) as stream:
            stream.write(content)


def html(report: Report) -> str:
    """The page, as one string."""
    evaluation = report.student.evaluation
    numbers = figures.Numbers(evaluation.n)
    heat_map = bool(evaluation.confusion) and evaluation.kind == "classification"
    heat_map = heat_map and len(evaluation.labels) <= charts.HEAT_MAP_LABELS
    metric = wording.METRIC_NAMES[evaluation.primary]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            evaluation=evaluation,
            numbers=numbers,
            headline=_unbroken(wording.headline(report)),
            verdicts=wording.verdicts(report),
            metrics=wording.shown_metrics(evaluation),
            metric=metric,
            timed=[entry for entry in report.entries if entry.latency is not None],
            labels=_label_rows(evaluation),
            thresholds=any(score.threshold is not None for score in evaluation.per_label),
            labels_open=len(evaluation.labels) <= _LABELS_OPEN,
            heat_map=heat_map,
            side_by_side=heat_map and len(evaluation.labels) <= _LABELS_SIDE_BY_SIDE,
            pairs=_confused_pairs(evaluation, _PAIRS_BESIDE_HEAT_MAP if heat_map else _PAIRS_SHOWN),
            coverage_rows=_coverage_rows(evaluation),
            charts=charts,
            frontier_chart=frontier_chart,
            words=wording,
            teaching_charts=teaching_charts,
            told=teaching_words,
            figures=figures,
        )
    )


def _confused_pairs(evaluation: Evaluation, most: int) -> list[Confusion]:
    """The errors that occur most, most frequent first."""
    errors = [pair for pair in evaluation.confusion if pair.gold != pair.predicted]
    return errors[:most]


def _breakable(name: str) -> Markup:
    """A label that may go on in a new line after its underscores and slashes."""
    return escape(name).replace("_", Markup("_<wbr>")).replace("/", Markup("/<wbr>"))


def _unbroken(headline: str) -> Markup:
    """The headline, with a name of ours that must not be broken at its hyphen."""
    return escape(headline).replace("TF-IDF", Markup('<span class="whole">TF-IDF</span>'))


def _coverage_rows(evaluation: Evaluation) -> list[CoveragePoint]:
    """Round shares of the curve, for a reader who must choose a threshold."""
    curve = evaluation.coverage
    if not curve:
        return []
    wanted = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    nearest = (min(curve, key=lambda point: abs(point.coverage - share)) for share in wanted)
    return list({point.n: point for point in nearest}.values())


def _label_rows(evaluation: Evaluation) -> list[LabelScore]:
    """In the task's order while one can overlook them, otherwise the weakest first."""
    scores = list(evaluation.per_label)
    if len(scores) > _LABELS_OPEN:
        scores.sort(key=lambda score: (score.support == 0, score.f1.value))
    return scores


@cache
def environment() -> Environment:
    """The templates of all reports, and how they write figures."""
    environment = Environment(
        loader=PackageLoader("potstill.evaluate", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ms=figures.milliseconds,
        usd=figures.dollars,
        rate=figures.exact_dollars,
        fact=figures.fact_text,
        figure=wording.figure_name,
        breakable=_breakable,
        key=figures.key_text,
        count=teaching_words.count_text,
        money=teaching_words.money_text,
        target=wording.target_text,
        p=figures.p_text,
    )
    return environment
