"""The stages in which a live teacher is asked: audition, synthesis, and the asking itself.

What is asked is written down as recorded answers, so that everything after these stages is
the same for a teacher that answered last year and one that answers now.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data import Example
from potstill.data.files import write_json, write_jsonl
from potstill.generate.asking import ask_examples
from potstill.generate.audition import Audition
from potstill.generate.audition import audition as hold_audition
from potstill.generate.fusion import Fusion
from potstill.generate.label import Labelled
from potstill.generate.method import Method
from potstill.generate.open import ask_open, open_method
from potstill.generate.retrieval import Rank, Shown
from potstill.run.events import Event
from potstill.run.evidence import label, load_answers, load_saved

if TYPE_CHECKING:
    from potstill.run.stages import Stages
    from potstill.spec.teacher import TeacherSpec
    from potstill.teacher.progress import Spending


def teacher_of(work: Stages) -> TeacherSpec:
    """The live teacher's section of the task."""
    assert work.task.teacher is not None, "the stage is there only where there is a teacher"
    return work.task.teacher


@contextmanager
def asking(work: Stages, stage: str, total: int, what: str) -> Generator[None]:
    """While the block runs, tell how the asking goes."""

    def told(spending: Spending) -> None:
        parts = [what]
        if spending.spent_usd:
            parts.append(f"${spending.spent_usd:,.2f}")
        if spending.failed:
            parts.append(f"{spending.failed} failed")
        work.folder.tell(
            Event(
                kind="progress",
                stage=stage,
                text=", ".join(parts),
                done=min(spending.answered + spending.failed, total or sys.maxsize),
                total=total,
            )
        )

    def said(sentence: str) -> None:
        work.folder.tell(Event(kind="progress", stage=stage, text=sentence, total=total))

    work.teaching.told, work.teaching.said = told, said
    try:
        yield
    finally:
        work.teaching.told = work.teaching.said = None


def shown_examples(work: Stages, rank: Rank | None = None) -> Shown:
    """The gold training rows, which may be shown with a question, and where rows are looked up."""
    return Shown.of(
        work.task,
        load_saved(work.file("gold_train")),
        embed=work.embed,
        name=work.task.student.base,
        rank=rank,
    )


def audition(work: Stages) -> None:
    """Compare ways of asking on gold, and take the cheapest within noise of the best."""

    def run() -> dict[str, Any]:
        # Before the embeddings, which take a while: a missing key is told at once.
        teacher = work.teaching.teacher
        with asking(work, "audition", 0, "questions"):
            held = hold_audition(
                work.task,
                teacher,
                shown=shown_examples(work),
                dev=load_saved(work.file("gold_dev")),
                seed=work.task.seed,
            )
        for warning in held.warnings:
            work.folder.tell(Event(kind="warning", stage="audition", text=warning))
        write_json(work.dataset / "audition.json", held.to_json())
        return {"rows": held.rows, "summary": _audition_summary(held)}

    work.folder.stage(
        "audition",
        run,
        reads={
            **work.slice("teacher", "labels", "description", "rules"),
            "base": work.kind.bases(work.task.student),
        },
        writes=[work.dataset / "audition.json"],
    )


def _audition_summary(held: Audition) -> str:
    chosen = held.chosen
    if chosen is None:
        return f"{held.method.name}, by rule"
    said = f"{held.method.name}: right on {chosen.right.mean():.0%} of {held.rows} gold rows"
    if held.fusion is not None and chosen.fused is not None:
        said += f", {chosen.fused.right.mean():.0%} joined with the nearest gold"
    return f"{said}; {len(held.trials)} ways tried"


def held_audition(work: Stages) -> Audition:
    """What the audition decided: method, fusion and thought; the trials are in the report."""
    said = orjson.loads((work.dataset / "audition.json").read_bytes())
    method = {key: value for key, value in said["method"].items() if key != "name"}
    fusion = said["fusion"] if teacher_of(work).nearest_gold is not False else None
    return Audition(
        method=Method(**method),
        fusion=Fusion(labels=work.task.label_names, **fusion) if fusion else None,
        thinks=said["thinks"],
    )


