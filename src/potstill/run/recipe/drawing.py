"""Completions of a stage, kept as they come: a kill costs one batch, not the whole stage.

A completion depends on seed, question and number alone (see `potstill.train.causal.sample`), and
batches are the same whatever of them is there already, so that what is missing can be drawn later
as if nothing had happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from potstill.data import Example
from potstill.data.files import json_line, sha256_of, storage_error, write_jsonl
from potstill.run.recipe.places import Places
from potstill.spec.recipe import SamplingSpec

DRAWN = "drawn.jsonl"
"""Completions so far; gone once the manifest has the stage."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A completion; fields as in `potstill.train.causal.sample.Completion`."""

    id: str
    number: int
    text: str
    tokens: int
    finish: str


def draw(
    places: Places,
    stage: str,
    weights: Path,
    questions: Sequence[Example],
    spec: SamplingSpec,
    *,
    file: Path,
) -> Iterator[Drawn]:
    """Completions in the order of questions, then of numbers; an earlier try is gone on with.

    Args:
        places: of the run.
        stage: for progress.
        weights: folder of the model that writes.
        questions: each with an id of its own.
        spec: how many, how warm, how long.
        file: keeps what is drawn; it may go when the manifest tells that all is used.

    Raises:
        StorageError: the file cannot be written.
    """
    from potstill.train.causal.sample import sample_batches

    recipe = places.recipe
    owner = {
        "weights": sha256_of(weights / "model.safetensors"),
        "spec": {name: getattr(spec, name) for name in SamplingSpec.model_fields},
        "template": recipe.template.model_dump(mode="json"),
        "seed": recipe.seed,
        "questions": _digest([[row.id, row.text] for row in questions]),
    }
    kept = _kept(file, owner)
    # What a kill has cut goes; the rest is there at every moment.
    write_jsonl(file, [owner, *map(asdict, kept.values())])
    tell = places.folder.progress(stage)
    batches = sample_batches(
        weights,
        questions,
        spec=spec,
        template=recipe.template,
        seed=recipe.seed,
        done=frozenset(kept),
        progress=tell,
    )
    try:
        with file.open("ab") as stream:
            for key in ((row.id, number) for row in questions for number in range(spec.samples)):
                while key not in kept:
                    for one in next(batches):
                        new = Drawn(one.id, one.number, one.text, one.tokens, one.finish)
                        if (new.id, new.number) not in kept:
                            stream.write(json_line(asdict(new)))
                            kept[new.id, new.number] = new
                    stream.flush()
                yield kept[key]
    except OSError as error:
        raise storage_error(error, file) from error


def _kept(file: Path, owner: dict[str, Any]) -> dict[tuple[str, int], Drawn]:
    """Completions of an earlier try, by question and number."""
    found: dict[tuple[str, int], Drawn] = {}
    if not file.is_file():
        return found
    lines = file.read_bytes().splitlines()
    try:
        if not lines or orjson.loads(lines[0]) != owner:
            return found
        for line in lines[1:]:
            one = Drawn(**orjson.loads(line))
            found[one.id, one.number] = one
    except orjson.JSONDecodeError:
        pass  # the line on which it was killed
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value)).hexdigest()
