"""The run folder: what was asked, what was done, and what need not be done again.

``runs/<task>/<id>/`` is named after a hash of the resolved task, so that the same task finds
its own folder and running again is resuming. A stage is skipped when its fingerprint (the
part of the task that it reads, the files that it reads, the code, and the fingerprints of the
stages before it) equals the one in ``manifest.json``.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import platform
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from potstill.data.files import clear_partials, json_line, sha256_of, storage_error, write_json
from potstill.errors import PotstillError
from potstill.run.events import Event, Listener
from potstill.spec import LoadedTask

_LIBRARIES = ("onnxruntime", "tokenizers", "numpy", "scikit-learn", "torch", "transformers")


class RunFolder:
    """One run on disk.

    Args:
        path: the folder; made when missing.
        listener: receives the events as they happen.
    """

    def __init__(self, path: Path, listener: Listener) -> None:
        self.path = path
        self._listener = listener
        self._chain = ""
        self._manifest: dict[str, Any] = {"stages": {}}
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, path) from error

    @property
    def manifest_file(self) -> Path:
        """The file that remembers the stages."""
        return self.path / "manifest.json"

    @property
    def stages(self) -> Mapping[str, Mapping[str, Any]]:
        """What the manifest holds of each finished stage: fingerprint, seconds, facts."""
        return self._manifest["stages"]

    @contextmanager
    def opened(self, spec: Mapping[str, Any], seed: int) -> Generator[None]:
        """Hold the folder for this process, with the resolved task and the versions in it.

        Raises:
            PotstillError: another process is at work in the folder, or its manifest is damaged.
        """
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise PotstillError(
                    "another process is at work in this run.",
                    where=str(self.path),
                    hint="Wait for it, or stop it.",
                ) from error
            clear_partials(self.path)
            write_json(self.path / "spec.json", spec)
            self._manifest = self._remembered() | {
                "version": 1,
                "potstill": importlib.metadata.version("potstill"),
                "code": code_fingerprint(),
                "python": platform.python_version(),
                "machine": f"{platform.system()} {platform.machine()}",
                "libraries": _library_versions(),
                "seed": seed,
            }
            self._save()
            yield

    def stage(
        self,
        name: str,
        work: Callable[[], Mapping[str, Any]],
        *,
        reads: Mapping[str, Any],
        files: Sequence[Path] = (),
        writes: Sequence[Path] = (),
    ) -> Mapping[str, Any]:
        """Do a stage's work, unless the same work was finished before.

        Args:
            name: the stage's name.
            work: does it, and returns facts for the manifest; it writes its files whole.
            reads: the part of the task that the work depends on.
            files: files from outside the folder that it depends on.
            writes: the files that it leaves; one that is missing or not as it was left means
                that the work must be done again.

        Returns:
            The facts, from now or from the time when the work was done.
        """
        self._chain = _digest(
            [self._chain, name, code_fingerprint(), reads, [sha256_of(file) for file in files]]
        )
        known = self.stages.get(name)
        if known and known["fingerprint"] == self._chain and known["left"] == self._left(writes):
            self.tell(Event(kind="skipped", stage=name, text="nothing has changed"))
            return known["facts"]
        self.tell(Event(kind="started", stage=name))
        start = time.perf_counter()
        facts = work()
        self._manifest["stages"][name] = {
            "fingerprint": self._chain,
            "seconds": round(time.perf_counter() - start, 3),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "facts": facts,
            "left": self._left(writes),
        }
        self._save()
        self.tell(Event(kind="finished", stage=name, text=str(facts.get("summary", ""))))
        return self.stages[name]["facts"]

    def forget(self, names: Sequence[str]) -> None:
        """Forget that these stages were done, so that they are done again."""
        for name in names:
            self._manifest["stages"].pop(name, None)
        self._save()

    def tell(self, event: Event) -> None:
        """Pass an event on, and remember it unless it is mere progress."""
        self._listener(event)
        if event.kind != "progress":
            try:
                with (self.path / "events.jsonl").open("ab") as stream:
                    stream.write(json_line(event.to_json()))
            except OSError as error:
                raise storage_error(error, self.path) from error

    def progress(self, stage: str) -> Callable[[str, int, int], None]:
        """A callback ``(phase, done, total)`` that tells of a stage's progress."""
        return lambda phase, done, total: self.tell(
            Event(kind="progress", stage=stage, text=phase, done=done, total=total)
        )

    def _left(self, files: Sequence[Path]) -> dict[str, str | None]:
        """SHA-256 of files of this folder, None where there is none."""
        return {
            str(file.relative_to(self.path)): sha256_of(file) if file.is_file() else None
            for file in files
        }

    def _remembered(self) -> dict[str, Any]:
        """The manifest of an earlier process, or an empty one."""
        if not self.manifest_file.exists():
            return {"stages": {}}
        try:
            found = orjson.loads(self.manifest_file.read_bytes())
            if not isinstance(found["stages"], dict):
                raise TypeError("'stages' is no mapping")
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise PotstillError(
                f"damaged: {error}.",
                where=str(self.manifest_file),
                hint="Remove the run folder and run again.",
            ) from error
        return found

    def _save(self) -> None:
        write_json(self.manifest_file, self._manifest)


def folder_of(loaded: LoadedTask, runs: Path) -> Path:
    """Where the run of a task lies: equal tasks share a folder.

    Args:
        loaded: the task.
        runs: folder of all runs.
    """
    spec = loaded.task.model_dump(mode="json")
    # Gates judge a run and change nothing in it: another bound is the same run.
    identity = {key: value for key, value in spec.items() if key != "accept"}
    identity["folder"] = str(loaded.folder.resolve())
    return runs / loaded.task.name / run_id(identity)


def run_id(spec: Mapping[str, Any]) -> str:
    """The id of the run of a resolved task: 8 hexadecimal digits."""
    return _digest(spec)[:8]


@cache
def code_fingerprint() -> str:
    """A hash of this package's own source: a result belongs to the code that made it."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _library_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _digest(value: Any) -> str:
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(canonical).hexdigest()
