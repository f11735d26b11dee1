"""Trace health: rows whose thought is too long, loops, changes language or means another label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from potstill.data import Example, Rejection
from potstill.filter.base import reject
from potstill.verify.health import MAX_TRACE_TOKENS, health


@dataclass(frozen=True)
class TraceHealth:
    """Rejects rows with an unhealthy thought, for the worst thing that is wrong with it.

    A row without a thought has nothing to be judged, and a person's row stays. A thought whose
    teacher answered differently when asked again is ``unstable``, by the same bound as
    `Agreement`: that filter speaks of teachers who contradict each other, this one of a
    teacher who contradicts himself, so no row is counted twice.

    Attributes:
        labels: the taxonomy.
        max_tokens: the longest thought that passes.
        min_agreement: least share of one teacher's answers that the winner must have, 0 to 1.
        tokens: id of a row -> the exact length of its thought, where it is known.
    """

    labels: tuple[str, ...]
    max_tokens: int = MAX_TRACE_TOKENS
    min_agreement: float = 0.5
    tokens: Mapping[str, int] = field(default_factory=dict[str, int])
    name: str = "trace_health"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`.

        Raises:
            MissingExtraError: lingua-language-detector is not installed.
        """
        return [found for example in examples if (found := self._fault(example)) is not None]

    def _fault(self, example: Example) -> Rejection | None:
        if not example.reasoning or example.is_gold:
            return None
        examined = health(
            example.reasoning,
            answer=example.target,
            labels=self.labels,
            quotable=example.text,
            tokens=self.tokens.get(example.id),
            max_tokens=self.max_tokens,
        )
        for worst in examined.findings[:1]:
            return reject(example, self.name, worst.cause, worst.detail)
        return self._unstable(example)

    def _unstable(self, example: Example) -> Rejection | None:
        givers = [source for source in example.sources if "target" in source.contributed]
        answer, shares = example.target, example.soft_target
        # One answer is not unstable, however unsure; nor is one that a rule was joined to.
        votes = len(givers) > 1 and all(source.kind == "model" for source in givers)
        alone = len({source.name for source in givers}) == 1
        if not (votes and alone) or shares is None or not isinstance(answer, str):
            return None
        share = shares.get(answer, 0.0)
        if share >= self.min_agreement:
            return None
        detail = (
            f"asked again, the teacher keeps to {answer!r} with {share:.2f}, "
            f"below {self.min_agreement:.2f}"
        )
        return reject(example, self.name, "unstable", detail)
