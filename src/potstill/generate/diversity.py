"""How varied a set of written texts is, and how far it lies from real ones.

Words alone say how much repeats (distinct-n); embeddings, where the caller has some, say how
much of the meaning does, whether the real inputs are covered, and whether a classifier can
tell the two apart. No figure here says that a text is good: a student on real rows does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.errors import MissingExtraError

Features = NDArray[np.floating[Any]]
"""Embeddings (row, feature)."""

_WORD = re.compile(r"\w+")
_MOST_ROWS = 2000
_NEIGHBOURS = 5
_FOLDS = 5
_LEAST_ROWS = 20
_REPETITIVE_AGAINST_REAL = 0.8
_TOLD_APART = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a set of texts looks like, counted in words.

    Attributes:
        rows: texts.
        vocabulary: different words.
        words_p5: words of a short text, the 5th percentile.
        words_median: words of a middling text.
        words_p95: words of a long text, the 95th percentile.
        distinct: different n-grams divided by all n-grams, for n of 1, 2 and 3 (Li et al.
            2016, "A Diversity-Promoting Objective Function", section 5.3). It falls as texts
            grow in number, so two sets are compared at equal `distinct_words`.
        distinct_words: words over which `distinct` was counted.
    """

    rows: int
    vocabulary: int
    words_p5: float
    words_median: float
    words_p95: float
    distinct: tuple[float, float, float]
    distinct_words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a set of texts looks like, measured in embeddings.

    Attributes:
        nearest_cosine: mean cosine of a text and its nearest other one: 1 is all the same.
        vendi: Vendi score with the cosine kernel, the effective number of different texts
            (Friedman and Dieng 2023, equation 1): between 1 and the number of rows.
        rows: rows over which both were computed, a sample of large sets.
    """

    nearest_cosine: float
    vendi: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How written texts lie beside real ones.

    Attributes:
        nearest_cosine: mean cosine of a real text and the nearest written one.
        coverage: share of the real texts that have a written one within the distance of
            their fifth nearest real neighbour (Naeem et al. 2020, "Reliable Fidelity and
            Diversity Metrics", equation 4); a second real sample of that size covers
            nearly all.
        told_apart_auc: area under the ROC curve of a logistic regression that tells written
            from real, cross-validated (the classifier two-sample test of Lopez-Paz and Oquab
            2017): 0.5 cannot, 1 always does.
        rows: rows of either set that were compared, equally many.
    """

    nearest_cosine: float
    coverage: float
    told_apart_auc: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """The report on a set of written texts.

    Attributes:
        written: its words.
        real: the words of real texts, where there are any.
        spread: its embeddings, where there are any.
        real_spread: those of as many real texts.
        distance: both together; None with fewer than 20 rows of either.
    """

    written: Wording
    real: Wording | None = None
    spread: Spread | None = None
    real_spread: Spread | None = None
    distance: Distance | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; what was not measured is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def sentences(self) -> list[str]:
        """The findings, one sentence each, for a person."""
        return [*self._on_words(), *self._on_meaning()]

    def _on_words(self) -> list[str]:
        written, real = self.written, self.real
        size = (
            f"{written.rows} texts in {written.vocabulary} different words; half of them have at "
            f"most {written.words_median:.0f} words, and nine of ten between "
            f"{written.words_p5:.0f} and {written.words_p95:.0f}"
        )
        share = f"{written.distinct[1]:.0%} of their word pairs are different"
        if real is None:
            return [f"{size}.", f"{share}."]
        verdict = (
            ": they repeat themselves more than people do"
            if written.distinct[1] < _REPETITIVE_AGAINST_REAL * real.distinct[1]
            else ""
        )
        return [
            f"{size} (real ones: {real.words_median:.0f}; {real.words_p5:.0f} to "
            f"{real.words_p95:.0f}).",
            f"{share}, of real ones {real.distinct[1]:.0%} at the same size{verdict}.",
        ]

    def _on_meaning(self) -> list[str]:
        found: list[str] = []
        if self.spread is not None:
            beside = (
                f" (real ones: like {self.real_spread.vendi:.0f}, cosine "
                f"{self.real_spread.nearest_cosine:.2f})"
                if self.real_spread is not None
                else ""
            )
            found.append(
                f"In meaning {self.spread.rows} of them are worth {self.spread.vendi:.0f} entirely "
                f"different texts, and the nearest neighbour has a cosine of "
                f"{self.spread.nearest_cosine:.2f}{beside}."
            )
        if self.distance is not None:
            auc = self.distance.told_apart_auc
            verdict = (
                "so they are of another kind: show real rows, or describe how they read"
                if auc > _TOLD_APART
                else "so they are not far from real ones"
            )
            found += [
                f"{self.distance.coverage:.0%} of the real texts have a written one in their "
                "neighbourhood.",
                f"A simple classifier tells written from real with an AUC of {auc:.2f}, {verdict}.",
            ]
        return found


