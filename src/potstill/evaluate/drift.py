"""Drift: tests that may be looked at as often as one likes, and stopped whenever one likes.

The question is whether production rows could have been drawn together with the development
rows, in any order: whether both are exchangeable. A conformal p-value says how extreme a row
is among all rows so far, development rows first; under exchangeability these p-values are
independent and uniform, whatever the distribution and however few the development rows are
(Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, section 7.1). Against
uniformity a martingale bets (`Martingales`), and by Ville's inequality its wealth ever
reaches ``1 / alpha`` with a probability of at most alpha. So it may be looked at after every
row: this is what a test of fixed size does not survive.

Each quantity that is watched has a martingale of its own, and alpha is shared out among them:
first among inputs, confidence and labels, then within each (Bonferroni, which needs nothing of
how the quantities hang together). A p-value that is reported here is adjusted for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from potstill.evaluate.intervals import FloatArray
from potstill.evaluate.record import Record

Kind = Literal["inputs", "confidence", "labels"]

JUMPS = (1e-4, 1e-3, 1e-2)
"""Share of the stakes that is spread anew after each row: the rarer the jumps, the smaller the
drift that is found; the more frequent, the sooner one that begins late."""

_CHUNK_ROWS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Record):
    """What became of one quantity.

    Attributes:
        kind: what it tells of: the inputs, the confidence, the labels.
        name: ``length``, ``out_of_scope``, ``confidence``, or a label.
        p_value: anytime-valid, and adjusted for all that is watched: at most alpha is an alarm.
        alarm: whether there was an alarm, now or at any time before.
        began: time of the row from which the evidence gathered, about that of the change; None
            without an alarm.
        alarmed: time of the row with which it was enough; None without an alarm.
        before: among the development rows: median length in characters, mean probability,
            or share of the label; None where there is none.
        now: the same among production rows, since `began` where there is an alarm.
    """

    kind: Kind
    name: str
    p_value: float
    alarm: bool
    began: str | None
    alarmed: str | None
    before: float | None
    now: float | None


def conformal_p_values(
    values: NDArray[np.int64], so_far: NDArray[np.int64], ties: FloatArray
) -> FloatArray:
    """How extreme each row is among the reference and all rows up to itself.

    ``p = (rows above + tie * rows equal, itself included) / all rows``: smoothed conformal
    p-values with the value itself for a nonconformity score (Vovk, Gammerman & Shafer 2005,
    equation 2.20).

    Args:
        values: (row,), cells in the order of arrival; -1 where a row has none.
        so_far: (cell,), earlier rows in each cell, those of the reference included; the rows
            are added to it.
        ties: (row,), uniform on 0 to 1 and drawn without looking at the values.

    Returns:
        (row,), small where a value is higher than most; NaN where a row has none.
    """
    found = np.full(len(values), np.nan)
    there = np.flatnonzero(values >= 0)
    for part in np.array_split(there, len(there) // _CHUNK_ROWS + 1):
        cells = values[part, None]
        counts = so_far + np.cumsum(cells == np.arange(len(so_far)), axis=0)
        equal = np.take_along_axis(counts, cells, axis=1)[:, 0]
        up_to = np.take_along_axis(np.cumsum(counts, axis=1), cells, axis=1)[:, 0]
        total = counts.sum(axis=1)
        found[part] = (total - up_to + ties[part] * equal) / total
        so_far += np.bincount(values[part], minlength=len(so_far))
    return found


class Martingales:
    """Bets against the uniformity of p-values, in many streams at once.

    The composite jumper martingale of Vovk et al., "Retrain or not retrain: conformal test
    martingales for change-point detection", COPA 2021 (algorithm 1, averaged over jump rates),
    with other bets: its linear ones gain little where the drift lies in a few extreme
    p-values, as that of a rare label does. Ours are densities that are constant on tails of
    1/2 to 1/512, on either side or both, with more or less in the tail.

    Args:
        log_alarm: (stream,), the logarithm of the wealth that is an alarm.
        bets: (cell, expert), `BETS` or `LABEL_BETS`.

    Attributes:
        log_peak: (stream,), the logarithm of the highest wealth so far.
        began: (stream,), the row from which the wealth grew to its alarm, or, where there was
            none, to what it is.
        alarmed: (stream,), the row of the alarm; -1 without one.
    """

    def __init__(self, log_alarm: FloatArray, bets: FloatArray) -> None:
        streams, experts = len(log_alarm), bets.shape[1]
        self._bets = bets
        self.log_peak = np.zeros(streams)
        self.began = np.zeros(streams, dtype=np.int64)
        self.alarmed = np.full(streams, -1, dtype=np.int64)
        self._log_alarm = log_alarm
        self._log_low = np.zeros(streams)
        self._stakes = np.full((streams, len(JUMPS), experts), 1.0 / experts)
        self._log_wealth = np.zeros((streams, len(JUMPS)))
        self._rows = 0

    def update(self, p_values: FloatArray) -> None:
        """Take the next rows.

        Args:
            p_values: (row, stream); nothing is won or lost on NaN.
        """
        for cells in _bet_cells(p_values):
            self._bet(cells)
            self._rows += 1

    def _bet(self, cells: NDArray[np.int8]) -> None:
        jumps = np.array(JUMPS)[:, None]
        stakes = self._stakes
        stakes *= 1.0 - jumps
        stakes += jumps / stakes.shape[2]
        stakes *= self._bets[cells, None]
        gain = stakes.sum(axis=2)
        stakes /= gain[:, :, None]
        self._log_wealth += np.log(gain)
        now = _log_mean(self._log_wealth)
        np.maximum(self.log_peak, now, out=self.log_peak)
        waiting = self.alarmed < 0
        lower = waiting & (now <= self._log_low)
        self._log_low[lower], self.began[lower] = now[lower], self._rows + 1
        self.alarmed[waiting & (now >= self._log_alarm)] = self._rows


def _log_mean(log_wealth: FloatArray) -> FloatArray:
    top = log_wealth.max(axis=1)
    return top + np.log(np.exp(log_wealth - top[:, None]).mean(axis=1))


_TAILS = (1 / 512, 1 / 128, 1 / 32, 1 / 8)
_EDGES = np.array([*_TAILS, 1 / 2, *(1.0 - tail for tail in reversed(_TAILS))])
_NO_BET = len(_EDGES) + 1


def _bet_cells(p_values: FloatArray) -> NDArray[np.int8]:
    cells = np.searchsorted(_EDGES, p_values).astype(np.int8)
    cells[np.isnan(p_values)] = _NO_BET
    return cells


def _densities(*, both_sides: bool) -> FloatArray:
    """Densities of a p-value, (cell, expert); the last cell is that of no p-value."""
    width = np.diff(np.concatenate([[0.0], _EDGES, [1.0]]))
    upper = np.concatenate([_EDGES, [1.0]])
    lower = upper - width
    tails = [(upper <= 0.5, (1.9, 1.5, 1.2, 0.8, 0.5, 0.1))]
    tails += [(upper <= tail, (4.0, 1.5, 0.3)) for tail in _TAILS]
    if both_sides:
        tails += [(lower >= 1.0 - tail, (4.0, 1.5, 0.3)) for tail in _TAILS]
        tails += [((upper <= tail) | (lower >= 1.0 - tail), (2.0, 0.5)) for tail in _TAILS]
    bets = [np.ones(len(width))]
    for inside, factors in tails:
        mass = width[inside].sum()
        bets += [np.where(inside, f, (1.0 - f * mass) / (1.0 - mass)) for f in factors]
    return np.vstack([np.stack(bets, axis=1), np.ones(len(bets))])


BETS = _densities(both_sides=True)
"""Bets on the p-values of a quantity."""

LABEL_BETS = _densities(both_sides=False)
"""Bets on those of a label, which is there or not: a row that has it is among the smallest."""
