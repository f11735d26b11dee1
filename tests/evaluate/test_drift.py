import numpy as np
import pytest

from potstill.evaluate import drift
from potstill.evaluate.drift import BETS, LABEL_BETS, Martingales, conformal_p_values


def slow_p_values(values, reference, ties):
    """The definition, word by word."""
    bag = [cell for cell, rows in enumerate(reference) for _ in range(rows)]
    found = []
    for value, tie in zip(values, ties, strict=True):
        if value < 0:
            found.append(np.nan)
            continue
        bag.append(value)
        above = sum(other > value for other in bag)
        found.append((above + tie * bag.count(value)) / len(bag))
    return np.array(found)


def test_p_values_are_those_of_the_definition(monkeypatch):
    monkeypatch.setattr(drift, "_CHUNK_ROWS", 16)
    rng = np.random.default_rng(3)
    values, ties = rng.integers(-1, 5, size=100), rng.random(100)
    reference = np.array([3, 0, 4, 1, 7])
    so_far = reference.copy()
    found = conformal_p_values(values, so_far, ties)
    np.testing.assert_allclose(found, slow_p_values(values, reference, ties))
    np.testing.assert_array_equal(so_far, reference + np.bincount(values[values >= 0], minlength=5))


def test_p_values_are_uniform_and_independent_however_small_the_reference():
    rng = np.random.default_rng(0)
    together = rng.choice(4, p=[0.6, 0.3, 0.09, 0.01], size=(4000, 13))
    p_values = np.stack(
        [
            conformal_p_values(row[3:], np.bincount(row[:3], minlength=4), rng.random(10))
            for row in together
        ]
    )
    for column in p_values.T:
        counts = np.histogram(column, bins=10, range=(0, 1))[0]
        assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-squared, 9 degrees: p > 0.001
    assert np.abs(np.corrcoef(p_values.T) - np.eye(10)).max() < 4.5 / np.sqrt(4000)


@pytest.mark.parametrize("bets", [BETS, LABEL_BETS])
def test_every_bet_is_a_density(bets):
    width = np.diff(np.concatenate([[0.0], drift._EDGES, [1.0]]))
    np.testing.assert_allclose(width @ bets[:-1], 1.0)
    assert (bets > 0).all()
    assert (bets[-1] == 1.0).all()


def alarm_share(p_values, alpha=0.05):
    martingales = Martingales(np.full(p_values.shape[1], np.log(1 / alpha)), BETS)
    martingales.update(p_values)
    return (martingales.alarmed >= 0).mean()


def test_false_alarms_stay_below_alpha_although_every_row_is_looked_at():
    p_values = np.random.default_rng(1).random((1000, 1000))
    assert alarm_share(p_values) <= 0.05
    assert alarm_share(p_values, alpha=0.2) <= 0.2
    # The test is not simply deaf: it uses a good part of what it is allowed.
    assert alarm_share(p_values, alpha=0.2) > 0.05


@pytest.mark.parametrize(
    "drifted",
    [
        lambda rng, size: rng.random(size) ** 1.5,
        lambda rng, size: 1 - rng.random(size) ** 1.5,
        lambda rng, size: rng.beta(0.6, 0.6, size),
        lambda rng, size: np.where(rng.random(size) < 0.05, 0.01, 1.0) * rng.random(size),
        lambda rng, size: rng.beta(2.5, 2.5, size),
    ],
    ids=["up", "down", "both ends", "a rare label", "towards the middle"],
)
def test_drift_that_begins_late_is_found_and_dated(drifted):
    rng = np.random.default_rng(2)
    p_values = rng.random((1500, 40))
    p_values[500:] = drifted(rng, (1000, 40))
    martingales = Martingales(np.full(40, np.log(20)), BETS)
    martingales.update(p_values)
    assert (martingales.alarmed >= 0).mean() > 0.9
    true = martingales.alarmed >= 500
    assert abs(np.median(martingales.began[true]) - 500) < 60


def test_an_alarm_stays_and_rows_without_a_value_change_nothing():
    p_values = np.full((100, 1), 0.001)
    martingales = Martingales(np.array([np.log(20)]), BETS)
    martingales.update(p_values)
    alarmed, peak = int(martingales.alarmed[0]), float(martingales.log_peak[0])
    martingales.update(np.full((500, 1), np.nan))
    assert (martingales.alarmed[0], martingales.log_peak[0]) == (alarmed, peak)
    martingales.update(np.random.default_rng(0).random((500, 1)))
    assert martingales.alarmed[0] == alarmed


def test_rows_in_parts_are_as_rows_at_once():
    p_values = np.random.default_rng(4).random((300, 3)) ** 1.3
    whole, parts = (Martingales(np.full(3, np.log(20)), BETS) for _ in range(2))
    whole.update(p_values)
    for part in np.array_split(p_values, 7):
        parts.update(part)
    np.testing.assert_array_equal(whole.log_peak, parts.log_peak)
    np.testing.assert_array_equal(whole.began, parts.began)
