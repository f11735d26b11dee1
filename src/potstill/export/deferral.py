"""Which development rows fit the decision and which certify it, and what comes of both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example, Prediction
from potstill.export.calibrate import calibrate
from potstill.export.certify import FITTING, certify
from potstill.export.flagging import fit_flag
from potstill.export.scope import fit_scope
from potstill.runtime.decision import Decision
from potstill.runtime.deferral import DeferralPolicy, Scope
from potstill.spec.deferral import DeferSpec
from potstill.spec.flagging import FlagSpec


@dataclass(frozen=True, slots=True)
class Answered:
    """Rows, and what the exported graph said of them.

    Attributes:
        rows: examples.
        logits: (row, label), in the same order.
    """

    rows: Sequence[Example]
    logits: NDArray[np.float32]

    def only(self, keep: Sequence[bool]) -> Answered:
        """The rows where `keep` is true."""
        rows = [row for row, kept in zip(self.rows, keep, strict=True) if kept]
        return Answered(rows, self.logits[np.array(keep, dtype=np.bool_)])


@dataclass(frozen=True, slots=True)
class Settled:
    """A decision that is fitted, and the facts about it for ``model.json``.

    Attributes:
        decision: with temperature, thresholds and deferral.
        calibration: of the temperature, see `calibrate`.
        deferral: content of the key ``deferral``; None where nothing is deferred.
    """

    decision: Decision
    calibration: dict[str, Any]
    deferral: dict[str, Any] | None


def certifying_rows(dev: Sequence[Example], *, seed: int) -> list[Example]:
    """The development rows that nothing but the certificate of a deferral may see.

    Three of four rows with a person's label, drawn by the hash of their id; whole groups. A
    training that chooses by development rows must not be given these, or the certificate would
    be shown on rows that the student was chosen by.

    Args:
        dev: development rows.
        seed: another seed draws others; the export must be given the same one.
    """
    return [row for row in dev if row.is_gold and _draw(row, seed) >= FITTING]


def settle(
    blank: Decision,
    dev: Answered,
    *,
    more_outside: NDArray[np.float32],
    defer: DeferSpec | None,
    flag: FlagSpec | None = None,
    seed: int,
) -> Settled:
    """Fit temperature, thresholds and scope, and certify the bound from which is answered.

    Args:
        blank: label order and kind.
        dev: development rows; a target that is no label of `blank` says that none fits.
        more_outside: logits (row, label) of further rows that fit none, which the scope is
            learnt from and the certificate is not.
        defer: the bound on the errors that is asked for; without it all rows fit, and only
            what is out of scope is deferred.
        flag: the rare label that is looked for; its threshold is fitted on the same rows as the
            temperature.
        seed: see `certifying_rows`.
    """
    kept = {id(row) for row in certifying_rows(dev.rows, seed=seed)} if defer else set[int]()
    certifies = [id(row) in kept for row in dev.rows]
    certifying, fitting = dev.only(certifies), dev.only([not one for one in certifies])
    fits_none = _outside(fitting, blank)
    inside, outside = fitting.only([not one for one in fits_none]), fitting.only(fits_none)
    decision, calibration = calibrate(blank, inside.logits, inside.rows)
    if flag is not None:
        decision, calibration["flag"] = fit_flag(decision, inside.logits, inside.rows, flag)
    strangers = np.concatenate([outside.logits, more_outside])
    share = len(outside.rows) / max(len(fitting.rows), 1)
    scope = fit_scope(
        decision.energy(inside.logits), decision.energy(strangers), share=share or None
    )
    if defer is None and scope is None:
        return Settled(decision, calibration, None)
    decision = replace(decision, deferral=DeferralPolicy(scope=scope))
    facts: dict[str, Any] = {
        "scope_rows": len(strangers),
        "scope_statement": _scope_statement(scope, strangers),
    }
    if defer is not None:
        predictions = _predict(decision, certifying)
        certificate = certify(
            predictions,
            np.array([_right(p, r) for p, r in zip(predictions, certifying.rows, strict=True)]),
            outside=sum(_outside(certifying, blank)),
            earlier=_predict(decision, fitting),
            spec=defer,
        )
        policy = DeferralPolicy(certificate.min_confidence, scope)
        decision = replace(decision, deferral=policy)
        facts["certificate"] = certificate.to_json(defer)
    assert decision.deferral is not None
    return Settled(decision, calibration, {**decision.deferral.to_json(), **facts})


def _draw(row: Example, seed: int) -> float:
    """A number in [0, 1) of a row, or of the group that it belongs to."""
    name = f"{seed}:certificate:{row.group or row.id}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def _outside(answered: Answered, decision: Decision) -> list[bool]:
    """Which rows fit no label; for multilabel none: no label at all is an answer."""
    return [isinstance(r.target, str) and r.target not in decision.labels for r in answered.rows]


def _predict(decision: Decision, answered: Answered) -> list[Prediction]:
    return [decision.answer(logits) for logits in answered.logits]


def _right(prediction: Prediction, row: Example) -> bool:
    if isinstance(prediction.target, tuple) and isinstance(row.target, tuple):
        return set(prediction.target) == set(row.target)
    return prediction.target == row.target


def _scope_statement(scope: Scope | None, strangers: NDArray[np.float32]) -> str:
    if scope is None:
        return (
            f"It does not recognise texts that fit none of its labels: of {len(strangers):,} such "
            "rows it could not learn how they look. The task's 'data.out_of_scope' names them."
        )
    return (
        f"It recognises texts that fit none of its labels, as far as they resemble the "
        f"{len(strangers):,} such rows that it learnt them from."
    )
