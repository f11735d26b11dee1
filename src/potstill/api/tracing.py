"""`trace`: where what a model learned came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from potstill.errors import ModelError
from potstill.runtime.finding import find_model


def trace(path: Path | str) -> dict[str, Any]:
    """Where what a model learned came from: the shares of each source.

    Args:
        path: a model folder or a run folder.

    Raises:
        ModelError: there is no lineage there.
    """
    file = find_model(Path(path)) / "lineage.json"
    if not file.is_file():
        raise ModelError("lineage.json is missing.", where=str(file.parent))
    try:
        lineage = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ModelError(f"damaged: {error}.", where=str(file)) from error
    if not isinstance(lineage, dict) or not {"rows", "shares"} <= lineage.keys():
        raise ModelError("damaged: it names no sources.", where=str(file))
    return lineage
