"""Label noise: rows whose label a model that never saw them finds hard to believe.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 70) over out-of-fold probabilities of a logistic
regression. cleanlab does the counting; ours is only the choice of features and the reasons.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from potstill.data import Example, Rejection
from potstill.errors import MissingExtraError
from potstill.filter.base import reject

_FOLDS = 5


@dataclass(frozen=True)
class Noise:
    """Rejects rows whose label is probably wrong, the most suspect first.

    A person's label helps to judge the others and is never rejected itself: where gold was
    filtered, students became worse (docs/experiments.md).

    Attributes:
        features: id of a row -> its embedding (dimension,); without it word statistics
            (TF-IDF) are used.
        max_share: at most this share of the rows is rejected.
        seed: seed of the folds.
    """

    max_share: float
    seed: int
    features: dict[str, np.ndarray[Any, np.dtype[np.float32]]] | None = None
    name: str = "noise"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`. Multilabel rows, and labels with fewer rows than folds, are kept.

        Raises:
            MissingExtraError: scikit-learn or cleanlab is not installed.
        """
        counts = Counter(example.target for example in examples)
        judged = [
            example
            for example in examples
            if isinstance(example.target, str) and counts[example.target] >= _FOLDS
        ]
        names = sorted({str(example.target) for example in judged})
        if len(names) < 2:
            return []
        position = {name: index for index, name in enumerate(names)}
        given = np.array([position[str(example.target)] for example in judged])
        believed = self._out_of_fold(judged, given)
        suspects = [row for row in _most_suspect(given, believed) if not judged[row].is_gold]
        suspects = suspects[: int(self.max_share * len(examples))]
        rejected: list[Rejection] = []
        for row in suspects:
            best = int(believed[row].argmax())
            detail = (
                f"labelled {names[given[row]]!r} (believed {believed[row, given[row]]:.2f}), "
                f"rows like it say {names[best]!r} ({believed[row, best]:.2f})"
            )
            rejected.append(reject(judged[row], self.name, "label_noise", detail))
        return rejected

    def _out_of_fold(self, examples: Sequence[Example], given: np.ndarray) -> np.ndarray:
        """Probabilities (row, label) from models that did not see the row."""
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
            from sklearn.linear_model import LogisticRegression
            from sklearn.model_selection import StratifiedKFold, cross_val_predict
            from sklearn.pipeline import make_pipeline
        except ImportError as error:
            raise MissingExtraError("scikit-learn", "train") from error
        regression = LogisticRegression(C=10.0, max_iter=1000)
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=self.seed)
        if self.features is not None:
            model, rows = regression, np.stack([self.features[e.id] for e in examples])
        else:
            model = make_pipeline(TfidfVectorizer(sublinear_tf=True), regression)
            rows = [example.text for example in examples]
        believed = cross_val_predict(model, rows, given, cv=folds, method="predict_proba")
        return np.asarray(believed)


def _most_suspect(given: np.ndarray, believed: np.ndarray) -> list[int]:
    """Rows with probable label errors, most suspect first."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cleanlab probes optional backends at import
            from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise MissingExtraError("cleanlab", "train") from error
    return find_label_issues(
        given, believed, return_indices_ranked_by="self_confidence", n_jobs=1
    ).tolist()
