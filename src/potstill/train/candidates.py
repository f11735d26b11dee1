"""The candidates for a student, trained on the same lesson, and the choice between them."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate import PartialState
from tokenizers import Tokenizer
from torch import nn

from potstill.spec.task import StudentSpec
from potstill.train.bases import Base
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, load_encoder, pad_id_of, run_over
from potstill.train.frozen import Heads, assemble, fit_heads
from potstill.train.linear import mix
from potstill.train.student import Network
from potstill.train.targets import row_scores
from potstill.train.tuned import Lesson, fine_tune

_MOST_CPU_OPERATIONS = 1e14
"""About a quarter of an hour on two cores; `minilm-l6` on 10,000 short texts needs 6e13."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector


@dataclass(frozen=True)
class Candidate:
    """A trained network and how well it does on the development rows.

    Attributes:
        mode: ``frozen`` or ``tuned``.
        network: ready to be saved.
        dev_scores: see `row_scores` (development row,).
        seconds: of its training.
        history: a row for each epoch; empty for the frozen one.
    """

    mode: str
    network: Network
    dev_scores: Vector
    seconds: float
    history: list[dict[str, Any]]

    def row(self, chosen: bool) -> dict[str, Any]:
        """A line for the report."""
        return {
            "mode": self.mode,
            "dev_accuracy": float(self.dev_scores.mean()) if len(self.dev_scores) else None,
            "seconds": round(self.seconds, 1),
            "chosen": chosen,
        }


@dataclass(frozen=True)
class Course:
    """Everything that the candidates have in common.

    Attributes:
        base: the pretrained encoder.
        tokenizer: cuts at the student's length.
        lesson: the rows.
        options: mode and the settings of the fine-tuning.
        seed: of folds, batches and dropout.
        checkpoint: of the fine-tuning.
        progress: called as (phase, rows done, rows).
    """

    base: Base
    tokenizer: Tokenizer
    lesson: Lesson
    options: StudentSpec
    seed: int
    checkpoint: Checkpoint
    progress: Progress | None

    def train(self, embeddings: NDArray[np.float32] | None) -> list[Candidate]:
        """The frozen candidate, and after it the tuned one where the mode asks for it.

        Args:
            embeddings: of the training rows, where they are at hand.
        """
        started = time.monotonic()
        encoder = load_encoder(self.base)
        if embeddings is None:
            embeddings = self._embed(encoder)
        heads = fit_heads(
            self.lesson.rows,
            embeddings,
            self.lesson.targets,
            tokenizer=self.tokenizer,
            prior=self.lesson.prior,
            multilabel=self.lesson.multilabel,
            seed=self.seed,
        )
        frozen = self._frozen(encoder, heads, started)
        if self.options.mode == "frozen" or not self.lesson.dev_rows:
            return [frozen]
        if self.options.mode == "auto" and not self._affordable(encoder):
            return [frozen]
        return [frozen, self._tuned(copy.deepcopy(encoder), heads)]

    def _affordable(self, encoder: Encoder) -> bool:
        """Whether `auto` may try fine-tuning here: always on a GPU, on a CPU up to a bound.

        The estimate counts six operations a weight and token (forward and backward), as in
        Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1. It is a
        count and no timing, so that the same task takes the same path every time.
        """
        if str(PartialState().device) != "cpu":
            return True
        inside = sum(weight.numel() for weight in encoder.parameters()) - sum(
            table.weight.numel() for table in encoder.modules() if isinstance(table, nn.Embedding)
        )
        tokens = sum(map(len, self.lesson.rows)) * self.options.epochs
        return 6 * inside * tokens <= _MOST_CPU_OPERATIONS

    def _embed(self, encoder: Encoder) -> NDArray[np.float32]:
        found = run_over(
            encoder.to(PartialState().device),
            self.lesson.rows,
            pad_id=pad_id_of(encoder),
            phase="embed",
            progress=self.progress,
        )
        encoder.to("cpu")
        return found

    def _frozen(self, encoder: Encoder, heads: Heads, started: float) -> Candidate:
        network = assemble(encoder, heads, self.tokenizer)
        network.rescale(*heads.factors)
        scores = self._scores(self._dev_logits(network))
        return Candidate("frozen", network, scores, time.monotonic() - started, [])

    def _tuned(self, encoder: Encoder, heads: Heads) -> Candidate:
        started = time.monotonic()
        network = assemble(encoder, heads, self.tokenizer)
        history = fine_tune(
            network,
            self.lesson,
            options=self.options,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
        )
        # The words were right to weigh so much beside a frozen encoder, not beside this one.
        lexical = heads.words(heads.terms.features(self.lesson.dev_rows))
        deep = self._dev_logits(network) - lexical
        factors = mix(
            [deep, lexical],
            self.lesson.dev_targets,
            prior=self.lesson.prior,
            multilabel=self.lesson.multilabel,
        )
        network.rescale(factors[0], factors[1])
        mixed = np.asarray(factors[0] * deep + factors[1] * lexical, dtype=np.float32)
        return Candidate("tuned", network, self._scores(mixed), time.monotonic() - started, history)

    def _dev_logits(self, network: Network) -> Matrix:
        if not self.lesson.dev_rows:
            return np.empty_like(self.lesson.dev_targets)
        pad_id = pad_id_of(network.encoder)
        return run_over(network, self.lesson.dev_rows, pad_id=pad_id, phase="judge")

    def _scores(self, logits: Matrix) -> Vector:
        return row_scores(logits, self.lesson.dev_targets, self.lesson.multilabel)


def choose(candidates: Sequence[Candidate], mode: str) -> Candidate:
    """The tuned candidate if it was asked for, or beats the frozen one by more than noise.

    Noise is one standard error of the paired difference on the development rows. A tie goes to
    the frozen candidate, whose figure depends on fewer choices made on those very rows.
    """
    frozen, *rest = candidates
    if not rest:
        return frozen
    tuned = rest[0]
    gained = tuned.dev_scores - frozen.dev_scores
    noise = float(gained.std()) / np.sqrt(len(gained))
    return tuned if mode == "tuned" or float(gained.mean()) > noise else frozen
