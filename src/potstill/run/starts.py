"""What a student starts from, found before anything is paid for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from potstill.errors import SpecError
from potstill.run.kinds import kind_of
from potstill.spec import LoadedTask


def resolve_starts(loaded: LoadedTask) -> None:
    """Find every pretrained model that the training may start from.

    Raises:
        SpecError: there is none of a name, or one that cannot do what is asked.
        MissingExtraError: the package that brings it is not installed.
        TrainingError: the hub does not give it.
        TeacherError: the file that is to write cannot be read.
    """
    with _placed(loaded):
        kind_of(loaded.task).bases(loaded.task.student)


def missing_starts(loaded: LoadedTask) -> list[str]:
    """What is not to be had of that here and now, a sentence each; nothing is downloaded.

    Raises:
        SpecError: see `resolve_starts`.
        TeacherError: see `resolve_starts`.
    """
    from potstill.train import missing_bases, missing_writer

    task, options = loaded.task, loaded.task.student
    with _placed(loaded):
        found = missing_bases(options, labels=task.labelling)
        if task.type == "generation" and options.mode != "extractive":
            writer = missing_writer(options.writer)
            found += [] if writer is None else [writer]
    return [f"a run would end at once: {words}" for words in found]


@contextmanager
def _placed(loaded: LoadedTask) -> Generator[None]:
    """Say where in the task file a name stands that is refused."""
    try:
        yield
    except SpecError as error:
        if error.where is None:
            key = "writer" if "writer" in error.message else "base"
            chosen = loaded.task.student.base == "auto" and key == "base"
            error.where = loaded.where("student", "candidates" if chosen else key)
        raise
