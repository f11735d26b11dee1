"""Python code with its tests, run where it can do no harm.

Guaranteed on Linux 5.13 and later, on x86-64 and 64-bit ARM, for root and for any other user,
in a container or not, by the kernel and not by Python:

- **processes**: none can be started, no program run and no signal sent (seccomp); threads can;
- **time**: the process is killed when its time is up, whatever it does;
- **memory**: one process under a hard limit of address space, and no memory beside it (no
  shared segments, no files in memory);
- **files**: only the standard library can be read; nothing outside its own folder can be
  written, deleted, created, or given other rights (Landlock and seccomp);
- **network**: no socket can be made;
- **secrets**: the environment is empty, and neither files of a home nor other processes can be
  read;
- **output**: what is written beyond a limit ends the run.

Where the kernel lets a user make namespaces, the folder is a small file system in memory that
vanishes with the process, and nothing else of mounts, network or IPC is shared. Where it does
not (many containers; Ubuntu from 23.10 on), the code has no folder and can write nothing.

Without Landlock or seccomp, and on every other system, nothing is run: `SandboxError`.

Not guaranteed: that the verdict is honest against code which looks for the tests inside its own
interpreter. It cannot leave early, print a verdict or replace a builtin, but code that walks
the stack could. Not guarded against: a fault of the kernel, and timing.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from potstill.errors import SandboxError

Fault = Literal[
    "failed", "timeout", "memory", "crashed", "exited", "output", "no_tests", "bad_tests"
]
# What the confined process may say of itself; anything else is no pass.
_FAULTS: dict[str, Fault | None] = {
    "passed": None,
    "failed": "failed",
    "memory": "memory",
    "exited": "exited",
    "no_tests": "no_tests",
    "bad_tests": "bad_tests",
}
_CONFINE = Path(__file__).with_name("confine.py")
_HINT = (
    "Run it on Linux 5.13 or later with Landlock (see /sys/kernel/security/lsm), or leave the"
    " verifier 'tests' out: code of a model is never run unprotected."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use.

    Attributes:
        timeout_s: seconds of wall clock, the start of the interpreter included.
        memory_bytes: address space.
        file_bytes: all files together; also the most that one file may have.
        output_bytes: stdout and stderr together; what is more ends the run.
        open_files: descriptors.
    """

    timeout_s: float = 5.0
    memory_bytes: int = 512 << 20
    file_bytes: int = 16 << 20
    output_bytes: int = 1 << 20
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        passed: whether every test passed, at least one of which asserted something.
        fault: why not; None for a pass. ``no_tests`` and ``bad_tests`` are faults of the tests.
        detail: the failure in the words of Python, or empty.
        output: the beginning of what the code printed.
        seconds: wall clock.
    """

    passed: bool
    fault: Fault | None
    detail: str
    output: str
    seconds: float


DEFAULT_LIMITS = Limits()


def run_tests(
    code: str, tests: str, limits: Limits = DEFAULT_LIMITS, *, namespaces: bool = True
) -> Outcome:
    """Run code and then its tests in a confined Python of its own.

    Args:
        code: what is tested.
        tests: Python that knows the names of ``code``: assertions, functions ``test…``, or
            classes of `unittest.TestCase`. Trusted no more than the code.
        limits: what it may use.
        namespaces: whether to make a folder in namespaces of its own, where the kernel lets.

    Raises:
        SandboxError: this system cannot confine it; nothing was run.
    """
    if sys.platform != "linux":
        raise SandboxError(f"code cannot be confined on {sys.platform}.", hint=_HINT)
    begun = time.monotonic()
    nonce = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="potstill-", ignore_cleanup_errors=True) as folder:
        request = {
            **asdict(limits),
            "nonce": nonce,
            "code": code,
            "tests": tests,
            "folder": folder,
            "namespaces": namespaces,
        }
        raw, output, fault = _watched(json.dumps(request).encode(), limits, folder)
    seconds = time.monotonic() - begun
    shown = output.decode("utf-8", "replace")[:4000]
    reply = _reply(raw, nonce)
    if reply is not None and reply["outcome"] == "refused":
        raise SandboxError(f"code cannot be confined here: {reply['detail']}.", hint=_HINT)
    if reply is None or fault is not None:
        return Outcome(False, fault or "exited", "", shown, seconds)
    ended = _FAULTS.get(reply["outcome"], "exited")
    return Outcome(ended is None, ended, reply["detail"], shown, seconds)


@cache
def assert_confinable() -> None:
    """Run a trivial test, so that what cannot work fails before a training begins.

    Raises:
        SandboxError: this system cannot confine code.
    """
    outcome = run_tests("x = 1", "assert x == 1", Limits(timeout_s=30.0))
    if not outcome.passed:
        what = outcome.fault or "no reply"
        raise SandboxError(f"the sandbox does not run a trivial test: {what}.", hint=_HINT)


def _watched(request: bytes, limits: Limits, folder: str) -> tuple[bytes, bytes, Fault | None]:
    """Run one request under the clock: reply, output, and why it was ended if it was."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_CONFINE), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            env={"LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        raise SandboxError(f"no process for the sandbox: {error}.", hint=_HINT) from error
    finally:
        os.close(writing)
    try:
        return _listened(process, reading, request, limits)
    finally:
        _kill(process)
        os.close(reading)


def _listened(
    process: subprocess.Popen[bytes], reading: int, request: bytes, limits: Limits
) -> tuple[bytes, bytes, Fault | None]:
    deadline = time.monotonic() + limits.timeout_s
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(request)  # read before anything is run, so this does not block long
        process.stdin.close()
    except BrokenPipeError:
        return b"", b"", "crashed"
    said = process.stdout.fileno()
    kept: dict[int, bytearray] = {reading: bytearray(), said: bytearray()}
    open_ends = {reading, said}
    while open_ends:
        left = deadline - time.monotonic()
        ready = select.select(list(open_ends), [], [], max(0.0, left))[0]
        if not ready:
            return bytes(kept[reading]), bytes(kept[said]), "timeout"
        for end in ready:
            piece = os.read(end, 65_536)
            if not piece:
                open_ends.discard(end)
            kept[end] += piece
            if len(kept[end]) > limits.output_bytes:
                return b"", bytes(kept[said]), "output"
    try:
        status = process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:  # it closed its ends and runs on
        return bytes(kept[reading]), bytes(kept[said]), "timeout"
    if status == -signal.SIGXCPU:
        return b"", bytes(kept[said]), "timeout"
    return bytes(kept[reading]), bytes(kept[said]), "crashed" if status < 0 else None


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None and not pipe.closed:
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def _reply(raw: bytes, nonce: str) -> dict[str, str] | None:
    """The one line that knows the nonce; None for anything else."""
    try:
        reply = json.loads(raw)
    except ValueError:
        return None
    honest = isinstance(reply, dict) and reply.get("nonce") == nonce
    return reply if honest else None