def ask_rows(
    work: Stages,
    rows: Sequence[Example],
    answers: Path,
    *,
    stage: str,
    purpose: str,
    method: Method | None = None,
    rank: Rank | None = None,
    alone: bool = False,
) -> None:
    """Ask the teacher about rows; write an answers file.

    Args:
        work: the run.
        rows: the rows.
        answers: the file.
        stage: the stage that shows progress.
        purpose: what the ledger notes.
        method: how to ask; the way that won the audition unless given.
        rank: a better judge of the likeliest labels than the nearest gold.
        alone: leave the nearest gold out of the answers, since the teacher itself is judged.
    """
    asker = work.teaching.bulk if stage == "ask" else work.teaching.teacher
    if not work.task.labelling:
        gold = load_saved(work.file("gold_train"))
        held_method = open_method(teacher_of(work), gold)
        with asking(work, stage, len(rows) * held_method.votes, "answers"):
            found = ask_open(
                rows, asker, task=work.task, method=held_method, gold=gold, purpose=purpose
            )
            write_jsonl(answers, found)
        return
    held = held_audition(work)
    method = method or held.method
    total = len(rows) * method.votes
    with asking(work, stage, total, "answers"):
        write_jsonl(
            answers,
            ask_examples(
                rows,
                asker,
                task=work.task,
                method=method,
                shown=shown_examples(work, rank),
                purpose=purpose,
                fusion=None if alone else held.fusion,
                thinks=held.thinks,
            ),
        )


def ask(work: Stages) -> None:
    """Ask the teacher about the unlabelled rows, and about some test rows for the report."""

    def run() -> dict[str, Any]:
        rows = load_saved(work.file("unlabeled"))
        ask_rows(work, rows, work.file("answers"), stage="ask", purpose="label")
        judged = test_sample(work)
        ask_rows(
            work, judged, work.file("test_answers"), stage="ask", purpose="evaluate", alone=True
        )
        spent = work.teaching.ledger.totals()
        money = ""
        if spent.unknown:
            gone = work.teaching.ledger.account.spent_usd
            money = (
                f"; {spent.unknown} calls did not tell their price, and a budget counts "
                f"${gone:,.2f}"
            )
        return {
            "rows": len(rows),
            "test_rows": len(judged),
            "summary": f"{len(rows)} rows and {len(judged)} test rows asked; "
            f"${spent.known_usd:,.2f} so far{money}",
        }

    work.folder.stage(
        "ask",
        run,
        reads=work.slice("teacher", "rules", "description", "fields", "text"),
        files=[work.dataset / "audition.json"] if work.task.labelling else [],
        writes=[work.file("answers"), work.file("test_answers")],
    )


def test_sample(work: Stages) -> list[Example]:
    """The test rows that the teacher is asked about, so that the student can be compared."""
    rows = load_saved(work.file("test"))
    wanted = teacher_of(work).test_rows
    if len(rows) <= wanted:
        return rows
    chosen = set(random.Random(work.task.seed).sample(range(len(rows)), wanted))
    return [row for place, row in enumerate(rows) if place in chosen]


def answer_new_rows(work: Stages, rows: Sequence[Example], place: str) -> Labelled:
    """Have the teacher answer rows that it wrote; what they were to mean it is not told."""
    answers = work.file(place)
    ask_rows(work, rows, answers, stage="synthesise", purpose="answer")
    return label(work.task, rows, load_answers(work.loaded, [answers]))


def synthesise(work: Stages) -> None:
    """Have the teacher write inputs and answer them; keep those where it agrees with itself."""
    from potstill.run.synthesis import write_new_rows

    work.folder.stage(
        "synthesise",
        lambda: write_new_rows(work),
        reads=work.slice("teacher", "generate", "labels", "description", "rules", "seed"),
        files=[work.dataset / "audition.json"],
        writes=[work.file("synthetic"), work.file("rejected/synthesise")],
    )
