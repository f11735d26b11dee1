"""The stages of a task, each a method that reads and writes files of the run folder alone.

A resumed run and an uninterrupted one take the same path, since no stage looks into the memory
of the one before.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from potstill.data import Rejection
from potstill.data.files import write_jsonl, writing
from potstill.data.lineage import lineage_json
from potstill.run import judge
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
from potstill.spec import LoadedTask

STAGES = ("read", "label", "filter", "train", "export", "evaluate", "report")


class Stages:
    """One method a stage, in the order of `STAGES`; each reads and writes files alone."""

    def __init__(self, loaded: LoadedTask, folder: RunFolder) -> None:
        self.loaded = loaded
        self.task = loaded.task
        self.folder = folder
        self.dataset = folder.path / "dataset"
        self.student = folder.path / "student"
        self.model = folder.path / "model"
        self.rejected = folder.path / "rejected.jsonl"
        self.spec = loaded.task.model_dump(mode="json")

    def _file(self, name: str) -> Path:
        return self.dataset / f"{name}.jsonl"

    def _slice(self, *keys: str) -> dict[str, Any]:
        return {key: self.spec[key] for key in keys}

    def _save_rejected(self, stage: str, rejected: Sequence[Rejection]) -> None:
        """Keep a stage's rejections apart, and all of them together for a reader."""
        write_jsonl(self._file(f"rejected/{stage}"), (r.to_json() for r in rejected))
        with writing(self.rejected) as whole:
            for name in STAGES[: STAGES.index(stage) + 1]:
                whole.write(self._file(f"rejected/{name}").read_bytes())

    def forget_from(self, stage: str) -> None:
        """Forget a stage and those after it, checkpoints included."""
        following = STAGES[STAGES.index(stage) :]
        self.folder.forget(following)
        if "train" in following:
            shutil.rmtree(self.student, ignore_errors=True)

    def read(self) -> None:
        """Rows, checked and split."""
        data = self.task.data
        named = (data.unlabeled, data.gold, data.test)
        files = [path for names in named for path in self.loaded.resolve_all(names)]

        def work() -> dict[str, Any]:
            evidence = read_evidence(self.loaded)
            parts = {
                "gold_train": evidence.train,
                "gold_dev": evidence.dev,
                "test": evidence.test,
                "unlabeled": evidence.unlabeled,
            }
            for name, rows in parts.items():
                save_examples(self._file(name), rows)
            self._save_rejected("read", evidence.rejected)
            counts = {name: len(rows) for name, rows in parts.items()}
            listed = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
            return {"rows": counts, "rejected": len(evidence.rejected), "summary": listed}

        names = ("gold_train", "gold_dev", "test", "unlabeled")
        self.folder.stage(
            "read",
            work,
            reads=self._slice("type", "labels", "data", "seed", "filter_options"),
            files=files,
            writes=[self._file(name) for name in (*names, "rejected/read")],
        )

    def label(self) -> None:
        """The teacher's answers to the unlabelled rows."""
        teacher = self.task.teacher

        def work() -> dict[str, Any]:
            unlabeled = load_saved(self._file("unlabeled"))
            if teacher is None or not unlabeled:
                save_examples(self._file("silver"), [])
                self._save_rejected("label", [])
                return {"teachers": [], "labelled": 0, "rejected": 0, "summary": "nobody to ask"}
            answers = load_answers(self.loaded)
            labelled = label(self.task, unlabeled, answers)
            for problem in (*answers.problems, *labelled.warnings):
                self.folder.tell(Event(kind="warning", stage="label", text=str(problem)))
            save_examples(self._file("silver"), labelled.examples)
            self._save_rejected("label", labelled.rejected)
            return {
                "teachers": [dict(row) for row in labelled.teachers],
                "labelled": len(labelled.examples),
                "rejected": len(labelled.rejected),
                "summary": f"{len(labelled.examples)} of {len(unlabeled)} rows answered",
            }

        self.folder.stage(
            "label",
            work,
            reads=self._slice("teacher", "labels"),
            files=self.loaded.resolve_all(teacher.answers) if teacher else [],
            writes=[self._file("silver"), self._file("rejected/label")],
        )

    def filter(self) -> None:
        """The rows that teach and the rows that steer."""

        def work() -> dict[str, Any]:
            selection = select(
                self.task,
                load_saved(self._file("gold_train")),
                load_saved(self._file("gold_dev")),
                load_saved(self._file("silver")),
                self._embed,
            )
            self._save_rejected("filter", selection.filtered.rejected)
            selection.check_teachable(where=str(self.rejected))
            save_examples(self._file("train"), selection.train)
            save_examples(self._file("dev"), selection.dev)
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
                **self._slice("filter", "filter_options", "policy", "teacher", "seed"),
                "features": self._base() if "noise" in self.task.filter else None,
            },
            writes=[self._file("train"), self._file("dev"), self.rejected],
        )

    def _base(self) -> list[str]:
        """What tells one pretrained encoder from another: its name and its weights' hash."""
        from potstill.train import resolve_base

        return [self.task.student.base, resolve_base(self.task.student.base).sha256]

    def _embed(self, texts: Sequence[str]) -> Any:
        from potstill.train import embed

        options = self.task.student
        return embed(
            texts,
            base=options.base,
            max_tokens=options.max_tokens,
            progress=self.folder.progress("filter"),
        )

    def train(self) -> None:
        """The student."""

        def work() -> dict[str, Any]:
            from potstill.train import train_student

            trained = train_student(
                load_saved(self._file("train")),
                load_saved(self._file("dev")),
                labels=self.task.label_names,
                multilabel=self.task.multilabel,
                options=self.task.student,
                seed=self.task.seed,
                folder=self.student,
                progress=self.folder.progress("train"),
            )
            return {
                "mode": trained.mode,
                "rows": trained.rows,
                "seconds": trained.seconds,
                "candidates": trained.candidates,
                "history": trained.history,
                "summary": f"{trained.mode} {self.task.student.base}",
            }

        self.folder.stage(
            "train",
            work,
            reads={**self._slice("student", "seed"), "base": self._base()},
            writes=[self.student / "student.json", self.student / "student.safetensors"],
        )

    def export(self) -> None:
        """The model folder."""

        def work() -> dict[str, Any]:
            from potstill.export import export_student
            from potstill.train import load_student

            train = load_saved(self._file("train"))
            exported = export_student(
                load_student(self.student),
                name=self.task.name,
                dev=load_saved(self._file("dev")),
                more=train,
                options=self.task.student,
                folder=self.model,
                task=self.task,
                lineage=lineage_json(train),
                seed=self.task.seed,
                progress=self.folder.progress("export"),
            )
            return {
                "precision": exported.precision,
                "engine": exported.engine,
                "megabytes": exported.megabytes,
                "parity": exported.parity,
                "calibration": exported.calibration,
                "timings": exported.timings,
                "summary": f"{exported.precision}, {exported.megabytes:.1f} MB",
            }

        files = ("model.json", "model.onnx", "tokenizer.json", "lineage.json")
        self.folder.stage("export", work, reads={}, writes=[self.model / name for name in files])

    def evaluate(self) -> None:
        """The judgement on the frozen test rows."""
        self.folder.stage(
            "evaluate",
            lambda: judge.judge(self.loaded, self.folder, self.model, self.dataset),
            reads=self._slice("seed"),
            writes=[self.folder.path / judge.JUDGEMENT],
        )

    def report(self) -> None:
        """The report, and the model's card."""
        self.folder.stage(
            "report",
            lambda: judge.report(self.loaded, self.folder, self.model, self.dataset),
            reads=self._slice("accept", "description", "name"),
            writes=[
                *(self.folder.path / f"report.{kind}" for kind in ("json", "html", "md")),
                self.model / "README.md",
            ],
        )
