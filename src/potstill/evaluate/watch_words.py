"""What `Watch` found, in sentences: the same in the command line and wherever else it is told."""

from __future__ import annotations

from potstill.evaluate.drift import Drift
from potstill.evaluate.estimate import Estimate
from potstill.evaluate.intervals import FEW_ROWS
from potstill.evaluate.watch import Watch

_QUANTITIES = {
    "length": "median length in characters",
    "out_of_scope": "mean probability of being out of scope",
    "confidence": "mean confidence",
}


def watch_words(found: Watch) -> list[str]:
    """The findings, the most important first."""
    words = [drift_words(drift) for drift in found.alarms]
    if not words:
        words.append(
            f"No drift: {found.rows:,} rows look like the {found.reference_rows:,} development "
            f"rows (false alarms: at most {found.alpha:.0%}, however often one looks)."
        )
    if found.answered is not None:
        words.append(_estimate_words(found.answered, "what was answered"))
    if found.guessed is not None:
        words.append(_estimate_words(found.guessed, "all guesses"))
    if any(drift.kind in {"inputs", "confidence"} for drift in found.alarms):
        words.append(
            "The estimate assumes that a confidence means what it meant before the drift. "
            "Have some rows, drawn at random, labelled before you rely on it."
        )
    words.append(f"Deferred: {found.deferred_before:.1%} before, {found.deferred:.1%} now.")
    if found.reference_rows < FEW_ROWS:
        words.append(
            f"With {found.reference_rows} development rows only a gross drift can be found."
        )
    if found.other_versions:
        words.append(f"{found.other_versions:,} rows of other versions were left out.")
    return words


def drift_words(drift: Drift) -> str:
    """One quantity that drifted, as a sentence."""
    since = f"since {(drift.began or '')[:16].replace('T', ' ')}"
    chance = f"p = {drift.p_value:.2g}"
    if drift.kind == "labels":
        subject, style = f"share of the label {drift.name!r}", ".1%"
    else:
        subject, style = _QUANTITIES[drift.name], ".0f" if drift.name == "length" else ".3f"
    before, now = (
        "unknown" if value is None else format(value, style) for value in (drift.before, drift.now)
    )
    return f"The {subject} has drifted: {before} before, {now} {since} ({chance})."


def _estimate_words(estimate: Estimate, of: str) -> str:
    what = "accuracy" if estimate.targets == "gold" else "agreement with the teacher"
    return (
        f"Estimated {what} of {of}: {estimate.accuracy.value:.3f} "
        f"[{estimate.accuracy.low:.3f}, {estimate.accuracy.high:.3f}], "
        f"{estimate.before:.3f} on {estimate.reference_rows:,} development rows."
    )