def measure_diversity(
    texts: Sequence[str],
    *,
    features: Features | None = None,
    real_texts: Sequence[str] = (),
    real_features: Features | None = None,
    seed: int,
) -> Diversity:
    """The report on written texts, beside real ones where there are any.

    Args:
        texts: the written ones, at least one.
        features: their embeddings (row, feature).
        real_texts: real inputs of the task; never of the test split, since what is learnt
            here changes what is asked for.
        real_features: their embeddings (row, feature).
        seed: seed of the samples that large sets are cut to, and of the folds.

    Raises:
        ValueError: there is no text, or a number of embeddings does not match.
        MissingExtraError: scikit-learn is not installed, and both embeddings are given.
    """
    if not texts:
        raise ValueError("there is no text to measure")
    for name, rows, array in (
        ("features", texts, features),
        ("real_features", real_texts, real_features),
    ):
        if array is not None and len(array) != len(rows):
            raise ValueError(f"{len(array)} {name} do not match {len(rows)} texts")
    words = _shuffled_words(texts, seed)
    real_words = _shuffled_words(real_texts, seed)
    budget = min(sum(map(len, words)), sum(map(len, real_words)) or sum(map(len, words)))
    unit = None if features is None else _unit(_sampled(features, _MOST_ROWS, seed))
    real_unit = (
        _unit(_sampled(real_features, _MOST_ROWS, seed))
        if real_features is not None and len(real_features)
        else None
    )
    return Diversity(
        written=_wording(words, budget),
        real=_wording(real_words, budget) if real_texts else None,
        spread=None if unit is None else _spread(unit, real_unit, seed),
        real_spread=None if unit is None or real_unit is None else _spread(real_unit, unit, seed),
        distance=None if unit is None or real_unit is None else _distance(unit, real_unit, seed),
    )


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams divided by all n-grams; 0 where no text has n words.

    Args:
        texts: words of each text; no n-gram reaches across two.
        n: words of an n-gram.
    """
    grams = [
        tuple(words[start : start + n]) for words in texts for start in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


def vendi_score(unit: Features) -> float:
    """The effective number of different rows: exp of the entropy of the kernel's eigenvalues.

    Friedman and Dieng 2023, "The Vendi Score", equation 1, with the cosine kernel. Its nonzero
    eigenvalues are those of the smaller matrix of features, so that the cost grows with rows
    once only.

    Args:
        unit: rows of length one (row, feature).
    """
    small = unit if len(unit) < unit.shape[1] else unit.T
    shares = np.linalg.eigvalsh(small @ small.T / len(unit))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _wording(texts: Sequence[Sequence[str]], budget: int) -> Wording:
    counts = np.array([len(words) for words in texts])
    p5, median, p95 = np.percentile(counts, [5, 50, 95])
    counted = _up_to(texts, budget)
    return Wording(
        rows=len(texts),
        vocabulary=len({word for words in texts for word in words}),
        words_p5=float(p5),
        words_median=float(median),
        words_p95=float(p95),
        distinct=(distinct_n(counted, 1), distinct_n(counted, 2), distinct_n(counted, 3)),
        distinct_words=sum(map(len, counted)),
    )


def _shuffled_words(texts: Sequence[str], seed: int) -> list[list[str]]:
    """Words of each text, case folded, in an order of chance: files are often sorted."""
    words = [_WORD.findall(text.casefold()) for text in texts]
    random.Random(seed).shuffle(words)
    return words


def _up_to(texts: Sequence[Sequence[str]], budget: int) -> list[Sequence[str]]:
    """Texts of `budget` words altogether, the last one cut."""
    counted: list[Sequence[str]] = []
    for words in texts:
        counted.append(words[:budget])
        budget -= len(counted[-1])
        if not budget:
            break
    return counted


def _spread(unit: Features, beside: Features | None, seed: int) -> Spread:
    """Over as many rows as the other set has: both figures depend on the number."""
    if beside is not None:
        unit = _sampled(unit, min(len(unit), len(beside)), seed)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = float(cosine.max(axis=1).mean()) if len(unit) > 1 else 0.0
    return Spread(nearest_cosine=nearest, vendi=vendi_score(unit), rows=len(unit))


def _distance(written: Features, real: Features, seed: int) -> Distance | None:
    rows = min(len(written), len(real))
    if rows < _LEAST_ROWS:
        return None
    written, real = _sampled(written, rows, seed), _sampled(real, rows, seed)
    nearest = (real @ written.T).max(axis=1)
    among = real @ real.T
    np.fill_diagonal(among, -np.inf)
    reach = np.sort(among, axis=1)[:, -_NEIGHBOURS]
    return Distance(
        nearest_cosine=float(nearest.mean()),
        coverage=float((nearest >= reach).mean()),
        told_apart_auc=_told_apart(written, real, seed),
        rows=rows,
    )


def _told_apart(written: Features, real: Features, seed: int) -> float:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "train") from error
    rows = np.concatenate([written, real])
    truth = np.concatenate([np.ones(len(written)), np.zeros(len(real))])
    # Standardised, or unit vectors of many dimensions would hardly move a penalised weight.
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(judge, rows, truth, cv=folds, method="decision_function")
    return float(roc_auc_score(truth, scores))


def _sampled(rows: Features, most: int, seed: int) -> Features:
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


def _unit(rows: Features) -> Features:
    exact = np.asarray(rows, dtype=np.float64)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)
