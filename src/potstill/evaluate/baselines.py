"""Baselines that every report shows without being asked: the least that a student must beat.

`Majority` reads nothing; `TfidfLogistic` is the classical text classifier, which costs next
to nothing and is not seldom hard to beat. Both are Predictors that train on the same rows as
the student, soft targets included.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from potstill.data import Example, Input, Prediction, Target, labels_of, text_of
from potstill.errors import DataError, MissingExtraError
from potstill.evaluate.intervals import FloatArray
from potstill.spec.flagging import FlagSpec

MAJORITY = "majority"
TFIDF = "TF-IDF + logistic regression"

# A committee leaves a little probability on every label. Below this it is dropped, so that a
# row of 150 labels does not become 150 rows.
_LEAST_WEIGHT = 0.02

# Inverse regularisation. With vectors of length one the usual 1 is too strong: in 3-fold
# cross-validation, 10 gives 0.93 on banking77 (5,000 rows, 40 labels; 1 gives 0.91) and 0.75
# on 750 complaints (1 gives 0.76).
_INVERSE_REGULARISATION = 10.0

_FEATURES = 30_000


class Majority:
    """Gives every input the most frequent answer of the training rows."""

    name = MAJORITY

    def __init__(self, labels: tuple[str, ...], answer: Prediction) -> None:
        self.labels = labels
        self._answer = answer

    @classmethod
    def fit(cls, train: Sequence[Example], labels: Sequence[str], multilabel: bool) -> Self:
        """Count the answers; soft targets count in part, and the first label wins a tie.

        In a multilabel task the answer is the most frequent set of labels.

        Raises:
            DataError: no training row has a target.
        """
        order = tuple(labels)
        shares = _target_matrix(train, order, multilabel=multilabel)
        mean = shares.mean(axis=0)
        scores = dict(zip(order, mean.tolist(), strict=True))
        if multilabel:
            sets = Counter(tuple(np.flatnonzero(row >= 0.5).tolist()) for row in shares)
            winner, rows = min(sets.items(), key=lambda item: (-item[1], item[0]))
            target: Target = tuple(order[index] for index in winner)
            return cls(order, Prediction(target, rows / len(shares), scores))
        best = int(mean.argmax())
        return cls(order, Prediction(order[best], float(mean[best]), scores))

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """The one answer, for each input."""
        return [self._answer] * len(inputs)


class TfidfLogistic:
    """Logistic regression on TF-IDF of words, word pairs and character 3- to 5-grams.

    Characters make it robust to spelling and let it read scripts without spaces. In a
    multilabel task there is one regression a label, with a threshold of one half, and the
    confidence is the product of the labels' own, as if they were independent.
    """

    name = TFIDF

    def __init__(
        self,
        labels: tuple[str, ...],
        multilabel: bool,
        vectoriser: Any,
        heads: list[Any],
        flag: FlagSpec | None = None,
    ) -> None:
        self.labels = labels
        self._multilabel = multilabel
        self._vectoriser = vectoriser
        self._heads = heads
        self._flag = flag

    @classmethod
    def fit(
        cls,
        train: Sequence[Example],
        labels: Sequence[str],
        multilabel: bool,
        seed: int = 0,
        flag: FlagSpec | None = None,
    ) -> Self:
        """Train on the rows.

        A rare label whose errors have costs is answered from the probability that these set;
        see `potstill.export.flagging`.

        A soft target is learnt by weighted expansion: its row counts once for each label,
        weighted with the label's probability, which gives the cross-entropy against the
        distribution.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            DataError: no training row has a target, or no training text has a character.
        """
        order = tuple(labels)
        shares = _target_matrix(train, order, multilabel=multilabel)
        vectoriser = _vectoriser()
        try:
            features = vectoriser.fit_transform([example.text for example in train])
        except ValueError as error:
            raise DataError(
                "the training texts hold no words to learn from", hint="Check 'columns.input'."
            ) from error
        if multilabel:
            pairs = (np.column_stack([1 - column, column]) for column in shares.T)
            heads = [_fit_head(features, pair, seed) for pair in pairs]
        else:
            heads = [_fit_head(features, shares, seed)]
        return cls(order, multilabel, vectoriser, heads, flag)

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """One prediction an input, with a probability for each label."""
        if not inputs:
            return []
        features = self._vectoriser.transform([text_of(value) for value in inputs])
        if self._multilabel:
            scores = np.column_stack([head(features)[:, 1] for head in self._heads])
        else:
            scores = self._heads[0](features)
        return [self._prediction(row) for row in scores]

    def _prediction(self, row: FloatArray) -> Prediction:
        scores = dict(zip(self.labels, row.tolist(), strict=True))
        if self._multilabel:
            target = tuple(label for label, score in scores.items() if score >= 0.5)
            return Prediction(target, float(np.maximum(row, 1 - row).prod()), scores)
        best = int(row.argmax())
        if self._flag is not None and (costs := self._flag.costs) is not None:
            flagged = self.labels.index(self._flag.label)
            fair = costs.false_alarm / (costs.false_alarm + costs.miss)
            best = flagged if row[flagged] >= fair else 1 - flagged
        return Prediction(self.labels[best], float(row[best]), scores)


def _target_matrix(
    train: Sequence[Example], labels: tuple[str, ...], *, multilabel: bool
) -> FloatArray:
    """What is taught, (row, label): a distribution, or in a multilabel task a share a label."""
    if not train:
        raise DataError("there is no training row for the baselines")
    place = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(train), len(labels)))
    for row, example in enumerate(train):
        for label, share in _shares(example).items():
            if label not in place:
                raise DataError(f"training row {example.id!r} has the unknown label {label!r}")
            matrix[row, place[label]] = share
    if multilabel:
        return matrix
    matrix[matrix < _LEAST_WEIGHT * matrix.max(axis=1, keepdims=True)] = 0.0
    return matrix / matrix.sum(axis=1, keepdims=True)


def _shares(example: Example) -> Mapping[str, float]:
    if example.soft_target:
        return example.soft_target
    if example.target is None:
        raise DataError(f"training row {example.id!r} has no target")
    return dict.fromkeys(labels_of(example.target), 1.0)


def _vectoriser() -> Any:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union
    except ImportError:
        raise MissingExtraError("scikit-learn", "train") from None
    return make_union(
        TfidfVectorizer(
            sublinear_tf=True,
            ngram_range=(1, 2),
            token_pattern=r"(?u)\b\w+\b",
            max_features=_FEATURES,
        ),
        TfidfVectorizer(
            sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5), max_features=_FEATURES
        ),
    )


class _Head:
    """Probabilities (row, class) of a regression that may have seen only some of the classes."""

    def __init__(self, regression: Any, classes: NDArray[np.intp], width: int) -> None:
        self._regression = regression
        self._classes = classes
        self._width = width

    def __call__(self, features: Any) -> FloatArray:
        full = np.zeros((features.shape[0], self._width))
        # With one class there was nothing to learn.
        seen = 1.0 if self._regression is None else self._regression.predict_proba(features)
        full[:, self._classes] = seen
        return full


def _fit_head(features: Any, shares: FloatArray, seed: int) -> _Head:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows, classes = np.nonzero(shares)
    seen = np.unique(classes)
    if len(seen) == 1:
        return _Head(None, seen, shares.shape[1])
    regression = LogisticRegression(
        C=_INVERSE_REGULARISATION, max_iter=300, tol=1e-3, random_state=seed
    )
    with warnings.catch_warnings():
        # A baseline that stops early is still a baseline.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(features[rows], classes, sample_weight=shares[rows, classes])
    return _Head(regression, seen, shares.shape[1])
