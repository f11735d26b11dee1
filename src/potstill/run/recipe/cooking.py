"""`run_recipe`: all stages of a recipe in order, or on from where an earlier run stopped."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from potstill.data.files import writing_folder
from potstill.errors import SpecError
from potstill.run.distil import Outcome
from potstill.run.events import Listener, ignore
from potstill.run.folder import RunFolder, run_id
from potstill.run.recipe.checking import unbuilt
from potstill.run.recipe.drawing import DRAWN
from potstill.run.recipe.judging import accuracy_text, judge_weights, settle
from potstill.run.recipe.places import (
    ANSWERS,
    BASE,
    CHECKPOINTS,
    JUDGEMENT,
    SAMPLES,
    WEIGHTS,
    Places,
)
from potstill.run.recipe.report import load_report, write_report
from potstill.run.recipe.rows import SOURCES, questions_of_test, read_sources, save_rows
from potstill.run.recipe.stages import begin, leaves_weights, work
from potstill.spec.loading import LoadedRecipe
from potstill.spec.mistakes import meant
from potstill.spec.recipe import Recipe, RejectStage, StageSpec

READ, REPORT = "read", "report"
_JUDGE = "judge"


def order_of(recipe: Recipe) -> list[str]:
    """The stages by the names that ``--from`` and ``--until`` take."""
    return [READ, BASE, *(stage.name for stage in recipe.stages), REPORT]


def run_recipe(
    loaded: LoadedRecipe,
    *,
    runs: Path,
    until: str | None = None,
    restart: str | None = None,
    out: Path | None = None,
    listener: Listener = ignore,
) -> Outcome:
    """Do the stages of a recipe, or go on where an earlier run of the same recipe stopped.

    Args:
        loaded: the recipe.
        runs: folder that holds all runs.
        until: the last stage to do.
        restart: the first stage to do again, though nothing changed.
        out: a folder that receives a copy of the last weights.
        listener: receives events as they happen.

    Raises:
        PotstillError: any mistake in the recipe, the data or the environment; what was finished
            stays finished.
    """
    recipe = loaded.recipe
    for fault in unbuilt(recipe):
        raise SpecError(f"{fault}.", where=str(loaded.path))
    spec = recipe.model_dump(mode="json")
    order = order_of(recipe)
    for name in (until, restart):
        if name is not None and name not in order:
            raise SpecError(
                f"no stage of this recipe is called {name!r}.",
                hint=" ".join(filter(None, [meant(name, order), f"Stages: {', '.join(order)}."])),
            )
    folder = RunFolder(folder_of(loaded, runs), listener)
    places = Places(loaded, folder)
    with folder.opened(spec, recipe.seed):
        if restart is not None:
            _forget(places, order[order.index(restart) :])
        for name in order[: order.index(until or REPORT) + 1]:
            _STEPS.get(name, _stage)(places, name)
        last = _last_weights(places)
        if out is not None and last is not None:
            with writing_folder(out) as partial_folder:
                shutil.copytree(last, partial_folder, dirs_exist_ok=True)
    seconds = {name: stage["seconds"] for name, stage in folder.stages.items()}
    report = load_report(folder.path) if until in (None, REPORT) else None
    return Outcome(
        folder=folder.path,
        model=last,
        report=report,
        gates_passed=all(gate["passed"] for gate in report["gates"]) if report else None,
        seconds=seconds,
    )


def folder_of(loaded: LoadedRecipe, runs: Path) -> Path:
    """Where the run of a recipe lies: equal recipes share a folder, whatever their gates."""
    spec = loaded.recipe.model_dump(mode="json", exclude={"stages": {"__all__": {"accept"}}})
    return runs / loaded.recipe.name / run_id(spec | {"folder": str(loaded.folder.resolve())})


def _forget(places: Places, names: Sequence[str]) -> None:
    """Forget stages and their checkpoints."""
    places.folder.forget([key for name in names for key in (name, f"{name}.{_JUDGE}")])
    for name in names:
        if name not in (READ, REPORT):
            shutil.rmtree(places.of(name), ignore_errors=True)


def _read(places: Places, name: str) -> None:
    recipe, folder = places.recipe, places.of(SOURCES)
    files = [
        places.loaded.resolve(source.file)
        for source in recipe.data.values()
        if source.file is not None
    ]

    def read() -> Mapping[str, Any]:
        found = read_sources(places.loaded)
        for source, rows in found.items():
            save_rows(folder / f"{source}.jsonl", rows)
        counts = {source: len(rows) for source, rows in found.items()}
        told = ", ".join(f"{count} {source}" for source, count in counts.items())
        return {"rows": counts, "summary": told}

    places.folder.stage(
        name,
        read,
        reads={key: recipe.model_dump(mode="json")[key] for key in ("data", "seed")},
        files=files,
        writes=[folder / f"{source}.jsonl" for source in recipe.data],
    )


def _base(places: Places, name: str) -> None:
    weights = places.of(BASE) / WEIGHTS

    def make() -> Mapping[str, Any]:
        shutil.rmtree(weights, ignore_errors=True)
        begin(places, places.recipe.base, weights)
        places.choose(BASE, BASE)
        return {"summary": f"{_megabytes(weights):.1f} MB of weights"}

    spec = places.recipe.model_dump(mode="json")
    places.folder.stage(
        name,
        make,
        reads={key: spec[key] for key in ("base", "template", "seed")},
        writes=[weights / "model.safetensors", places.of(BASE) / "weights.json"],
    )
    _judge(places, BASE, None)


def _stage(places: Places, name: str) -> None:
    stage = next(one for one in places.recipe.stages if one.name == name)
    spec = places.recipe.model_dump(mode="json")
    left = places.of(name)
    learns = leaves_weights(stage)
    writes = [left / WEIGHTS / "model.safetensors"] if learns else [places.rows(name)]
    if isinstance(stage, RejectStage):
        writes.append(left / SAMPLES)
    places.folder.stage(
        name,
        partial(work, stage, places),
        reads={
            "stage": stage.model_dump(mode="json", exclude={"accept", "max_drop"}),
            **{key: spec[key] for key in ("template", "seed")},
        },
        writes=writes,
    )
    # Not before the manifest has the stage: a kill in between would cost all of it.
    if learns:
        shutil.rmtree(left / CHECKPOINTS, ignore_errors=True)
        _judge(places, name, stage)
    else:
        (left / DRAWN).unlink(missing_ok=True)


def _judge(places: Places, name: str, stage: StageSpec | None) -> None:
    """Judge the weights that a stage has left; the base has none before it to be held against."""

    def judge() -> Mapping[str, Any]:
        found = judge_weights(places, name, questions_of_test(places))
        if stage is not None:
            return settle(places, stage, found)
        said = accuracy_text(found)
        judgement = found.without_questions().to_json()
        return {"judgement": judgement, "beside": None, "refused": False, "summary": said}

    places.folder.stage(
        f"{name}.{_JUDGE}",
        judge,
        reads={
            "judge": places.recipe.judge.model_dump(mode="json"),
            "max_drop": None if stage is None else stage.max_drop,
        },
        writes=[places.of(name) / file for file in (ANSWERS, JUDGEMENT, "weights.json")],
    )
    (places.of(name) / DRAWN).unlink(missing_ok=True)


def _report(places: Places, name: str) -> None:
    places.folder.stage(
        name,
        partial(write_report, places),
        reads={
            "accept": [stage.model_dump(mode="json")["accept"] for stage in places.recipe.stages]
        },
        writes=[places.folder.path / f"report.{kind}" for kind in ("json", "html", "md")],
    )


_STEPS = {READ: _read, BASE: _base, REPORT: _report}


def _last_weights(places: Places) -> Path | None:
    """The weights of the last stage that is finished and has some."""
    done = [stage.name for stage in places.recipe.stages if leaves_weights(stage)]
    for name in reversed(done):
        if f"{name}.{_JUDGE}" in places.folder.stages:
            return places.weights(name)
    return None


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


__all__ = ["order_of", "run_recipe"]
