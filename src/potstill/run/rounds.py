"""Rounds: what the first student doubts is asked again, and a better student learns from it.

The rows on which student and teacher differ are where a label is most likely wrong; those of
which the student is least sure are where another label teaches most (uncertainty sampling:
Lewis and Gale 1994, "A Sequential Algorithm for Training Text Classifiers"). Both are asked
again with more votes, more thought and the labels that the student holds likeliest, and new
inputs are written for the pairs of labels that it confuses. The loop ends when the development
score no longer rises; the student before that ships. Development rows are never asked again,
so that all rounds are measured by one yardstick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from potstill.data import Example, labels_of
from potstill.data.files import write_json
from potstill.run.events import Event
from potstill.run.evidence import label, load_answers, load_saved, save_examples, select
from potstill.run.live import ask_rows, held_audition
from potstill.run.synthesis import write_at_borders

if TYPE_CHECKING:
    from potstill.run.stages import Stages

Opinions = NDArray[np.float32]
RECORD = "rounds.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round bought.

    Attributes:
        number: from 1; 0 is the student before any round.
        asked: rows asked again.
        changed: those of them whose label is another one now.
        written: new rows that were written and confirmed.
        train_rows: rows that taught.
        score: mean development score (accuracy, or multilabel the mean F1 of the rows).
        gain: `score` less that of the best student before.
        cost_usd: money that the round's calls cost; None where a price is unknown.
        kept: whether this round's student is better than those before it.
    """

    number: int
    asked: int = 0
    changed: int = 0
    written: int = 0
    train_rows: int = 0
    score: float = 0.0
    gain: float = 0.0
    cost_usd: float | None = 0.0
    kept: bool = True

    @property
    def gain_per_usd(self) -> float | None:
        """Points of the development score for a dollar; None where nothing was paid."""
        return self.gain / self.cost_usd if self.cost_usd else None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {**asdict(self), "gain_per_usd": self.gain_per_usd}


def chosen_folder(work: Stages) -> Path | None:
    """The folder of the best round; None where no round was held, or none was better."""
    record = work.round_folders / RECORD
    if "rounds" not in work.order or not record.exists():
        return None
    number = orjson.loads(record.read_bytes())["chosen"]
    return work.round_folders / str(number) if number else None


def hold_rounds(work: Stages) -> None:
    """Do as many rounds as the task allows and the development score pays for."""
    work.folder.stage(
        "rounds",
        lambda: _run(work),
        reads=work.slice("rounds", "teacher", "generate", "filter", "filter_options", "seed"),
        files=[work.dataset / "audition.json", work.student / "student.json"],
        writes=[work.round_folders / RECORD],
    )


def _run(work: Stages) -> dict[str, Any]:
    state = _State.first(work)
    best = Round(number=0, train_rows=len(load_saved(work.file("train"))), score=state.score())
    held = [best]
    for number in range(1, work.task.rounds.max + 1):
        following, tried = state.next_round(number, best)
        held.append(tried)
        money = f", ${tried.cost_usd:,.2f}" if tried.cost_usd else ""
        text = (
            f"round {number}: {tried.asked} rows asked again, {tried.changed} labels changed"
            f"{money}; development score {best.score:.3f} -> {tried.score:.3f}"
        )
        work.folder.tell(Event(kind="progress", stage="rounds", text=text))
        if not tried.kept:
            break
        state, best = following, tried
    rows = [entry.to_json() for entry in held]
    write_json(work.round_folders / RECORD, {"chosen": best.number, "rounds": rows})
    taken = f"round {best.number} is kept" if best.number else "no round was better"
    return {
        "rounds": rows,
        "summary": f"{len(held) - 1} held, {taken}; development score "
        f"{held[0].score:.3f} -> {best.score:.3f}",
    }


