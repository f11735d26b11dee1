"""The choice between a student that picks and one that writes, once both are packed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from potstill.data.example import Example, Prediction
from potstill.evaluate import compare_texts, evaluate_texts, usd_per_million
from potstill.runtime import load_model
from potstill.spec.gates import Gate, passed_bounds


class _Student(Protocol):
    @property
    def base(self) -> dict[str, Any]: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Rival:
    """A packed student, and what it answered to the development rows.

    Attributes:
        name: of its base, and what it does.
        base: name of what it started from.
        mode: ``extractive`` or ``abstractive``.
        facts: of its training.
        answers: to the development rows, in their order.
        figures: what it costs to run.
    """

    name: str
    base: str
    mode: str
    facts: Mapping[str, Any]
    answers: list[Prediction]
    figures: dict[str, float]

    @classmethod
    def of(
        cls, does: str, student: _Student, model: Path, megabytes: float, dev: Sequence[Example]
    ) -> Rival:
        """Let a packed student answer the development rows, one after the other on one thread.

        Args:
            does: completes its name.
            student: as it was trained.
            model: its model folder.
            megabytes: size of that folder.
            dev: at least one row.
        """
        loaded = load_model(model, workers=1)
        answers: list[Prediction] = []
        ms: list[float] = []
        for row in dev:
            started = time.perf_counter()
            answers.append(loaded.predict(row.input))
            ms.append(1e3 * (time.perf_counter() - started))
        mean = float(np.mean(ms))
        figures = {
            "latency_ms": round(mean, 4),
            "latency_p95_ms": round(float(np.quantile(ms, 0.95)), 4),
            "megabytes": round(megabytes, 2),
            "usd_per_million": usd_per_million(mean),
        }
        base, mode = str(student.base["name"]), str(student.facts["mode"])
        return cls(f"{base} {does}", base, mode, student.facts, answers, figures)


def choose(
    picker: Rival,
    writer: Rival,
    dev: Sequence[Example],
    *,
    accept: Mapping[Any, Gate],
    seed: int,
) -> dict[str, Any]:
    """The one that writes ships where it is better beyond noise, and no gate forbids it.

    Args:
        picker: answers in a hundredth of the time.
        writer: the other one.
        dev: the rows that both answered.
        accept: the task's gates.
        seed: of the resampling.

    Returns:
        ``base``, ``mode``, ``candidates`` and ``reason``, as `potstill.train.Trained` has them.
    """
    from potstill.train.auto.choice import left_out

    found = compare_texts(
        writer.answers, picker.answers, dev, names=(writer.name, picker.name), seed=seed
    )
    apart = found.difference
    measured = (
        f"{writer.name} {apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}] ROUGE-L beside "
        f"{picker.name}, on {len(dev)} development rows"
    )
    gates = passed_bounds(writer.figures, accept)
    ships = writer if found.outcome == "better" and not gates else picker
    if gates:
        reason = (
            f"{picker.name}: the gates leave out {writer.name} ({', '.join(gates)}); {measured}."
        )
    elif ships is writer:
        reason = f"{writer.name}: better beyond noise; {measured}."
    else:
        reason = f"{picker.name}: the smaller one, and {measured} is not better beyond noise."
    scores = [
        evaluate_texts(one.answers, dev, name=one.name, seed=seed).score.value
        for one in (picker, writer)
    ]
    rows = [
        {
            "name": one.name,
            "base": one.base,
            "mode": one.mode,
            "rows": one.facts["rows"],
            "score": score,
            "dev_accuracy": score,
            "seconds": one.facts["seconds"],
            "chosen": one is ships,
            "dropped": None,
            "left_out": left_out(
                passed_bounds(one.figures, accept), one.figures, accept, chosen=one is ships
            ),
            "dev_rows": len(dev),
            "fold_rows": 0,
            **one.figures,
        }
        for one, score in zip((picker, writer), scores, strict=True)
    ]
    others = [
        {**row, "name": f"{row['name']} picks", "chosen": False}
        for row in picker.facts["candidates"]
        if "name" in row and not row["chosen"]
    ]
    return {
        "base": ships.base,
        "mode": ships.mode,
        "candidates": [*others, *rows],
        "reason": " ".join(filter(None, (reason, picker.facts["reason"]))),
    }
