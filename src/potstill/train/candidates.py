"""The candidates for a student, trained on the same lesson, and the choice between them."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np
from accelerate import PartialState
from tokenizers import Tokenizer
from torch import nn

from potstill.spec.task import StudentSpec
from potstill.train.bases import Base
from potstill.train.checkpoint import Checkpoint
from potstill.train.encoder import Encoder, Progress, load_encoder, pad_id_of, run_over
from potstill.train.frozen import Heads, Words, assemble, fit_heads, special_tokens
from potstill.train.linear import mix
from potstill.train.static import StaticEncoder
from potstill.train.student import Network
from potstill.train.tokens import TokenIds
from potstill.train.tuned import Lesson, fine_tune

MOST_CPU_OPERATIONS = 1e14
"""About a quarter of an hour on two cores; `minilm-l6` on 10,000 short texts needs 6e13."""

_NO_SCORES = np.empty(0, dtype=np.float32)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.train.targets import Matrix, Vector


@dataclass(frozen=True)
class Candidate:
    """A trained network and how well it does on rows that it has not learnt from.

    Attributes:
        course: in which it was trained.
        mode: ``frozen`` or ``tuned``.
        network: ready to be saved.
        dev_scores: see `row_scores` (development row,).
        held_out_scores: of training rows that heads of the folds had not seen (held-out row,),
            where a comparison looks at them; it has the same rows for every frozen candidate.
        seconds: of its training.
        history: a row for each epoch; empty for the frozen one.
    """

    course: Course
    mode: str
    network: Network
    dev_scores: Vector
    held_out_scores: Vector
    seconds: float
    history: list[dict[str, Any]]

    def row(self, chosen: bool) -> dict[str, Any]:
        """A line for the report."""
        return {
            "base": self.course.base.name,
            "mode": self.mode,
            "dev_accuracy": float(self.dev_scores.mean()) if len(self.dev_scores) else None,
            "seconds": round(self.seconds, 1),
            "chosen": chosen,
        }


@dataclass(frozen=True)
class Course:
    """The training of one base, in its modes.

    Attributes:
        base: the pretrained encoder.
        tokenizer: cuts at the student's length.
        lesson: the rows.
        max_tokens: tokens that a student of it reads, special ones included.
        options: mode and the settings of the fine-tuning.
        seed: of folds, batches and dropout.
        checkpoint: of the fine-tuning.
        progress: called as (phase, rows done, rows).
    """

    base: Base
    tokenizer: Tokenizer
    lesson: Lesson
    max_tokens: int
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
        if embeddings is None:
            embeddings = self.embed(self.lesson.rows)
        heads = self.fit(embeddings)
        frozen = self.frozen(heads, started)
        tunable = self.base.kind == "transformer" and self.lesson.dev_rows
        if self.options.mode == "frozen" or not tunable:
            return [frozen]
        if self.options.mode == "auto" and not affordable(self.encoder, self._tokens):
            return [frozen]
        return [frozen, self.tuned(heads)]

    @cached_property
    def encoder(self) -> Encoder | StaticEncoder | None:
        """What the base gives to a student, frozen; None where that is its tokenizer alone."""
        if self.base.kind == "tfidf":
            return None
        encoder = load_encoder(self.base)
        if self.base.kind == "transformer":
            return encoder
        table = cast("Any", encoder.transformer).get_input_embeddings().weight.detach()
        return StaticEncoder.of(table, special_tokens(self.tokenizer))

    def embed(self, rows: TokenIds) -> NDArray[np.float32] | None:
        """Embeddings (row, dimension); None where the base embeds nothing.

        Args:
            rows: token ids (row, token).
        """
        if self.encoder is None:
            return None
        encoder = self.encoder.to(PartialState().device)
        pad_id = pad_id_of(encoder)
        found = run_over(encoder, rows, pad_id=pad_id, phase="embed", progress=self.progress)
        encoder.to("cpu")
        return found

    def fit(
        self,
        embeddings: NDArray[np.float32] | None,
        rows: NDArray[np.int64] | None = None,
        words: Words | None = None,
    ) -> Heads:
        """Heads on training rows.

        Args:
            embeddings: of those rows.
            rows: row numbers; None for all rows.
            words: fitted to those rows already.
        """
        lesson = self.lesson
        return fit_heads(
            lesson.rows if rows is None else [lesson.rows[row] for row in rows],
            embeddings,
            lesson.targets if rows is None else lesson.targets[rows],
            tokenizer=self.tokenizer,
            prior=lesson.prior,
            multilabel=lesson.multilabel,
            seed=self.seed,
            flag=lesson.flag,
            words=words,
        )

    def network(self, heads: Heads) -> Network:
        """Encoder and heads in one, weighed against each other."""
        network = assemble(self.encoder, heads, self.tokenizer)
        network.rescale(*heads.factors)
        return network

    def frozen(self, heads: Heads, started: float) -> Candidate:
        """The candidate whose encoder stays as it was.

        Args:
            heads: fitted to all training rows.
            started: by `time.monotonic`.
        """
        network = self.network(heads)
        scores = self.lesson.dev_scores(self._dev_logits(network))
        return Candidate(
            self, "frozen", network, scores, _NO_SCORES, time.monotonic() - started, []
        )

    def tuned(self, heads: Heads, rival: Vector | None = None) -> Candidate:
        """The candidate whose encoder learns too.

        Args:
            heads: fitted to all training rows and the frozen encoder.
            rival: see `fine_tune`.
        """
        started = time.monotonic()
        network = assemble(copy.deepcopy(self.encoder), heads, self.tokenizer)
        history = fine_tune(
            network,
            self.lesson,
            options=self.options,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
            rival=rival,
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
        spent = time.monotonic() - started
        scores = self.lesson.dev_scores(mixed)
        return Candidate(self, "tuned", network, scores, _NO_SCORES, spent, history)

    @property
    def _tokens(self) -> int:
        """Tokens that a fine-tuning reads."""
        return sum(map(len, self.lesson.rows)) * self.options.epochs

    def _dev_logits(self, network: Network) -> Matrix:
        if not self.lesson.dev_rows:
            return np.empty_like(self.lesson.dev_targets)
        pad_id = pad_id_of(network.encoder)
        return run_over(network, self.lesson.dev_rows, pad_id=pad_id, phase="judge")


def weights_inside(encoder: nn.Module | None) -> int:
    """Weights that a token is multiplied with: all of a transformer's but its tables."""
    if not isinstance(encoder, Encoder):
        return 0
    return sum(weight.numel() for weight in encoder.parameters()) - sum(
        table.weight.numel() for table in encoder.modules() if isinstance(table, nn.Embedding)
    )


def affordable(encoder: nn.Module | None, tokens: int) -> bool:
    """Whether `auto` may try fine-tuning here: always on a GPU, on a CPU up to a bound.

    The estimate counts six operations a weight and token (forward and backward), as in
    Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1. It is a
    count and no timing, so that the same task takes the same path every time.

    Args:
        encoder: that would learn.
        tokens: that it would read in all epochs together.
    """
    if str(PartialState().device) != "cpu":
        return True
    return 6 * weights_inside(encoder) * tokens <= MOST_CPU_OPERATIONS


class Judged(Protocol):
    """A candidate that was tried on the development rows."""

    @property
    def dev_scores(self) -> NDArray[Any]:
        """How well it does on each of them; higher is better (development row,)."""
        ...


_Judged = TypeVar("_Judged", bound=Judged)


def choose(candidates: Sequence[_Judged], mode: str) -> _Judged:
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
