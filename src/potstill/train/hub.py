"""The model hub: whether it gives what a task names, and fetching that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from potstill.errors import MissingExtraError, TrainingError

_TIMEOUT_S = 10.0


def is_hub_id(name: str) -> bool:
    """Whether a name is neither a folder that there is, nor a path to one that there is not."""
    outside = "/" in name and not name.startswith((".", "/", "~"))
    return outside and not Path(name).expanduser().is_dir()


def ask_hub(name: str) -> None:
    """Ask the hub for a repository that its cache does not hold; nothing is downloaded.

    Raises:
        TrainingError: it gives none of this name, or cannot be reached.
        MissingExtraError: its client is not installed.
    """
    try:
        from huggingface_hub import HfApi, try_to_load_from_cache
    except ImportError as error:
        raise MissingExtraError("transformers", "train") from error
    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            HfApi().model_info(name, timeout=_TIMEOUT_S)
    except Exception as error:  # the hub client raises many kinds; all mean "not here"
        raise TrainingError(
            f"the hub does not give {name!r} ({type(error).__name__}).",
            hint="Check the name and the network.",
        ) from error


def fetch(name: str, wanted: Sequence[str]) -> Path:
    """A snapshot of a repository, downloaded or from the hub's own cache.

    Args:
        name: ``owner/model``.
        wanted: patterns of the files that are needed.

    Raises:
        TrainingError: the hub does not give it.
        MissingExtraError: its client is not installed.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtraError("transformers", "train") from error
    try:
        return Path(snapshot_download(name, allow_patterns=list(wanted)))
    except Exception as error:  # the hub client raises many kinds; all mean "not here"
        raise TrainingError(
            f"the base {name!r} could not be fetched from the hub ({type(error).__name__}).",
            hint="Check the name and the network, or use minilm-l6 (to write, smollm2-135m), "
            "which installs as a package.",
        ) from error
