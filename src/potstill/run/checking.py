"""What `check` says: the rows as `run` would see them, what is suspicious, and the steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from potstill.data import Example, Extraction, Target, Text, labels_of
from potstill.data.places import count_located, lost_values
from potstill.errors import PotstillError
from potstill.generate.audition import FEWEST_ROWS
from potstill.run.evidence import Evidence, label, load_answers, read_evidence, select
from potstill.run.starts import missing_starts
from potstill.spec import LoadedTask
from potstill.spec.task import Task
from potstill.spec.teacher import TeacherSpec
from potstill.teacher.prices import price_of
from potstill.teacher.providers import open_provider

_SMALL_TEST_ROWS = 100
_FEW_ROWS_A_LABEL = 8
_DOMINANT_SHARE = 0.9
_CHEAP = ("validity", "trace_health", "identity_leak", "duplicates", "agreement")


def check_task(loaded: LoadedTask) -> dict[str, Any]:
    """Read everything a task names, change nothing, and describe it.

    Returns:
        The fields of `potstill.api.CheckResult`.

    Raises:
        PotstillError: the task cannot be run at all.
    """
    task = loaded.task
    evidence = read_evidence(loaded)
    rejected = Counter(rejection.cause for rejection in evidence.rejected)
    answered: dict[str, int] = {}
    silver: list[Example] = []
    warnings = missing_starts(loaded)
    live = task.teacher is not None and task.teacher.live
    if task.teacher is not None and evidence.unlabeled and not live:
        answers = load_answers(loaded)
        labelled = label(task, evidence.unlabeled, answers)
        silver = labelled.examples
        rejected.update(rejection.cause for rejection in labelled.rejected)
        answered = Counter(
            answer.teacher
            for example in evidence.unlabeled
            for answer in answers.of(example)
            if answer.target is not None
        )
        warnings += [*answers.problems, *labelled.warnings]
    rows = {
        "unlabeled": len(evidence.unlabeled),
        "answered by the teacher": len(silver),
        "gold for training": len(evidence.train),
        "gold for development": len(evidence.dev),
        "gold for the test": len(evidence.test),
    }
    if task.teacher is not None and live:
        warnings += _live_warnings(task, task.teacher, evidence)
    warnings += _warnings(task, evidence, silver)
    # The filters that need no model show whether anything would be left to train on.
    words_alone = task.filter_options.model_copy(update={"near_meaning": None})
    cheap = [name for name in task.filter if name in _CHEAP]
    plain = task.model_copy(update={"filter": cheap, "filter_options": words_alone})
    if not live:
        selection = select(plain, evidence.train, evidence.dev, silver, embed=_no_features)
        selection.check_teachable(where=str(loaded.path))
        rejected.update(rejection.cause for rejection in selection.filtered.rejected)
        rows["left to train on"] = len(selection.train)
    return {
        "task": task.name,
        "rows": {role: count for role, count in rows.items() if count},
        "kind": "field" if task.type == "extraction" else "label",
        "labels": _counts(task, [*evidence.train, *evidence.dev, *evidence.test]),
        "answered": dict(answered),
        "rejected": dict(rejected.most_common()),
        "warnings": warnings,
        "steps": _steps(task, rows, len(answered)),
    }


def _no_features(texts: Sequence[str]) -> None:
    """Stands for embeddings where no filter asks for them."""


def _counts(task: Task, examples: Sequence[Example]) -> dict[str, int]:
    """Rows that have each label or field."""
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(_names_in(example.target))
    return {name: counts[name] for name in task.answer.names}


def _names_in(target: Target | None) -> Sequence[str]:
    if isinstance(target, Extraction):
        return [name for name, values in target.fields.items() if values]
    return () if isinstance(target, Text) else labels_of(target)


def _warnings(task: Task, evidence: Evidence, silver: list[Example]) -> list[str]:
    found: list[str] = []
    test = len(evidence.test)
    if test < _SMALL_TEST_ROWS:
        found.append(
            f"the test split has {test} rows: a score of 0.75 would be known to "
            f"±{1.96 * (0.75 * 0.25 / test) ** 0.5:.2f} only"
        )
    training = [*evidence.train, *silver]
    counts = _counts(task, training)
    kind = "field" if task.type == "extraction" else "label"
    rare = [name for name, count in counts.items() if count < _FEW_ROWS_A_LABEL]
    if rare:
        listed = ", ".join(f"{name} ({counts[name]})" for name in rare[:5])
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        found.append(f"fewer than {_FEW_ROWS_A_LABEL} training rows for {listed}{more}")
    top = max(counts.values(), default=0)
    if task.labelling and training and top > _DOMINANT_SHARE * len(training):
        found.append(f"one label holds {top / len(training):.0%} of the training rows")
    untested = [name for name, count in _counts(task, evidence.test).items() if not count]
    if untested:
        found.append(f"no test row has the {kind} {untested[0]!r}" + _and_more(untested))
    if task.type == "extraction":
        widest = task.windows.widest_value
        counts = count_located([*training, *evidence.dev], task.fields, widest=widest)
        found += lost_values(counts, widest=widest)
    return found


def _and_more(names: list[str]) -> str:
    return f" (nor {len(names) - 1} others)" if len(names) > 1 else ""


def _live_warnings(task: Task, teacher: TeacherSpec, evidence: Evidence) -> list[str]:
    """What would stop a run, or have it spend blindly, as far as that shows without asking."""
    found: list[str] = []
    if teacher.base_url is not None:
        try:
            open_provider(teacher)
        except PotstillError as error:
            found.append(str(error))
        if price_of(teacher) is None:
            found.append(
                f"the price of {teacher.model} is unknown: the report will say so, and a budget "
                "is refused; name it under 'teacher.price' or in a price file"
            )
    gold = max(len(evidence.dev), len(evidence.train))
    if task.labelling and gold < FEWEST_ROWS:
        found.append(
            f"{gold} gold rows for training or development are too few to try the teacher on: it "
            "is asked in the default manner, and how good it is stays unknown until the end"
        )
    return found


def _live_steps(task: Task, teacher: TeacherSpec, rows: dict[str, int]) -> list[str]:
    gold = max(rows["gold for development"], rows["gold for training"])
    steps: list[str] = []
    if task.labelling and gold >= FEWEST_ROWS:
        tried = min(gold, teacher.audition_rows)
        steps.append(f"try {teacher.model} on {tried} gold rows in several ways")
    if task.generate is not None:
        steps.append(f"have it write {task.generate.target} inputs, and answer them")
    steps.append(
        f"ask it about {rows['unlabeled']} rows, and about "
        f"{min(rows['gold for the test'], teacher.test_rows)} test rows for the report; "
        "'potstill plan' says what that costs"
    )
    return steps


def _training_step(task: Task) -> str:
    options = task.student
    if task.type != "generation":
        return f"train {options.base} ({options.mode})"
    picks = f"train {options.base} to pick sentences"
    return picks if options.mode == "extractive" else f"{picks}, and {options.writer} to write"


def _steps(task: Task, rows: dict[str, int], teachers: int) -> list[str]:
    who = f"{teachers} recorded teachers" if teachers > 1 else "the recorded teacher"
    steps = [f"freeze {rows['gold for the test']} test rows and remove what leaks from them"]
    if task.teacher is not None and task.teacher.live:
        steps += _live_steps(task, task.teacher, rows)
    elif rows["unlabeled"]:
        steps.append(
            f"have {who} answer {rows['unlabeled']} rows; "
            f"{rows['answered by the teacher']} answers are usable, no call is paid for"
        )
    steps += [
        f"filter the training rows: {', '.join(task.filter) or 'no filter'}",
        _training_step(task),
        *(
            [f"ask again what the student doubts, {task.rounds.max} rounds at most"]
            if task.rounds.max
            else []
        ),
        f"export to ONNX ({task.student.precision}), calibrate, check parity",
        f"judge on the test rows beside the teacher and the baselines; {len(task.accept)} gates",
    ]
    return steps
