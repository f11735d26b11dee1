"""What a server kept of its answers: one row of JSON each, in a file a day for each model.

    DIR/predictions/MODEL/2026-11-23.jsonl

The server writes these rows, `potstill evaluate --against DIR` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.data.example import (
    Input,
    Prediction,
    Target,
    Text,
    target_from_json,
    target_to_json,
)
from potstill.data.extraction import Extraction
from potstill.data.reading import BrokenRow, tolerant_jsonl_rows
from potstill.errors import DataError

_FOLDER = "predictions"


def kept_folder(folder: Path, model: str) -> Path:
    """Where the rows of one model lie in a folder of records."""
    return folder / _FOLDER / model


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One answered input, as far as its owner lets it be kept.

    Attributes:
        at: when it was answered, as an ISO time in UTC.
        request: the request's id.
        model: the name in the route.
        version: the model's version.
        id: a hash of the input, after the owner's rules have blanked what they blank.
        length: characters of the input.
        prediction: the model's own, without its scores, also where a fallback answered.
        by: who answered.
        fallback: what became of a deferred input; None where it was not deferred.
        answer: what a fallback answered instead; None where none did.
        ms: milliseconds from the request to the answer.
        cost_usd: what the answer cost beside the machine; None is unknown.
        input: the input itself; None where hashes alone are kept.
    """

    at: str
    request: str
    model: str
    version: str
    id: str
    length: int
    prediction: Prediction
    by: str
    fallback: str | None = None
    answer: Target | None = None
    ms: float
    cost_usd: float | None = 0.0
    input: Input | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for one line of JSON; what is None is left out, but an unknown cost."""
        prediction = self.prediction.to_json()
        prediction.pop("scores", None)
        row = {
            "at": self.at,
            "request": self.request,
            "model": self.model,
            "version": self.version,
            "id": self.id,
            "length": self.length,
            "input": self.input,
            "prediction": prediction,
            "by": self.by,
            "fallback": self.fallback,
            "answer": target_to_json(self.answer),
            "ms": round(self.ms, 3),
        }
        known = {key: value for key, value in row.items() if value is not None}
        return {**known, "cost_usd": self.cost_usd}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Kept:
        """The inverse of `to_json`.

        Raises:
            KeyError: something is missing.
            TypeError: something is there that does not belong.
        """
        known: dict[str, Any] = dict(row)
        known["prediction"] = _prediction_of(row["prediction"])
        known["answer"] = target_from_json(row.get("answer"))
        return cls(**known)


def read_kept(folder: Path, model: str) -> Iterator[Kept]:
    """The rows that a server kept for one model, oldest first.

    A line that was cut off, by a crash of the machine for instance, is passed over: whatever
    it held is lost, and the rows beside it are not.

    Args:
        folder: what ``potstill serve --record`` was given.
        model: the name in the route.

    Raises:
        DataError: nothing was kept for this model, or a row is none of ours.
    """
    days = sorted(kept_folder(folder, model).glob("*.jsonl"))
    if not days:
        raise _nothing_kept(folder, model)
    for day in days:
        with day.open("rb") as stream:
            for row in tolerant_jsonl_rows(stream, str(day)):
                if not isinstance(row, BrokenRow):
                    yield _kept(row.fields, row.where)


def _kept(fields: Mapping[str, Any], where: str) -> Kept:
    try:
        return Kept.from_json(fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "not a row that 'potstill serve --record' wrote.",
            where=where,
            hint="Take it out of the folder, or name another folder.",
        ) from error


def _nothing_kept(folder: Path, model: str) -> DataError:
    others = sorted(path.name for path in (folder / _FOLDER).glob("*") if path.is_dir())
    return DataError(
        f"nothing was kept for the model {model!r}.",
        where=str(folder),
        hint=f"There are rows for {', '.join(others)}."
        if others
        else "Keep some with: potstill serve MODEL --record DIR",
    )


def _prediction_of(row: Mapping[str, Any]) -> Prediction:
    return Prediction(
        _target_of(row),
        row.get("confidence"),
        None,
        row.get("truncated", False),
        row.get("deferred"),
        row.get("out_of_scope"),
    )


def _target_of(row: Mapping[str, Any]) -> Target | None:
    """What was predicted, be it an answer or a guess."""
    guess = row.get("guess")
    if "fields" in row:
        guess = guess or {}
        guessed: Mapping[str, Any] = guess.get("fields", {})
        # Records of before named no field that was unsure without a value.
        unsure = guess.get("unsure", () if "deferred" in row else tuple(guessed))
        said = {name: found for name, found in row["fields"].items() if found is not None}
        held = {**said, **guessed}
        return Extraction.from_json({"fields": held, "unsure": unsure})
    if "deferred" in row:
        return target_from_json(guess)
    if "text" in row:
        return Text.from_json(row)
    return target_from_json(row["labels" if "labels" in row else "label"])
