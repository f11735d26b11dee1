"""How good written texts are: ROUGE against references, and what they made up.

An input without an answer counts as a text that says nothing: its ROUGE is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from potstill.data import Example, Input, Prediction, Text, document_of
from potstill.data.counting import count_words, first_words
from potstill.data.rouge import rouge
from potstill.data.sentences import split_sentences
from potstill.errors import DataError
from potstill.evaluate.intervals import (
    Interval,
    difference_interval,
    percentile_intervals,
    resampled_sums,
)
from potstill.evaluate.metrics import RESAMPLES, Evaluation
from potstill.evaluate.paired import ComparedRow, Comparison, mcnemar_p
from potstill.evaluate.written import Written
from potstill.runtime.guards import invented

if TYPE_CHECKING:
    from potstill.evaluate.intervals import FloatArray

FIGURES = ("rouge_1", "rouge_2", "rouge_l")


class Lead:
    """The beginning of the document: what a summary has to beat.

    Args:
        max_words: words of the longest answer. Sentences are taken as long as they fit; where
            not even the first does, it is cut.
        sentences: take at most so many; None is as many as fit.
    """

    labels: tuple[str, ...] = ()

    def __init__(self, max_words: int, sentences: int | None = None) -> None:
        self.name = f"lead-{sentences or 'k'}"
        self._max_words = max_words
        self._sentences = sentences

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """The first sentences of each document."""
        return [Prediction(Text(self._lead(document_of(value)))) for value in inputs]

    def _lead(self, document: str) -> str:
        taken: list[str] = []
        left = self._max_words
        for sentence in split_sentences(document)[: self._sentences]:
            if taken and sentence.words > left:
                break
            taken.append(sentence.text)
            left -= sentence.words
        return first_words(" ".join(taken), self._max_words)


def evaluate_texts(
    predictions: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    name: str = "student",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Hold texts against gold.

    The metrics, each a mean over rows: `rouge_1`, `rouge_2` and `rouge_l`, F1 against the best
    reference; and of the rows that are answered `invented`, the share whose text has a figure
    or a name that its source has not, and `copied`, the share of a text's word pairs that its
    source has as well (one minus the novel bigrams of See et al. 2017, "Get To The Point").

    Args:
        predictions: answers, in the order of `gold`.
        gold: rows whose target is a text.
        name: the predictor, for tables.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.

    Raises:
        DataError: no rows, unequal lengths, or a row without a text for gold.
        MissingExtraError: rouge-score is not installed.
    """
    scores = _scores(predictions, gold)
    answers = zip(map(_answer, predictions), gold, strict=True)
    told = [(answer, row) for answer, row in answers if answer is not None]
    made_up = [float(bool(invented(answer.text, row.text))) for answer, row in told]
    copied = [_copied(answer.text, row.text) for answer, row in told]
    rouges = _means(scores, resamples=resamples, seed=seed)
    rest = _means(np.column_stack([made_up, copied]), resamples=resamples, seed=seed)
    return Evaluation(
        name=name,
        kind="generation",
        labels=(),
        n=len(gold),
        unanswered=len(gold) - len(told),
        metrics=dict(zip((*FIGURES, "invented", "copied"), (*rouges, *rest), strict=True)),
        per_label=(),
        calibration=None,
        coverage=(),
        confusion=(),
        warnings=(),
        written=Written(
            words=_mean([count_words(answer.text) for answer, _ in told]),
            gold_words=_mean([count_words(_gold_of(row).text) for row in gold]),
            longer=sum(count_words(answer.text) > count_words(row.text) for answer, row in told),
            guarded=sum(bool(answer.guarded) for answer, _ in told),
        ),
    )


def compare_texts(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    names: tuple[str, str] = ("a", "b"),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare two predictors on the same rows by the paired bootstrap, as `compare` does.

    A row is won by the text with the higher ROUGE-L; the p-value is that of the exact sign
    test, which McNemar's is on wins and losses.

    Args:
        a: answers of the first, in the order of `gold`.
        b: answers of the second.
        gold: rows whose target is a text.
        names: the two predictors, for tables.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.

    Raises:
        DataError: no rows, unequal lengths, or a row without a text for gold.
        MissingExtraError: rouge-score is not installed.
    """
    apart = _scores(a, gold) - _scores(b, gold)
    resampled = resampled_sums(apart, resamples=resamples, seed=seed) / len(gold)
    ahead = np.sign(apart[:, FIGURES.index("rouge_l")])
    wins, losses = int((ahead > 0).sum()), int((ahead < 0).sum())
    return Comparison(
        names=names,
        kind="generation",
        n=len(gold),
        differences={
            figure: difference_interval(float(apart[:, at].mean()), resampled[:, at])
            for at, figure in enumerate(FIGURES)
        },
        wins=wins,
        losses=losses,
        ties=len(gold) - wins - losses,
        p_value=mcnemar_p(wins, losses),
        rows=tuple(
            ComparedRow(
                id=row.id,
                gold=_gold_of(row),
                a=a[at].target,
                b=b[at].target,
                outcome="win" if ahead[at] > 0 else "loss" if ahead[at] < 0 else "tie",
            )
            for at, row in enumerate(gold)
        ),
    )


def _scores(predictions: Sequence[Prediction], gold: Sequence[Example]) -> FloatArray:
    """ROUGE of each row (row, figure), in the order of `FIGURES`."""
    if not gold:
        raise DataError("there is no row to evaluate")
    if len(predictions) != len(gold):
        raise DataError(f"{len(predictions)} predictions do not fit {len(gold)} rows")
    scores = np.zeros((len(gold), len(FIGURES)))
    for at, (answer, row) in enumerate(zip(map(_answer, predictions), gold, strict=True)):
        wanted = _gold_of(row)
        if answer is not None:
            found = rouge(answer.text, (wanted.text, *wanted.references))
            scores[at] = [getattr(found, figure) for figure in FIGURES]
    return scores


def _answer(prediction: Prediction) -> Text | None:
    return prediction.answer if isinstance(prediction.answer, Text) else None


def _gold_of(row: Example) -> Text:
    if not isinstance(row.target, Text):
        raise DataError(f"the row {row.id} has no text to compare with", hint="Check 'columns'.")
    return row.target


def _copied(text: str, source: str) -> float:
    """The share of a text's word pairs that stand in the source; 1 where it has none."""
    pairs, known = _pairs(text), set(_pairs(source))
    return sum(pair in known for pair in pairs) / len(pairs) if pairs else 1.0


def _pairs(text: str) -> list[tuple[str, str]]:
    words = [word.strip(".,;:!?\"'()").lower() for word in text.split()]
    return list(pairwise(words))


def _means(columns: FloatArray, *, resamples: int, seed: int) -> list[Interval]:
    """The mean over rows of each column (row, column); without a row nothing is known."""
    rows = len(columns)
    if rows == 0:
        return [Interval(0.0, 0.0, 1.0)] * columns.shape[1]
    sums = resampled_sums(columns, resamples=resamples, seed=seed)
    return percentile_intervals(columns.mean(axis=0), sums / rows, rows)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