@dataclass(frozen=True, slots=True)
class _State:
    """What the rounds so far left behind.

    Attributes:
        work: the run.
        student: folder of the student.
        silver: rows with the teacher's labels.
        answers: files of the teacher's answers.
        dev: the development rows, the same in every round.
        asked: ids of rows that were asked again.
    """

    work: Stages
    student: Path
    silver: tuple[Example, ...]
    answers: tuple[Path, ...]
    dev: tuple[Example, ...]
    asked: frozenset[str] = frozenset()

    @classmethod
    def first(cls, work: Stages) -> _State:
        written = load_saved(work.file("synthetic")) if work.task.generate else []
        return cls(
            work,
            work.student,
            (*load_saved(work.file("silver")), *written),
            (work.file("answers"), *sorted(work.dataset.glob("synthesis/*.jsonl"))),
            tuple(work.steering(load_saved(work.file("dev")))),
        )

    def score(self) -> float:
        """Mean score of the student on the development rows."""
        labels, multilabel = self.work.task.label_names, self.work.task.multilabel
        return mean_score(self._opinions(self.dev), self.dev, labels, multilabel)

    def next_round(self, number: int, best: Round) -> tuple[_State, Round]:
        """Ask again, label, filter, train, and measure."""
        work, spec = self.work, self.work.task.rounds
        folder = work.round_folders / str(number)
        before = work.teaching.ledger.totals()
        picked = self._pick(spec.rows)
        again = folder / "answers.jsonl"
        held = held_audition(work)
        method = replace(held.method, votes=spec.votes, reasoning=True)
        ask_rows(
            work,
            picked,
            again,
            stage="rounds",
            purpose=f"round-{number}",
            method=method,
            rank=self._opinions_of,
        )
        answers = (*self.answers, again)
        relabelled = label(work.task, picked, load_answers(work.loaded, list(answers))).examples
        new = {row.id: row for row in relabelled}
        written = self._write(number) if spec.synthesise else []
        silver = (*(new.get(row.id, row) for row in self.silver), *written)
        student = folder / "student"
        train = self._train(silver, folder, student)
        following = replace(
            self,
            student=student,
            silver=silver,
            answers=answers,
            asked=self.asked | {row.id for row in picked},
        )
        score = following.score()
        after = work.teaching.ledger.totals()
        known = after.unknown == before.unknown
        old = {row.id: row.target for row in self.silver}
        return following, Round(
            number=number,
            asked=len(picked),
            changed=sum(row.target != old[row.id] for row in relabelled),
            written=len(written),
            train_rows=train,
            score=score,
            gain=score - best.score,
            cost_usd=after.known_usd - before.known_usd if known else None,
            kept=score > best.score,
        )

    def _pick(self, count: int) -> list[Example]:
        """Rows to ask again, the most doubtful first."""
        yardstick = {row.id for row in self.dev}
        open_rows = [
            row for row in self.silver if row.id not in self.asked and row.id not in yardstick
        ]
        labels, multilabel = self.work.task.label_names, self.work.task.multilabel
        doubts = doubt(self._opinions(open_rows), open_rows, labels, multilabel)
        order = np.argsort(-doubts, kind="stable")[:count]
        return [open_rows[place] for place in order.tolist()]

    def _opinions(self, rows: Sequence[Example]) -> Opinions:
        return self._opinions_of([row.text for row in rows])

    def _opinions_of(self, texts: Sequence[str]) -> Opinions:
        from potstill.train import opinions

        return opinions(self.student, texts)

    def _write(self, number: int) -> list[Example]:
        """New rows at the borders that this student gets wrong on the development rows."""
        labels = self.work.task.label_names
        given = self._opinions(self.dev).argmax(axis=1)
        pairs = [
            (row.target, labels[place])
            for row, place in zip(self.dev, given.tolist(), strict=True)
            if isinstance(row.target, str) and row.target != labels[place]
        ]
        return write_at_borders(self.work, pairs, self.work.task.rounds.synthesise, number)

    def _train(self, silver: Sequence[Example], folder: Path, student: Path) -> int:
        """Filter and train as the first time, on the same development rows; rows that taught."""
        from potstill.train import train_student

        work, yardstick = self.work, {row.id for row in self.dev}
        gold = [row for row in load_saved(work.file("gold_train")) if row.id not in yardstick]
        rest = [row for row in silver if row.id not in yardstick]
        chosen = select(work.task, gold, self.dev, rest, work.embed, lambda: work.teaching.judge)
        save_examples(folder / "train.jsonl", chosen.train)
        train_student(
            chosen.train,
            self.dev,
            labels=work.task.label_names,
            multilabel=work.task.multilabel,
            options=work.task.student,
            seed=work.task.seed,
            folder=student,
            progress=work.folder.progress("rounds"),
        )
        return len(chosen.train)


def doubt(
    opinions: Opinions, rows: Sequence[Example], labels: Sequence[str], multilabel: bool
) -> NDArray[np.float64]:
    """How much a row is worth asking again (row,): higher is worth more.

    Rows where the student says something else than the teacher come first, the surer the
    student the sooner (above 1); then the others, the least sure first (0 to 1).

    Args:
        opinions: the student's probabilities (row, label).
        rows: with the teacher's targets.
        labels: in the order of the columns.
        multilabel: each label is a question of its own; the most doubtful one counts.
    """
    said = _indicators(rows, labels)
    if multilabel:
        other = np.where(said, 1.0 - opinions, opinions)
        return np.where(other > 0.5, 1.0 + other, 2.0 * other).max(axis=1, initial=0.0)
    top = opinions.max(axis=1, initial=0.0)
    differs = ~said[np.arange(len(rows)), opinions.argmax(axis=1)]
    return np.where(differs, 1.0 + top, 1.0 - top).astype(np.float64)


def mean_score(
    opinions: Opinions, rows: Sequence[Example], labels: Sequence[str], multilabel: bool
) -> float:
    """Accuracy, or for several labels the mean over rows of F1 (both empty is 1)."""
    said = _indicators(rows, labels)
    if not multilabel:
        return float(said[np.arange(len(rows)), opinions.argmax(axis=1)].mean())
    given = opinions >= 0.5
    both = (given & said).sum(axis=1)
    total = given.sum(axis=1) + said.sum(axis=1)
    return float(np.where(total > 0, 2.0 * both / np.maximum(total, 1), 1.0).mean())


def _indicators(rows: Sequence[Example], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which labels each row has (row, label)."""
    places: Mapping[str, int] = {name: place for place, name in enumerate(labels)}
    said = np.zeros((len(rows), len(labels)), dtype=bool)
    for number, row in enumerate(rows):
        for name in labels_of(row.target):
            said[number, places[name]] = True
    return said
