"""`evaluate --against`: what has changed in production, and what to label next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from potstill.api.loading import must_exist
from potstill.errors import ModelError
from potstill.runtime.finding import find_model
from potstill.runtime.folder import read_card

if TYPE_CHECKING:
    from potstill.evaluate.watch import Watch


def watch(
    model: Path | str,
    against: Path | str,
    *,
    picks: Path | None = None,
    most: int = 100,
    alpha: float = 0.05,
) -> Watch:
    """Test what a server kept for drift, and estimate how right the model still is.

    Args:
        model: a model folder, a run folder, or the folder of a task's runs.
        against: the folder that ``potstill serve --record`` was given.
        picks: a file that receives the rows whose label would teach most, as rows that
            ``data.unlabeled`` of a task reads.
        most: rows picked at most.
        alpha: probability of a false alarm, however often one looks.

    Raises:
        ModelError: there is no model, or it remembers no development rows.
        DataError: nothing was kept of this model, or, for picks, no text.
    """
    from potstill.data.files import write_jsonl
    from potstill.data.production import read_kept
    from potstill.evaluate.picks import pick
    from potstill.evaluate.watch import watch as test
    from potstill.runtime.reference import Reference

    must_exist(Path(model))
    if Path(model).is_file():
        raise ModelError(
            "what a server kept is compared with what one model remembers.",
            where=str(model),
            hint="Name the folder of one of the workflow's models, served by itself.",
        )
    folder = find_model(Path(model))
    card = read_card(folder)
    if card.kind not in ("classification", "multilabel"):
        raise ModelError(
            f"what a model of the type {card.kind!r} meets in production is not watched.",
            where=str(folder),
            hint="Judge it on rows with a person's answer: potstill evaluate MODEL --data GOLD.",
        )
    remembered = card.document.get("reference")
    if remembered is None:
        raise ModelError(
            "the model remembers no development rows to compare with.",
            where=str(folder),
            hint="It was made by an older version: run its task again.",
        )
    found = test(
        read_kept(Path(against), card.name),
        Reference.from_json(remembered),
        version=card.document["checksum"][:12],
        alpha=alpha,
    )
    if picks is not None:
        columns = card.document["task"].get("columns") or {}
        column = columns.get("input", "text")
        rows = pick(read_kept(Path(against), card.name), most)
        write_jsonl(picks, (row.row(column if isinstance(column, str) else "text") for row in rows))
    return found
