"""Where a model folder is, given what a person calls it."""

from __future__ import annotations

from pathlib import Path

from potstill.errors import ModelError
from potstill.runtime.folder import CARD_FILE


def find_model(path: Path) -> Path:
    """The model folder at a path.

    Args:
        path: a model folder, a run folder, or the folder of a task's runs (its newest model).

    Raises:
        ModelError: there is none.
    """
    newest = sorted(path.glob("*/model"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in (path, path / "model", *newest):
        if (folder / CARD_FILE).is_file():
            return folder
    raise ModelError(
        f"not a model folder: {CARD_FILE} is missing.",
        where=str(path),
        hint="Make one with: potstill run TASK.yaml",
    )
