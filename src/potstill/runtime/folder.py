"""The model folder as a contract: which files, which format version, whole or damaged.

    model.onnx       the graph: token ids in, logits out
    tokenizer.json   text to token ids, its truncation included
    lineage.json     where everything that the model learned came from
    model.json       the rest: task, label order, decision, base, figures, checksums

A model may bring further files, such as the weights of a model that writes. ``model.json``
records the SHA-256 of all the others, and of itself: the digest of its own
bytes with the sixty-four digits of the digest written as zeros. So every byte is covered,
and nothing is loaded that was not checked: what was hashed in memory is what is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from potstill.data.files import sha256_of
from potstill.errors import ModelError
from potstill.runtime.decision import Decision

FORMAT = "potstill-model"
FORMAT_VERSION = 1

CARD_FILE = "model.json"
GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
LINEAGE_FILE = "lineage.json"
SEALED_FILES = (GRAPH_FILE, TOKENIZER_FILE, LINEAGE_FILE)

_BLANK = b"0" * 64
_CHECKSUM = re.compile(rb'"checksum": "([0-9a-f]{64})"')
_AGAIN = "Copy the folder again, or export the model again."


@dataclass(frozen=True, slots=True)
class Probe:
    """An input that was made of label names, and what the exported graph answered to it.

    Attributes:
        text: the input.
        scores: a probability for each label, in label order, on the machine of the export.
    """

    text: str
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What ``model.json`` says.

    Attributes:
        name: the task's name.
        kind: the task's type.
        document: everything, as it stands in the file.
    """

    name: str
    kind: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LabelCard(Card):
    """What ``model.json`` of a model that answers with labels says.

    Attributes:
        decision: label order, temperature, thresholds and deferral.
        probes: inputs with recorded scores, for `Model.self_check`.
    """

    decision: Decision
    probes: tuple[Probe, ...]

    @classmethod
    def of(cls, card: Card, path: Path) -> LabelCard:
        """Read the rest out of a card's document.

        Args:
            card: of a model folder.
            path: the folder, for the error.

        Raises:
            ModelError: something that such a model needs is not there.
        """
        with reading_card(path):
            probes = tuple(
                Probe(text=probe["text"], scores=tuple(probe["scores"]))
                for probe in card.document["probes"]
            )
            decision = Decision.from_json(card.document)
            return cls(card.name, card.kind, card.document, decision, probes)


@dataclass(frozen=True, slots=True)
class Contents:
    """A verified model folder.

    Attributes:
        card: what ``model.json`` says.
        graph: the bytes of ``model.onnx`` that were hashed.
        tokenizer: those of ``tokenizer.json``.
        paths: the further files, by name; they were hashed on disk and are not held.
    """

    card: Card
    graph: bytes
    tokenizer: bytes
    paths: Mapping[str, Path]


def read_folder(folder: Path) -> Contents:
    """Read a model folder and check every byte of it.

    Raises:
        ModelError: not a model folder, another format version, a file missing or damaged;
            the message names the file.
    """
    document = _read_document(folder)
    files: Any = document.get("files")
    if not isinstance(files, dict):
        raise _damaged(folder / CARD_FILE, "lists no files")
    checksums = cast("dict[str, Any]", files)
    contents = {name: _read_sealed(folder, name, checksums) for name in SEALED_FILES}
    more = [name for name in checksums if name not in SEALED_FILES]
    return Contents(
        card=_card(document, folder / CARD_FILE),
        graph=contents[GRAPH_FILE],
        tokenizer=contents[TOKENIZER_FILE],
        paths={name: _check_sealed(folder, name, checksums) for name in more},
    )


def read_card(folder: Path) -> Card:
    """What ``model.json`` says, checked by itself: the other files are not read.

    Raises:
        ModelError: not a model folder, another format version, or ``model.json`` is damaged.
    """
    return _card(_read_document(folder), folder / CARD_FILE)


def seal(document: Mapping[str, Any]) -> bytes:
    """The bytes of ``model.json``: format and version first, the checksum of it all last.

    Args:
        document: everything else that the file is to say, ``files`` included.
    """
    whole = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **document,
        "checksum": _BLANK.decode(),
    }
    blank = orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n"
    cut = blank.rindex(_BLANK)
    return blank[:cut] + digest(blank).encode() + blank[cut + len(_BLANK) :]


def digest(content: bytes) -> str:
    """The SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / CARD_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"this is not a model folder: it holds no readable {CARD_FILE}",
            where=str(folder),
            hint="Give the 'model' folder of a run, or export a model first.",
        ) from error
    try:
        parsed: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _damaged(path, "is not valid JSON") from error
    if not isinstance(parsed, dict):
        raise _damaged(path, "holds no JSON object")
    document = cast("dict[str, Any]", parsed)
    _check_version(path, document)
    found = list(_CHECKSUM.finditer(content))
    if not found:
        raise _damaged(path, "has no checksum")
    at = found[-1]
    blank = content[: at.start(1)] + _BLANK + content[at.end(1) :]
    if digest(blank) != at.group(1).decode():
        raise _damaged(path, "is damaged or was edited: its checksum does not match")
    return document


def _check_version(path: Path, document: Mapping[str, Any]) -> None:
    if document.get("format") != FORMAT:
        raise ModelError(
            f"{CARD_FILE} does not describe a Potstill model: its 'format' is "
            f"{document.get('format')!r}, not {FORMAT!r}.",
            where=str(path),
            hint="Give the 'model' folder of a run, or export a model first.",
        )
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{CARD_FILE} has format version {version!r}; this Potstill reads version "
            f"{FORMAT_VERSION}.",
            where=str(path),
            hint="Export the model again with this version, or install the one that wrote it.",
        )


def _read_sealed(folder: Path, name: str, files: Mapping[str, Any]) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(
            f"{name} is missing from the model folder.", where=str(path), hint=_AGAIN
        ) from error
    except OSError as error:
        raise ModelError(
            f"{name} cannot be read: {error.strerror}.", where=str(path), hint=_AGAIN
        ) from error
    if digest(content) != files.get(name, {}).get("sha256"):
        raise _damaged(path, f"is damaged: its SHA-256 is not the one in {CARD_FILE}")
    return content


def _check_sealed(folder: Path, name: str, files: Mapping[str, Any]) -> Path:
    """The path of a file that is too large to hold, after hashing it in pieces."""
    path = folder / name
    if Path(name).name != name:
        raise _damaged(folder / CARD_FILE, f"names the file {name!r} outside of the folder")
    try:
        found = sha256_of(path)
    except FileNotFoundError as error:
        raise ModelError(
            f"{name} is missing from the model folder.", where=str(path), hint=_AGAIN
        ) from error
    except OSError as error:
        raise ModelError(
            f"{name} cannot be read: {error.strerror}.", where=str(path), hint=_AGAIN
        ) from error
    if found != files[name]["sha256"]:
        raise _damaged(path, f"is damaged: its SHA-256 is not the one in {CARD_FILE}")
    return path


def _card(document: Mapping[str, Any], path: Path) -> Card:
    with reading_card(path):
        return Card(document["name"], document["type"], document)


@contextmanager
def reading_card(path: Path) -> Generator[None]:
    """Tell what ``model.json`` lacks as an error of the model.

    Raises:
        ModelError: what the block reads is not there, or not what it should be.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"lacks something that a model needs ({error!r})") from error


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path.name} {what}.", where=str(path), hint=_AGAIN)
