"""Which candidate ships: the smallest within the noise of the best, unless a gate forbids it.

Noise is one standard error of the paired difference, row by row (Breiman et al. 1984,
"Classification and Regression Trees", 3.4.3). With few rows it is wide, and a smaller student
that is worse by points would hide in it; so no more than half a point is given away for size, as
far as the rows can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from potstill.spec.gates import Gate, passed_bounds
from potstill.train.auto.arms import Arm, C, Figures
from potstill.train.auto.halving import NOTHING_TO_GAIN, Dropped


@dataclass(frozen=True, eq=False)
class Contender(Generic[C]):
    """A candidate, and what it costs to run.

    Attributes:
        arm: that it came from.
        candidate: trained on all rows.
        figures: empty where nothing was measured.
    """

    arm: Arm[C]
    candidate: C
    figures: Figures

    @property
    def name(self) -> str:
        """Of base and mode."""
        return self.arm.named(self.candidate.mode)

    @property
    def size(self) -> tuple[int, float, bool]:
        """Sorts contenders, the smallest first and the frozen one before the tuned one."""
        return (*self.arm.size, self.candidate.mode == "tuned")

    @property
    def score(self) -> float:
        """On all rows that it had not seen: of development, and of training in folds."""
        scores = (self.candidate.dev_scores, self.candidate.held_out_scores)
        return float(np.concatenate(scores).mean())


@dataclass(frozen=True)
class Choice(Generic[C]):
    """What ships, and why.

    Attributes:
        contender: what ships.
        reason: a sentence or two for the report.
    """

    contender: Contender[C]
    reason: str


@dataclass(frozen=True)
class Lead:
    """How far one contender is ahead of another, on the rows that both answered unseen.

    Attributes:
        mean: difference of their scores.
        noise: one standard error of it, and no less than one row: of a handful of rows that differ
            the error is not known.
    """

    mean: float
    noise: float

    @classmethod
    def of(cls, one: Contender[Any], other: Contender[Any]) -> Lead:
        """The lead of one contender; negative where it is behind."""
        a, b = one.candidate, other.candidate
        gained = a.dev_scores - b.dev_scores
        if len(a.held_out_scores) == len(b.held_out_scores):
            gained = np.concatenate([gained, a.held_out_scores - b.held_out_scores])
        rows = max(len(gained), 1)
        error = float(gained.std() if rows > 1 else 0.0) / rows**0.5
        return cls(float(gained.sum()) / rows, max(error, 1.0 / rows))


def choose(contenders: Sequence[Contender[C]], accept: Mapping[str, Gate]) -> Choice[C]:
    """The smallest contender within the noise of the best, of those that the gates allow.

    Args:
        contenders: at least one.
        accept: the task's gates. Those on figures that were measured exclude contenders; one on
            accuracy makes way for a larger one that meets it.
    """
    ordered = sorted(contenders, key=lambda one: one.size)
    allowed = [one for one in ordered if not passed_bounds(one.figures, accept)]
    if not allowed:
        fastest = min(ordered, key=lambda one: one.figures.get("latency_p95_ms", 0.0))
        gates = ", ".join(
            sorted({gate for one in ordered for gate in passed_bounds(one.figures, accept)})
        )
        return Choice(fastest, f"{fastest.name} is the fastest; none keeps within {gates}.")
    best = _best(allowed)
    near = [one for one in allowed if one is best or _as_good(one, best)]
    chosen, least = near[0], _least_score(accept)
    if least is not None and chosen.score < least:
        chosen = next((one for one in near if one.score >= least), best)
    return Choice(chosen, _reason(chosen, best, ordered, allowed, least))


def _best(contenders: Sequence[Contender[C]]) -> Contender[C]:
    """The contender of the highest score; of equals the smaller."""
    best = contenders[0]
    for one in contenders[1:]:
        if Lead.of(one, best).mean > 0.0:
            best = one
    return best


def _as_good(one: Contender[Any], best: Contender[Any]) -> bool:
    """Whether what a contender lacks of the best is noise.

    A tuned one chose its epoch on the development rows that judge it, and has to win by more
    than the noise, however wide that is.
    """
    lead = Lead.of(best, one)
    if best.candidate.mode == "tuned":
        return lead.mean <= lead.noise
    return lead.mean <= min(lead.noise, NOTHING_TO_GAIN)


def left_out(
    broken: Sequence[str], figures: Figures, accept: Mapping[str, Gate], *, chosen: bool
) -> str | None:
    """Why the gates leave a candidate out, with its figures; None where they do not.

    Args:
        broken: the gates that it breaks.
        figures: what it costs to run.
        accept: the task's gates.
        chosen: whether it ships all the same.
    """
    if chosen or not broken:
        return None
    said = [f"{name} {figures[name]:.4g}, at most {accept[name].max:g}" for name in broken]
    return f"left out by a gate: {'; '.join(said)}"


def _least_score(accept: Mapping[str, Gate]) -> float | None:
    """The accuracy that the task asks for."""
    gate = accept.get("accuracy")
    return None if gate is None else gate.min


def _reason(
    chosen: Contender[Any],
    best: Contender[Any],
    ordered: Sequence[Contender[Any]],
    allowed: Sequence[Contender[Any]],
    least: float | None,
) -> str:
    if len(ordered) == 1:
        return (
            f"{chosen.name} has {chosen.score:.3f}: the only candidate that was trained to the end."
        )
    if chosen is best:
        sentence = f"{chosen.name} has the best score, {chosen.score:.3f}"
        smaller = [one for one in allowed if one.size < chosen.size]
        if smaller:
            lead = Lead.of(chosen, smaller[-1])
            sentence += (
                f"; {smaller[-1].name}, the next smaller, is {lead.mean:.3f} behind "
                f"(noise {lead.noise:.3f})"
            )
    else:
        lead = Lead.of(best, chosen)
        sentence = (
            f"{chosen.name} is the smallest within the noise of the best, {best.name}: "
            f"{chosen.score:.3f}, {lead.mean:.3f} behind (noise {lead.noise:.3f})"
        )
    if least is not None and any(one.size < chosen.size and one.score < least for one in allowed):
        sentence += f"; smaller ones stay below the accuracy of {least:g} that is asked for"
    excluded = [one.name for one in ordered if one not in allowed]
    if excluded:
        sentence += f"; the gates leave out {', '.join(excluded)}"
    return sentence + "."


def solved(contender: Contender[Any]) -> bool:
    """Whether a contender leaves nothing worth gaining."""
    return 1.0 - contender.score <= NOTHING_TO_GAIN


def lines(
    contenders: Sequence[Contender[C]],
    dropped: Sequence[Dropped],
    chosen: Contender[C],
    accept: Mapping[str, Gate],
) -> list[dict[str, Any]]:
    """A row for each candidate, the smallest first, for the report.

    Returns:
        Those of `Candidate.row`, with ``name``, ``rows`` learnt from, ``score`` on unseen rows,
        ``dropped`` (why it went no further; None where it did), ``left_out`` (the gates that
        forbid it), ``dev_rows`` and ``fold_rows`` (what its score rests on) and the figures.
    """
    rows = [
        (
            one.size,
            {
                **one.candidate.row(one is chosen),
                "name": one.name,
                "rows": one.arm.rows,
                "score": one.score,
                "dropped": None,
                "left_out": left_out(
                    passed_bounds(one.figures, accept), one.figures, accept, chosen=one is chosen
                ),
                "dev_rows": len(one.candidate.dev_scores),
                "fold_rows": len(one.candidate.held_out_scores),
                **one.figures,
            },
        )
        for one in contenders
    ]
    for one in dropped:
        row = {
            "base": one.arm.name,
            "mode": one.mode,
            "dev_accuracy": None,
            "seconds": round(one.arm.seconds if one.mode == "frozen" else 0.0, 1),
            "chosen": False,
            "name": one.name,
            "rows": one.rows,
            "score": one.score,
            "dropped": one.why,
        }
        rows.append(((*one.arm.size, one.mode == "tuned"), row))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]
