"""The stages of a task, each a method that reads and writes files of the run folder alone.

A resumed run and an uninterrupted one take the same path, since no stage looks into the memory
of the one before.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from potstill.data import Example, Rejection
from potstill.data.files import write_jsonl, writing
from potstill.data.lineage import lineage_json
from potstill.run import judge, live, rounds, spending
from potstill.run.events import Event
from potstill.run.evidence import (
    label,
    load_answers,
    load_saved,
    read_evidence,
    save_examples,
    select,
)
from potstill.run.folder import RunFolder
from potstill.run.kinds import kind_of
from potstill.run.teaching import Teaching
from potstill.spec import LoadedTask
from potstill.spec.task import StudentSpec, Task

STAGES = (
    "read",
    "audition",
    "synthesise",
    "ask",
    "label",
    "filter",
    "train",
    "rounds",
    "export",
    "evaluate",
    "report",
)


def stages_of(task: Task) -> tuple[str, ...]:
    """The stages that a task has, in order: those of a live teacher only where there is one."""
    live = task.teacher is not None and task.teacher.live
    optional = {
        "audition": live and task.labelling,
        "synthesise": task.generate is not None,
        "ask": live,
        "rounds": task.rounds.max > 0,
    }
    return tuple(name for name in STAGES if optional.get(name, True))


class Stages:
    """One method a stage, in the order of `STAGES`; each reads and writes files alone.

    Args:
        loaded: the task.
        folder: its run folder.
        teaching: the live teacher, opened by the first stage that asks.
    """

    def __init__(self, loaded: LoadedTask, folder: RunFolder, teaching: Teaching) -> None:
        self.loaded = loaded
        self.task = loaded.task
        self.order = stages_of(loaded.task)
        self.kind = kind_of(loaded.task)
        self.folder = folder
        self.teaching = teaching
        self.dataset = folder.path / "dataset"
        self.student = folder.path / "student"
        self.round_folders = folder.path / "rounds"
        self.model = folder.path / "model"
        self.rejected = folder.path / "rejected.jsonl"
        self.spec = loaded.task.model_dump(mode="json")

    def file(self, name: str) -> Path:
        """A file of rows of this run's data set."""
        return self.dataset / f"{name}.jsonl"

    def taught(self, name: str) -> Path:
        """Rows as the student that ships saw them: those of the best round, where there is one."""
        chosen = rounds.chosen_folder(self)
        kept = chosen / f"{name}.jsonl" if chosen else None
        return kept if kept is not None and kept.exists() else self.file(name)

    @property
    def final_student(self) -> Path:
        """The folder of the student that ships."""
        chosen = rounds.chosen_folder(self)
        return chosen / "student" if chosen else self.student

    def slice(self, *keys: str) -> dict[str, Any]:
        """Some sections of the resolved task: what a stage depends on."""
        return {key: self.spec[key] for key in keys}

    def save_rejected(self, stage: str, rejected: Sequence[Rejection]) -> None:
        """Keep a stage's rejections apart, and all of them together for a reader."""
        write_jsonl(self.file(f"rejected/{stage}"), (r.to_json() for r in rejected))
        with writing(self.rejected) as whole:
            for name in self.order[: self.order.index(stage) + 1]:
                part = self.file(f"rejected/{name}")
                if part.exists():
                    whole.write(part.read_bytes())

    def forget_from(self, stage: str) -> None:
        """Forget a stage and those after it, checkpoints included."""
        following = self.order[self.order.index(stage) :]
        self.folder.forget(following)
        if "train" in following:
            shutil.rmtree(self.student, ignore_errors=True)
        shutil.rmtree(self.round_folders, ignore_errors=True)

    def read(self) -> None:
        """Rows, checked and split."""
        data = self.task.data
        named = (data.unlabeled, data.gold, data.dev, data.test)
        files = [path for names in named for path in self.loaded.resolve_all(names)]

        def work() -> dict[str, Any]:
            evidence = read_evidence(self.loaded)
            parts = {
                "gold_train": evidence.train,
                "gold_dev": evidence.dev,
                "test": evidence.test,
                "unlabeled": evidence.unlabeled,
                "out_of_scope": evidence.outside,
            }
            for name, rows in parts.items():
                save_examples(self.file(name), rows)
            self.save_rejected("read", evidence.rejected)
            counts = {name: len(rows) for name, rows in parts.items()}
            listed = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
            return {"rows": counts, "rejected": len(evidence.rejected), "summary": listed}

        names = ("gold_train", "gold_dev", "test", "unlabeled", "out_of_scope")
        self.folder.stage(
            "read",
            work,
            reads=self.slice("type", "labels", "fields", "data", "seed", "filter_options"),
            files=files,
            writes=[self.file(name) for name in (*names, "rejected/read")],
        )

    def audition(self) -> None:
        """Which way of asking is worth its money, measured on gold; the plan before it."""
        spending.lay_down_plan(self)
        live.audition(self)

    def synthesise(self) -> None:
        """New inputs, written and answered by the teacher."""
        live.synthesise(self)

    def ask(self) -> None:
        """The live teacher's answers, as a file of recorded answers."""
        live.ask(self)

    @property
    def answer_files(self) -> list[Path]:
        """The recorded answers that label the rows: the task's, or those of this run."""
        teacher = self.task.teacher
        if teacher is None:
            return []
        if teacher.live:
            return [self.file("answers")]
        return list(self.loaded.resolve_all(teacher.answers))

    @property
    def test_answer_files(self) -> list[Path]:
        """The recorded answers to test rows."""
        live_teacher = self.task.teacher is not None and self.task.teacher.live
        return [self.file("test_answers")] if live_teacher else self.answer_files

    def label(self) -> None:
        """The teacher's answers to the unlabelled rows."""

        def work() -> dict[str, Any]:
            unlabeled = load_saved(self.file("unlabeled"))
            if self.task.teacher is None or not unlabeled:
                save_examples(self.file("silver"), [])
                self.save_rejected("label", [])
                return {"teachers": [], "labelled": 0, "rejected": 0, "summary": "nobody to ask"}
            answers = load_answers(self.loaded, self.answer_files)
            labelled = label(self.task, unlabeled, answers)
            # That the votes of a live teacher differ is what they are for.
            live_teacher = self.task.teacher.live
            for problem in (*(() if live_teacher else answers.problems), *labelled.warnings):
                self.folder.tell(Event(kind="warning", stage="label", text=str(problem)))
            save_examples(self.file("silver"), labelled.examples)
            self.save_rejected("label", [*labelled.rejected, *labelled.lost])
            lost = f", {len(labelled.lost)} values lost" if labelled.lost else ""
            return {
                "teachers": [dict(row) for row in labelled.teachers],
                "labelled": len(labelled.examples),
                "rejected": len(labelled.rejected),
                "lost": len(labelled.lost),
                "summary": f"{len(labelled.examples)} of {len(unlabeled)} rows answered{lost}",
            }

        self.folder.stage(
            "label",
            work,
            reads=self.slice("teacher", "labels", "fields", "text"),
            files=self.answer_files,
            writes=[self.file("silver"), self.file("rejected/label")],
        )

    def filter(self) -> None:
        """The rows that teach and the rows that steer."""

        def work() -> dict[str, Any]:
            written = load_saved(self.file("synthetic")) if self.task.generate else []
            selection = select(
                self.task,
                load_saved(self.file("gold_train")),
                load_saved(self.file("gold_dev")),
                [*load_saved(self.file("silver")), *written],
                self.embed,
                lambda: self.teaching.judge,
            )
            for warning in selection.filtered.warnings:
                self.folder.tell(Event(kind="warning", stage="filter", text=warning))
            self.save_rejected("filter", selection.filtered.rejected)
            selection.check_teachable(where=str(self.rejected))
            save_examples(self.file("train"), selection.train)
            save_examples(self.file("dev"), selection.dev)
            rows = {"train": len(selection.train), "dev": len(selection.dev)}
            return {
                "rows": rows,
                "table": [row.to_json() for row in selection.filtered.table],
                "summary": f"{rows['train']} rows teach, {rows['dev']} steer, "
                f"{len(selection.filtered.rejected)} rejected",
            }

        self.folder.stage(
            "filter",
            work,
            reads={
                **self.slice("filter", "filter_options", "policy", "teacher", "judge", "seed"),
                "features": self.kind.bases(self.task.student) if self._compares_meanings else None,
            },
            writes=[self.file("train"), self.file("dev"), self.rejected],
        )

    @property
    def _compares_meanings(self) -> bool:
        near = self.task.filter_options.near_meaning is not None
        return "noise" in self.task.filter or (near and "duplicates" in self.task.filter)

    def embed(self, texts: Sequence[str]) -> Any:
        """The student's base model as an embedding of texts (text, dimension)."""
        from potstill.train import embed

        options = self.task.student
        # Where several bases are compared, or none embeds, meanings are those of the default one.
        named = StudentSpec().base if options.base in ("auto", "tfidf", "static") else options.base
        return embed(texts, base=named, max_tokens=options.max_tokens)

    def train(self) -> None:
        """The student."""

        def work() -> dict[str, Any]:
            # A finished student here is another code's or another data set's; a checkpoint of
            # an interrupted training knows by itself whether it still fits.
            for card in self.student.glob("**/student.json"):
                card.unlink()
            trained = self.kind.train(self)
            return {
                "mode": trained.mode,
                "base": trained.base,
                "reason": trained.reason,
                "rows": trained.rows,
                "seconds": trained.seconds,
                "candidates": trained.candidates,
                "history": trained.history,
                "summary": f"{trained.mode} {Path(trained.base).name}",
            }

        self.folder.stage(
            "train",
            work,
            # What is certified may not steer; how much may be wrong does not change that.
            reads={
                **self.slice("student", "seed", "fields", "windows", "text", "flag"),
                "base": self.kind.bases(self.task.student),
                "gates": self._choosing_gates,
                "certifies": self.task.defer is not None,
            },
            writes=[self.student / name for name in self.kind.trained_files(self.task)],
        )

    @property
    def _choosing_gates(self) -> Any:
        """The gates where they have a say in what ships."""
        student = self.task.student
        chooses = student.base == "auto" or (
            self.task.type == "generation" and student.mode == "auto"
        )
        return self.spec["accept"] if chooses else None

    def steering(self, dev: Sequence[Example]) -> list[Example]:
        """The development rows that a student may be chosen by: those that certify no deferral.

        Where the task bounds no error these are all of them.
        """
        if self.task.defer is None:
            return list(dev)
        from potstill.export import certifying_rows

        certifying = {row.id for row in certifying_rows(dev, seed=self.task.seed)}
        # A handful of rows certifies nothing, and all of them may steer.
        return [row for row in dev if row.id not in certifying] or list(dev)

    def strangers(self, split: str) -> list[Example]:
        """Rows of a split that a person found to fit none of the labels."""
        return [row for row in load_saved(self.file("out_of_scope")) if row.split == split]

    def rounds(self) -> None:
        """Rounds: rows on which student and teacher differ are asked again."""
        rounds.hold_rounds(self)

    def export(self) -> None:
        """The model folder."""

        def work() -> dict[str, Any]:
            exported = self.kind.export(self, lineage_json(load_saved(self.taught("train"))))
            return {
                "precision": exported.precision,
                "engine": exported.engine,
                "megabytes": exported.megabytes,
                "parity": exported.parity,
                "calibration": exported.calibration,
                "timings": exported.timings,
                "chosen": exported.chosen,
                "summary": f"{exported.precision}, {exported.megabytes:.1f} MB",
            }

        files = ("model.json", "model.onnx", "tokenizer.json", "lineage.json")
        reads = {**self.slice("defer", "confidence"), "gates": self._choosing_gates}
        self.folder.stage("export", work, reads=reads, writes=[self.model / name for name in files])

    def evaluate(self) -> None:
        """The judgement on the frozen test rows."""
        self.folder.stage(
            "evaluate",
            lambda: judge.judge(self),
            reads=self.slice("seed"),
            writes=[self.folder.path / judge.JUDGEMENT],
        )

    def report(self) -> None:
        """The report, and the model's card."""
        self.folder.stage(
            "report",
            lambda: judge.report(self),
            reads=self.slice("accept", "description", "name"),
            writes=[
                *(self.folder.path / f"report.{kind}" for kind in ("json", "html", "md")),
                self.model / "README.md",
            ],
        )
