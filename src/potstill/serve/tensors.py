"""Tensors of the Open Inference Protocol v2: JSON, and the binary extension of Triton's clients.

A request's body may be JSON followed by raw tensors; the header
``Inference-Header-Content-Length`` then says where the JSON ends. A text is an element of type
BYTES: in JSON a string, in binary four bytes of length, little-endian, and its UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import numpy as np

from potstill.serve.refusal import Refusal

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One output: texts, or numbers.

    Attributes:
        name: its name.
        shape: its shape.
        data: texts for BYTES, otherwise floats, flat.
    """

    name: str
    shape: tuple[int, ...]
    data: Sequence[str] | Sequence[float]

    @property
    def datatype(self) -> str:
        """``BYTES`` or ``FP32``."""
        return datatype_of(self.name)

    def to_json(self) -> dict[str, Any]:
        """The output, its data as JSON."""
        return {**self._head(), "data": list(self.data)}

    def to_binary(self) -> tuple[dict[str, Any], bytes]:
        """The output without its data, and the data."""
        if self.datatype == "FP32":
            content = np.asarray(self.data, dtype="<f4").tobytes()
        else:
            content = pack_texts(map(str, self.data))
        return {**self._head(), "parameters": {"binary_data_size": len(content)}}, content

    def _head(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def datatype_of(output: str) -> str:
    """``FP32`` of what is numbers, ``BYTES`` of everything else."""
    return "FP32" if output in ("confidence", "scores") else "BYTES"


def read_texts(tensor: dict[str, Any], binary: memoryview) -> tuple[list[Any], int]:
    """The elements of one input tensor, and how much of the binary part it took.

    Args:
        tensor: as it stands in the request's ``inputs``.
        binary: what is left of the binary part.

    Raises:
        Refusal: not of BYTES, or its data is not what its shape says (422).
    """
    name = tensor.get("name")
    if tensor.get("datatype") != "BYTES":
        raise _wrong(f"the input {name!r} has no datatype BYTES.", "Send texts as BYTES.")
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise _wrong(f"the input {name!r} has no shape.", "Send a shape such as [1].")
    if len(shape) not in (1, 2) or prod(shape[1:]) != 1:
        raise _wrong(
            f"the input {name!r} has the shape {shape}.",
            "Send one text a row: a shape of [n] or [n, 1].",
        )
    size = parameters_of(tensor).get("binary_data_size")
    if size is None:
        texts, taken = _flat(tensor.get("data")), 0
    elif type(size) is int and 0 <= size <= len(binary):
        texts, taken = _unpack_texts(binary[:size], name), size
    else:
        raise _wrong(f"the input {name!r} has less binary data than it says.", _RESEND)
    if len(texts) != shape[0]:
        raise _wrong(
            f"the input {name!r} has {len(texts)} elements and the shape {shape}.",
            "Send as many elements as the shape says.",
        )
    return texts, taken


def parameters_of(item: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a request or a tensor.

    Raises:
        Refusal: they are no object (422).
    """
    found = item.get("parameters", {})
    if not isinstance(found, dict):
        raise _wrong("'parameters' is not an object.", "Send an object, or leave it out.")
    return cast("dict[str, Any]", found)


def pack_texts(texts: Iterable[str]) -> bytes:
    """Texts as elements of a binary BYTES tensor."""
    parts: list[bytes] = []
    for text in texts:
        content = text.encode()
        parts += [_LENGTH.pack(len(content)), content]
    return b"".join(parts)


def _unpack_texts(binary: memoryview, name: object) -> list[str]:
    texts: list[str] = []
    at = 0
    try:
        while at < len(binary):
            [length] = _LENGTH.unpack_from(binary, at)
            at += _LENGTH.size + length
            if at > len(binary):
                raise ValueError
            texts.append(str(binary[at - length : at], "utf-8"))
    except (struct.error, ValueError) as error:
        raise _wrong(
            f"the binary data of the input {name!r} is not UTF-8 texts.", _RESEND
        ) from error
    return texts


def _flat(data: Any) -> list[Any]:
    """Elements of a JSON tensor of shape [n] or [n, 1]."""
    if not isinstance(data, list):
        return []
    return [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]


_RESEND = "Send each text as its length in four bytes, little-endian, and its UTF-8."


def _wrong(message: str, hint: str) -> Refusal:
    return Refusal(422, "bad_tensor", message, hint=hint)
