"""Write a model folder: all of it or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from potstill.data.files import sha256_of, writing_folder
from potstill.runtime.folder import (
    CARD_FILE,
    GRAPH_FILE,
    LINEAGE_FILE,
    TOKENIZER_FILE,
    digest,
    seal,
)


def write_folder(
    folder: Path,
    *,
    document: Mapping[str, Any],
    graph: bytes,
    tokenizer: str,
    lineage: Mapping[str, Any],
    more: Mapping[str, Path] | None = None,
) -> float:
    """Write all files: they appear at their place together, or not at all.

    Args:
        folder: an older folder of this name is replaced.
        document: the content of ``model.json`` but for format, version and checksums.
        graph: the serialised ONNX graph.
        tokenizer: the content of ``tokenizer.json``.
        lineage: the content of ``lineage.json``.
        more: further files by their name in the folder, and where they lie now.

    Returns:
        The size of the folder in megabytes (a million bytes each).

    Raises:
        StorageError: the disk is full or may not be written.
    """
    files = {
        GRAPH_FILE: graph,
        TOKENIZER_FILE: tokenizer.encode(),
        LINEAGE_FILE: orjson.dumps(lineage, option=orjson.OPT_INDENT_2) + b"\n",
    }
    checksums: dict[str, Any] = {
        name: {"sha256": digest(content), "bytes": len(content)} for name, content in files.items()
    }
    for name, path in (more or {}).items():
        checksums[name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    files[CARD_FILE] = seal({**document, "files": checksums})
    with writing_folder(folder) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        for name, path in (more or {}).items():
            shutil.copyfile(path, partial / name)
    return (sum(one["bytes"] for one in checksums.values()) + len(files[CARD_FILE])) / 1e6
