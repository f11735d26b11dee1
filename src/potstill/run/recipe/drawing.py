"""Completions of a stage, kept as they come: a kill costs one batch, not the whole stage.

A completion depends on seed, question and number alone (see `potstill.train.causal.sample`), so
that what is missing can be drawn later as if nothing had happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from potstill.data import Example
from potstill.data.files import json_line, sha256_of, storage_error
from potstill.run.recipe.places import Places
from potstill.spec.recipe import SamplingSpec

DRAWN = "drawn.jsonl"
"""Completions so far; gone once the stage is finished."""


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
        file: keeps what is drawn; the caller removes it when all is used.

    Raises:
        StorageError: the file cannot be written.
    """
    from potstill.train.causal.sample import sample

    recipe = places.recipe
    owner = {
        "weights": sha256_of(weights / "model.safetensors"),
        "spec": {name: getattr(spec, name) for name in SamplingSpec.model_fields},
        "template": recipe.template.model_dump(mode="json"),
        "seed": recipe.seed,
        "questions": _digest([[row.id, row.text] for row in questions]),
    }
    kept = _kept(file, owner, spec.samples)
    done = sum(map(len, kept.values()))
    total = len(questions) * spec.samples
    tell = places.folder.progress(stage)
    written = sample(
        weights,
        [row for row in questions if row.id not in kept],
        spec=spec,
        template=recipe.template,
        seed=recipe.seed,
        progress=lambda phase, more, _total: tell(phase, done + more, total),
    )
    try:
        with file.open("wb") as stream:
            # What a kill has cut is written anew with the rest.
            stream.write(json_line(owner))
            for known in kept.values():
                stream.writelines(json_line(asdict(one)) for one in known)
            for row in questions:
                for number in range(spec.samples):
                    if row.id in kept:
                        yield kept[row.id][number]
                        continue
                    new = next(written)
                    one = Drawn(new.id, new.number, new.text, new.tokens, new.finish)
                    stream.write(json_line(asdict(one)))
                    stream.flush()
                    yield one
    except OSError as error:
        raise storage_error(error, file) from error


def _kept(file: Path, owner: dict[str, Any], samples: int) -> dict[str, list[Drawn]]:
    """Completions of an earlier try, of questions of which all are there."""
    found: dict[str, list[Drawn]] = {}
    if not file.is_file():
        return found
    lines = file.read_bytes().splitlines()
    try:
        if not lines or orjson.loads(lines[0]) != owner:
            return found
        for line in lines[1:]:
            one = Drawn(**orjson.loads(line))
            found.setdefault(one.id, []).append(one)
    except orjson.JSONDecodeError:
        pass  # the line on which it was killed
    return {key: known for key, known in found.items() if len(known) == samples}


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value)).hexdigest()
