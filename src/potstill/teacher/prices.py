"""What a live teacher costs: the task's own price, the user's file, or the dated one here.

An unknown price stays unknown. Tokens are estimated here too, for plans and for reservations,
without a tokenizer: which one an endpoint uses, nobody outside knows.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from potstill.errors import SpecError, StorageError
from potstill.spec.base import Names, Spec
from potstill.spec.teacher import Endpoint, Price

_SHIPPED = "prices.toml"
_FREE = Price(input_usd_per_million=0.0, output_usd_per_million=0.0)
_PIECE = re.compile(r"[A-Za-z]+|[!-/:-@\[-`{-~]+|[0-9]|[^\s\x00-\x7f]|\s{2,}")
_LETTERS_A_TOKEN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price, and where it is from.

    Attributes:
        price: of a million tokens, the batch discount taken off where it applies.
        source: the task, or what the price file names.
        as_of: day of the figure; None where the task states it.
    """

    price: Price
    source: str
    as_of: date | None = None


class _Entry(Price):
    models: Names
    hosts: tuple[str, ...] = ()
    batch_discount: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    as_of: date
    source: str


class _PriceFile(Spec):
    price: tuple[_Entry, ...] = ()


def price_of(endpoint: Endpoint, *, file: Path | None = None) -> Price | None:
    """What a million tokens of a teacher cost; None where nobody said.

    Args:
        endpoint: the teacher.
        file: the user's price file, which goes before the one that ships.

    Raises:
        SpecError: the user's file is no price file.
        StorageError: it cannot be read.
    """
    quote = quote_for(endpoint, file=file)
    return None if quote is None else quote.price


def quote_for(endpoint: Endpoint, *, file: Path | None = None) -> Quote | None:
    """The price of a teacher with its source; see `price_of`."""
    model = endpoint.model or ""
    if model.startswith(("local:", "python:")):
        source = "runs in this process" if endpoint.price is None else "the task"
        return Quote(price=endpoint.price or _FREE, source=source)
    if endpoint.price is not None:
        # What a person writes down is what they pay, batch or not.
        return Quote(price=endpoint.price, source="the task")
    host = urlsplit(endpoint.base_url or "").hostname or ""
    for entries in (_entries(file) if file else (), _shipped()):
        for entry in entries:
            if _fits(entry, model, host):
                return _quoted(entry, batch=endpoint.batch)
    return None


def estimate_tokens(text: str) -> int:
    """The likely number of tokens of a text.

    Words count one token for every eight letters begun, runs of marks one, digits and
    characters outside ASCII one each. Beside the tokenizers of Qwen2.5 and SmolLM2 this is
    within a fifth for English prose and prompts; other languages and lists of made-up names
    may differ by half, to either side.
    """
    count = 0
    for piece in _PIECE.findall(text):
        count += math.ceil(len(piece) / _LETTERS_A_TOKEN) if piece[0].isalpha() else 1
    return count


def most_tokens(text: str) -> int:
    """A number of tokens that no tokenizer in use exceeds: one for each byte of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _fits(entry: _Entry, model: str, host: str) -> bool:
    named = any(fnmatchcase(model.lower(), pattern.lower()) for pattern in entry.models)
    return named and (not entry.hosts or host.lower() in entry.hosts)


def _quoted(entry: _Entry, *, batch: bool) -> Quote:
    share = 1.0 - entry.batch_discount if batch else 1.0
    cached = entry.cached_usd_per_million
    price = Price(
        input_usd_per_million=entry.input_usd_per_million * share,
        output_usd_per_million=entry.output_usd_per_million * share,
        cached_usd_per_million=None if cached is None else cached * share,
    )
    return Quote(price=price, source=entry.source, as_of=entry.as_of)


def _shipped() -> tuple[_Entry, ...]:
    text = files("potstill.teacher").joinpath(_SHIPPED).read_text(encoding="utf-8")
    return _PriceFile.model_validate(tomllib.loads(text)).price


def _entries(file: Path) -> tuple[_Entry, ...]:
    hint = "Take the file that ships with the package as a pattern: potstill/teacher/prices.toml."
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"the price file cannot be read ({error.strerror}).", where=str(file)
        ) from error
    except UnicodeDecodeError as error:
        raise SpecError("the price file is no text.", where=str(file), hint=hint) from error
    try:
        return _PriceFile.model_validate(tomllib.loads(text)).price
    except tomllib.TOMLDecodeError as error:
        raise SpecError(
            f"the price file is no TOML: {error}.", where=str(file), hint=hint
        ) from error
    except ValidationError as error:
        raise SpecError(_first_trouble(error), where=str(file), hint=hint) from error


def _first_trouble(error: ValidationError) -> str:
    trouble: Any = error.errors()[0]
    place = ".".join(str(step) for step in trouble["loc"])
    return f"{place}: {trouble['msg']}."
