"""The frozen picker: ridge regression on what an encoder says of sentences, place and length.

Sentences compete within their document, so all that sentences of one document have in common
is taken out before the fit, of what is known and of what is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from potstill.runtime.picking import FEATURES, PickDecision, features_of
from potstill.train.picking.lesson import PickRow, judged

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)
_FOLDS = 5
_FEATURE_SCALE = 30.0
"""Size of the features of place and length beside the states: so large that they are hardly
penalised. They are few and sure, and where the states tell nothing the lead remains."""

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Numbers of sentences that are tried."""

_MOST_JUDGED = 1000
"""Documents on which the number of sentences is chosen."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted picker.

    Attributes:
        weight: of the states (dimension,).
        decision: with the weights of place and length, and the number of sentences.
        penalty: of the ridge regression.
        held_out: ROUGE-L of answers that were picked by scores of the folds; of the same
            documents whatever the states (document,).
    """

    weight: NDArray[np.float64]
    decision: PickDecision
    penalty: float
    held_out: NDArray[np.float64]


def fit_picker(
    rows: Sequence[PickRow], states: Sequence[NDArray[np.float32]], *, max_words: int, seed: int
) -> Fit:
    """Fit on all rows; penalty and number of sentences are those that are best out of fold.

    Args:
        rows: documents, some of them of several sentences.
        states: mean state of the tokens of each sentence (sentence, dimension), by document.
        max_words: of an answer.
        seed: of the folds; rows of one group stay in one.
    """
    folds = _folds(rows, seed)
    design = _Design.of(rows, states)
    # Scores of each document by a regression that has not seen its fold.
    scores = [[np.zeros(0)] * len(rows) for _ in _PENALTIES]
    for fold in set(folds.tolist()):
        weights = design.solve(folds != fold, _PENALTIES)
        for at in np.flatnonzero(folds == fold).tolist():
            for said, weight in zip(scores, weights, strict=True):
                said[at] = design.known[at] @ weight
    best = _largest_within_noise([_gains(rows, said) for said in scores])
    count, held_out = _best_count(rows, scores[best], max_words, seed)
    everything = np.ones(len(rows), dtype=np.bool_)
    (weight,) = design.solve(everything, [_PENALTIES[best]])
    of_features = weight[-len(FEATURES) :] * design.scale
    decision = PickDecision(max_words, count, tuple(of_features.tolist()))
    return Fit(weight[: -len(FEATURES)], decision, _PENALTIES[best], held_out)


def _gains(rows: Sequence[PickRow], scores: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What the best sentence of each document is worth (document with a sentence,)."""
    pairs = ((row.gains, said) for row, said in zip(rows, scores, strict=True) if len(said))
    return np.array([gains[int(said.argmax())] for gains, said in pairs])


def _largest_within_noise(gains: Sequence[NDArray[np.float64]]) -> int:
    """The largest penalty whose sentences are worth as much as those of the best one.

    Within one standard error of the paired difference (the rule of Breiman et al. 1984,
    "Classification and Regression Trees", 3.4.3): few documents make the best one an accident.
    """
    best = max(gains, key=lambda one: float(one.mean()))
    noise = [float((best - one).std()) / np.sqrt(len(one)) for one in gains]
    within = [
        at for at, one in enumerate(gains) if float((best - one).mean()) <= noise[at] or one is best
    ]
    return within[-1]


def _best_count(
    rows: Sequence[PickRow], scores: Sequence[NDArray[np.float64]], max_words: int, seed: int
) -> tuple[int, NDArray[np.float64]]:
    """The number of sentences whose answers have the highest ROUGE-L, and that of each of them.

    Of equals it is the smaller one.
    """
    none = (0.0,) * len(FEATURES)  # the scores have place and length in them already
    chosen = np.random.default_rng(seed).permutation(len(rows))[:_MOST_JUDGED].tolist()
    some = [rows[at] for at in chosen]
    means = [scores[at][:, None].astype(np.float32) for at in chosen]
    best = _COUNTS[0], np.empty(0)
    for count in _COUNTS:
        found = judged(some, means, PickDecision(max_words, count, none))
        if len(best[1]) and found.mean() <= best[1].mean():
            break
        best = count, found
    return best


def _folds(rows: Sequence[PickRow], seed: int) -> NDArray[np.int64]:
    """The fold of each row (row,)."""
    groups = [row.example.group or row.example.id for row in rows]
    names = sorted(set(groups))
    drawn = np.random.default_rng(seed).permutation(len(names)) % _FOLDS
    fold = dict(zip(names, drawn.tolist(), strict=True))
    return np.array([fold[group] for group in groups])


@dataclass(frozen=True, eq=False)
class _Design:
    """What a regression is fitted on, document by document.

    Attributes:
        known: states and scaled features of each document (sentence, dimension + feature).
        centred: the same, without what the sentences of the document have in common.
        wanted: gains of the sentences, likewise centred.
        scale: by which the features were multiplied (feature,).
    """

    known: list[NDArray[np.float64]]
    centred: list[NDArray[np.float64]]
    wanted: list[NDArray[np.float64]]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[PickRow], states: Sequence[NDArray[np.float32]]) -> _Design:
        features = [features_of(row.sentences) for row in rows]
        scale = _FEATURE_SCALE / np.maximum(np.concatenate(features).std(axis=0), 1e-3)
        known = [
            np.hstack([state.astype(np.float64), feature * scale])
            for state, feature in zip(states, features, strict=True)
        ]
        wanted = [_centred(row.gains) for row in rows]
        return cls(known, [_centred(one) for one in known], wanted, scale)

    def solve(
        self, chosen: NDArray[np.bool_], penalties: Sequence[float]
    ) -> list[NDArray[np.float64]]:
        """Weights (dimension + feature,) of the ridge regression over some documents, by penalty."""
        at = np.flatnonzero(chosen).tolist()
        known = np.concatenate([self.centred[index] for index in at])
        moments = known.T @ np.concatenate([self.wanted[index] for index in at])
        squares = known.T @ known
        unit = np.eye(len(squares))
        return [
            np.asarray(np.linalg.solve(squares + penalty * unit, moments), dtype=np.float64)
            for penalty in penalties
        ]


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - values.mean(axis=0) if len(values) else values
