"""The error tree: every mistake that a user can make ends in one of these.

    PotstillError            exit code 2, unless a subclass says otherwise
    ├── SpecError            a task file that cannot be used (also a ValueError)
    ├── DataError            rows or files that cannot be used (also a ValueError)
    ├── ModelError           a model folder that cannot be loaded (also a ValueError)
    ├── TeacherError         a teacher that cannot be asked, or is too weak to learn from
    ├── TrainingError        a training that cannot go on
    ├── ExportError          an export whose answers differ from the trained weights
    ├── BudgetReached        money ran out before the work did; resumable (exit code 3)
    ├── MissingExtraError    an optional dependency that is not installed (also an ImportError)
    ├── SandboxError         code that cannot be confined on this system, and so is not run
    ├── NodeError            a node of a workflow that failed (NodeTimeout: also a TimeoutError)
    └── StorageError         a disk that is full or may not be written (also an OSError)

The command line prints ``str(error)`` and no traceback; anything outside this tree is a
defect of ours and keeps its traceback.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_BUDGET = 3
EXIT_INTERRUPTED = 130


class PotstillError(Exception):
    """A mistake that has a cause, a place and a remedy.

    Args:
        message: what happened, as one sentence without a full stop at the end if it ends
            in a path or a name.
        where: the place, ``file`` or ``file:line``; printed first.
        hint: how to mend it, as one imperative sentence.
    """

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{remedy}"


class SpecError(PotstillError, ValueError):
    """A specification with an unknown key, a wrong type or a contradiction."""


class DataError(PotstillError, ValueError):
    """A data file that is missing, empty, broken or not what its column map says."""


class ModelError(PotstillError, ValueError):
    """A model folder that is missing, damaged or of another format version."""


class TeacherError(PotstillError):
    """A teacher that cannot be asked, or whose answers cannot be learnt from."""


class BudgetReached(PotstillError):
    """The next call could pass the cap; what was answered is kept, and the run can go on."""

    exit_code = EXIT_BUDGET


class TrainingError(PotstillError):
    """A training that cannot start or go on (one class only, loss is not a number)."""


class ExportError(PotstillError):
    """An exported graph whose answers differ too often from the trained weights."""


class SandboxError(PotstillError):
    """Code of a model that this system cannot confine; it was not run."""


class NodeError(PotstillError, RuntimeError):
    """A node of a workflow that failed, and whose policy is that the whole fails with it."""


class NodeTimeout(NodeError, TimeoutError):
    """A node of a workflow that did not answer within its time."""


class StorageError(PotstillError, OSError):
    """A disk that is full, or a folder that may not be written."""


class MissingExtraError(PotstillError, ImportError):
    """An optional dependency that is not installed.

    Args:
        package: the import that failed.
        extra: the extra of this distribution that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed.",
            hint=f"Install it with: pip install 'potstill[{extra}]'",
        )
        self.package = package
        self.extra = extra
