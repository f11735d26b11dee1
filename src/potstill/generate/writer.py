"""The writer: has texts written for cells of the grid, and lets only new ones pass.

Everything is worked through in the order of the requests, whatever the order of the replies:
a run that was killed and goes on then builds the very same requests again, and the ledger
answers all that were paid for.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from potstill.data import Example, Input, Rejection, Source, Target, id_of, labels_of
from potstill.generate.commission import opening_turns, read_texts, writing_schema, writing_turn
from potstill.generate.grid import Cell
from potstill.generate.novelty import Novelty
from potstill.spec.task import Task
from potstill.spec.teacher import Endpoint, GenerateSpec
from potstill.teacher.request import Asker, Outcome, Request

STAGE = "synthesise"

_SEEDS_SHOWN = 2
_KNOWN_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Written:
    """A new input, and what it was meant to mean.

    The meaning stands beside the example and never in it: whoever answers the example cannot
    see it.

    Attributes:
        example: the input with its lineage, without a target; its cost is that of writing.
        cell: what was asked for.
    """

    example: Example
    cell: Cell


@dataclass(slots=True)
class _Batch:
    """The cells of one request, and the real rows that it shows."""

    id: str
    cells: list[Cell]
    shown: tuple[Example, ...] = ()


class Writer:
    """Has texts written for cells, round by round, and remembers what there is.

    Args:
        asker: the teacher.
        task: the labels.
        spec: texts a request, temperature, seeds, and what a copy is.
        teacher: most tokens of a reply, and the terms of what it writes.
        seeds: training rows that may be shown as examples of how real inputs read: those of
            the cell's label, else unlabelled ones.
        frozen: rows of the test and development splits, which no text may repeat.
        seed: seed of the choice of seeds.

    Raises:
        ValueError: a seed is of the test or development split.
        MissingExtraError: datasketch is not installed.
    """

    def __init__(
        self,
        asker: Asker,
        *,
        task: Task,
        spec: GenerateSpec,
        teacher: Endpoint,
        seeds: Sequence[Example] = (),
        frozen: Sequence[Example] = (),
        seed: int,
    ) -> None:
        if any(example.split in ("dev", "test") for example in seeds):
            raise ValueError("a row of the test or development split cannot be a seed")
        self.requests = 0
        """Requests for texts so far."""
        self._asker = asker
        self._task = task
        self._spec = spec
        self._teacher = teacher
        self._seed = seed
        self._opening = opening_turns(task, spec.per_request)
        self._seeds = _by_label(seeds if spec.seeds else ())
        self._novelty = Novelty(
            task.labels, seeds=seeds, frozen=frozen, similarity=spec.max_seed_similarity
        )
        self._kept: dict[Target, list[str]] = defaultdict(list)
        self._asked: Counter[str] = Counter()

    def write(self, cells: Sequence[Cell]) -> Iterator[Written | Rejection]:
        """One new text, or a rejection, for each cell; one rejection for a request that failed.

        Raises:
            BudgetReached: the next request could pass the cap.
            TeacherError: the teacher cannot be asked.
        """
        wanted = [
            _Batch(f"{STAGE}:{number}", batch)
            for number, batch in enumerate(
                batches(cells, self._spec.per_request), start=self.requests
            )
        ]
        self.requests += len(wanted)
        early: dict[str, Outcome] = {}
        waiting = iter(wanted)
        head = next(waiting, None)
        for outcome in self._asker.ask(self._request(batch) for batch in wanted):
            early[outcome.request.id] = outcome
            while head is not None and head.id in early:
                yield from self._read(early.pop(head.id), head)
                head = next(waiting, None)

    def show(self, kept: Iterable[Written]) -> None:
        """From the next round on, ask for texts unlike these."""
        for written in kept:
            self._kept[written.cell.target].append(written.example.text)

    def _request(self, batch: _Batch) -> Request:
        generator = random.Random(f"{self._seed}:{batch.id}")
        first = batch.cells[0]
        real = [seed for label in first.labels for seed in self._seeds.get(label, ())]
        real = real or self._seeds.get(None, [])
        batch.shown = tuple(generator.sample(real, min(_SEEDS_SHOWN, len(real))))
        # Texts of earlier rounds alone: those of this round come in an order of chance.
        kept = self._kept.get(first.target, [])
        turn = writing_turn(
            self._task,
            batch.cells,
            seeds=[example.input for example in batch.shown],
            known=generator.sample(kept, min(_KNOWN_SHOWN, len(kept))),
        )
        # Without ideas many requests read alike; each must be asked, and cached, for itself.
        self._asked[turn["content"]] += 1
        return Request(
            id=batch.id,
            purpose=STAGE,
            messages=(*self._opening, turn),
            max_tokens=self._teacher.max_tokens,
            temperature=self._spec.temperature,
            schema=writing_schema(self._task, batch.cells),
            sample=self._asked[turn["content"]] - 1,
        )

    def _read(self, outcome: Outcome, batch: _Batch) -> Iterator[Written | Rejection]:
        if outcome.fault is not None:
            yield Rejection(
                id=batch.id,
                stage=STAGE,
                cause=outcome.fault,
                detail=outcome.detail,
                cost_usd=outcome.cost_usd,
            )
            return
        lineage = (*_prompted_by(batch.shown), self._source(outcome))
        cost_usd = None if outcome.cost_usd is None else outcome.cost_usd / len(batch.cells)
        texts = read_texts(self._task, outcome.value)
        for cell, text in zip(batch.cells, texts, strict=True):
            rule = Source(
                kind="rule", name=f"grid:{cell.difficulty}", contributed=("prompt",), stage=STAGE
            )
            example = Example(
                id=f"new-{id_of(text)}", input=text, sources=(rule, *lineage), cost_usd=cost_usd
            )
            yield self._judged(text, example, cell)

    def _judged(self, text: Input, example: Example, cell: Cell) -> Written | Rejection:
        objection = self._novelty.objection(text, cell)
        if objection is None:
            self._novelty.remember(example.id, text)
            return Written(example, cell)
        cause, detail = objection
        return rejected(example, cause, detail)

    def _source(self, outcome: Outcome) -> Source:
        provider = self._asker.provider
        version = outcome.reply.model if outcome.reply is not None else None
        return Source(
            kind="model",
            name=provider.name,
            contributed=("input",),
            stage=STAGE,
            terms=self._teacher.terms,
            revision=version if version != provider.name else None,
            endpoint=provider.endpoint,
            request=outcome.ledger,
        )


def rejected(example: Example, cause: str, detail: str) -> Rejection:
    """A rejection of a text by synthesis."""
    return Rejection(
        id=example.id,
        stage=STAGE,
        cause=cause,
        detail=detail,
        cost_usd=example.cost_usd,
        example=example,
    )


def _by_label(seeds: Iterable[Example]) -> dict[str | None, list[Example]]:
    """Seeds under each of their labels; unlabelled ones under None."""
    found: dict[str | None, list[Example]] = defaultdict(list)
    for example in seeds:
        for label in (None,) if example.target is None else labels_of(example.target):
            found[label].append(example)
    return found


def _prompted_by(shown: Iterable[Example]) -> tuple[Source, ...]:
    """Whoever gave the rows that the prompt showed has contributed to it."""
    sources = (source for example in shown for source in example.sources)
    return tuple(dict.fromkeys(replace(s, contributed=("prompt",), stage=STAGE) for s in sources))


def batches(cells: Iterable[Cell], size: int) -> Iterator[list[Cell]]:
    """The cells of each request: of one target and rival, at most `size` together.

    Targets take turns, so that what a budget allows is spread over all of them.
    """
    alike: dict[tuple[Target, str | None], list[Cell]] = defaultdict(list)
    for cell in cells:
        alike[cell.target, cell.rival].append(cell)
    longest = max(map(len, alike.values()), default=0)
    for start in range(0, longest, size):
        for group in alike.values():
            if start < len(group):
                yield group[start : start + size]
