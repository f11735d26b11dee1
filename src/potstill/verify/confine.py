"""Runs inside the sandbox: confines its own process, then executes code and its tests.

Started by `sandbox` as a script, isolated and without site packages, so it imports the standard
library alone. It reads one request on stdin, gives up every right that the code could misuse,
runs the code and writes one line to the pipe that it was given. Nothing is trusted from the
moment at which the code begins.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys
from types import CodeType
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 22, 38, 47
_CLONE_THREAD = 0x00010000
_NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x04000000
"""User, mount, network, IPC and UTS."""
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 16384, 1 << 18
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_READ = 1 << 2 | 1 << 3
_WRITE = 1 << 1
_LAST_CALL = 450
"""Calls that are newer than this table are refused: nobody knows what they allow."""

# What each machine calls what is refused: numbers of <asm/unistd_64.h>, <asm-generic/unistd.h>.
# New processes and programs; sockets; other processes and signals to them; mounts and
# namespaces; kernel memory and rings; memory that no limit counts; rights and times of files,
# which Landlock does not guard; limits and priorities; identities; the machine itself.
_REFUSED = {
    "x86_64": (
        *(57, 58, 59, 322),
        *(41, 53, 42, 49, 50, 43, 288, 44, 46, 307, 299),
        *(101, 310, 311, 312, 434, 438, 424, 62, 200, 234, 129, 297),
        *(165, 166, 155, 161, 272, 308, 429, 430, 432, 431, 428, 442, 433),
        *(321, 298, 323, 425, 426, 427, 250, 248, 249),
        *(29, 30, 31, 64, 65, 66, 220, 68, 69, 70, 71, 240, 241, 319, 447),
        *(90, 91, 268, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199),
        *(76, 133, 259, 160, 141, 251, 203, 144, 142, 314),
        *(105, 106, 113, 114, 117, 119, 122, 123, 116, 126, 135, 109, 112),
        *(163, 167, 168, 169, 170, 171, 172, 173, 175, 313, 176, 246, 320, 179, 443, 180, 212),
        *(304, 303, 164, 227, 305, 159, 103, 153, 256, 279, 300, 301, 440, 448),
        *(253, 294, 134, 136, 139, 156, 154, 216, 278, 276, 275),
    ),
    "aarch64": (
        *(221, 281),
        *(198, 199, 203, 200, 201, 202, 242, 206, 211, 269, 243),
        *(117, 270, 271, 272, 434, 438, 424, 129, 130, 131, 138, 240),
        *(40, 39, 41, 51, 97, 268, 429, 430, 432, 431, 428, 442, 433),
        *(280, 241, 282, 425, 426, 427, 219, 217, 218),
        *(194, 196, 195, 190, 193, 191, 192, 186, 189, 188, 187, 180, 181, 279, 447),
        *(52, 53, 55, 54, 88, 5, 6, 7, 14, 15, 16),
        *(45, 33, 164, 140, 30, 122, 119, 118, 274),
        *(146, 144, 145, 143, 147, 149, 151, 152, 159, 91, 92, 154, 157),
        *(89, 224, 225, 142, 161, 162, 105, 273, 106, 104, 294, 60, 443, 42, 18),
        *(265, 264, 170, 112, 266, 171, 116, 58, 238, 239, 262, 263, 440, 448),
        *(26, 234, 75, 77, 76),
    ),
}
# audit architecture, clone, clone3, prlimit64, fcntl, ioctl
_SPECIAL = {
    "x86_64": (0xC000003E, 56, 435, 302, 72, 16),
    "aarch64": (0xC00000B7, 220, 435, 261, 25, 29),
}
_FCNTL_REFUSED = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: a pipe could send SIGKILL to any process of this user."""
_IOCTL_ALLOWED = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""


class Refused(Exception):
    """The kernel lacks what confinement needs."""


def main() -> None:
    """Confine, run, report."""
    request = json.load(sys.stdin)
    reply_fd = int(sys.argv[1])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    try:
        confine(request)
    except Refused as error:
        _reply(reply_fd, request["nonce"], "refused", str(error))
        os._exit(0)
    outcome, detail = run(request["code"], request["tests"])
    _reply(reply_fd, request["nonce"], outcome, detail)
    # Threads that the code left, and what it registered for the end, are not waited for.
    os._exit(0)


def _reply(fd: int, nonce: str, outcome: str, detail: str) -> None:
    with contextlib.suppress(Exception):  # the code may have put anything in its place
        sys.stdout.flush()
    line = json.dumps({"nonce": nonce, "outcome": outcome, "detail": detail[:2000]})
    os.write(fd, line.encode())


# -- what the code may not do ----------------------------------------------------------------


def confine(request: dict[str, Any]) -> None:
    """Give up every right that the code could misuse; there is no way back.

    Raises:
        Refused: the kernel lacks Landlock or system call filters, or the machine is unknown.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _REFUSED:
        raise Refused(f"no list of system calls for {sys.platform} on {machine}")
    abi = _LIBC.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if abi < 1:
        raise Refused("the kernel has no Landlock (Linux 5.13, and not switched off at boot)")
    folder: str | None = request["folder"]
    if folder is not None:
        os.chdir(folder)
        if not (request["namespaces"] and _own_folder(folder, request["file_bytes"])):
            folder = None
    _limit(request)
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _drop_capabilities()
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise Refused("the kernel does not let a process give up new privileges")
    _lock_files(abi, folder)
    _lock_calls(machine)


def _own_folder(folder: str, size: int) -> bool:
    """Namespaces of our own, and in them an empty file system in memory; whether we got them."""
    user, group = os.getuid(), os.getgid()
    if _LIBC.unshare(_NEW_NAMESPACES):
        return False
    try:
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - no pathlib in here
                file.write(line)
    except OSError:
        return False
    if _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
        return False
    options = f"size={size},nr_inodes=1000,mode=700".encode()
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if _LIBC.mount(b"tmpfs", folder.encode(), b"tmpfs", flags, options):
        return False
    os.chdir(folder)
    return True


def _limit(request: dict[str, Any]) -> None:
    for what, most in (
        (resource.RLIMIT_AS, request["memory_bytes"]),
        (resource.RLIMIT_CPU, int(request["timeout_s"]) + 1),
        (resource.RLIMIT_FSIZE, request["file_bytes"]),
        (resource.RLIMIT_NOFILE, request["open_files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError) as error:
            # A harder limit than ours is in force already.
            if resource.getrlimit(what)[1] > most:
                raise Refused(f"a limit cannot be set: {error}") from error


def _drop_capabilities() -> None:
    _LIBC.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)
    header = struct.pack("Ii", 0x20080522, 0)
    _LIBC.capset(header, struct.pack("6I", *[0] * 6))


def _lock_files(abi: int, folder: str | None) -> None:
    """Landlock: the standard library may be read, the folder written, all else is closed."""
    rights = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(abi, 0xFFFF)
    net = 0b11 if abi >= 4 else 0
    scoped = 0b11 if abi >= 6 else 0
    attributes = struct.pack("QQQ", rights, net, scoped)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = _LIBC.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        raise Refused("Landlock made no rule set")
    readable = {os.path.dirname(os.__file__), *sys.path}  # noqa: PTH120
    readable |= {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"}
    readable |= {f"{sys.base_prefix}/lib", "/usr/share/zoneinfo"}
    allowed = [(path, _READ) for path in readable if path]
    allowed += [(path, _READ | _WRITE) for path in ("/dev/null",)]
    allowed += [(path, _READ) for path in ("/dev/urandom", "/dev/zero")]
    if folder is not None:
        # Everything but to run it, to make devices, or to move it elsewhere.
        allowed.append((folder, rights & ~(1 << 0 | 1 << 6 | 1 << 11 | 1 << 13 | 1 << 15)))
    for path, given in allowed:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        # A file has no entries to be listed.
        fitting = given if os.path.isdir(path) else given & (1 << 2 | _WRITE)  # noqa: PTH112
        rule = struct.pack("=Qi", fitting & rights, opened)
        failed = _LIBC.syscall(_LANDLOCK_ADD, rules, 1, rule, 0)
        os.close(opened)
        if failed:
            raise Refused(f"Landlock took no rule for {path}")
    if _LIBC.syscall(_LANDLOCK_RESTRICT, rules, 0):
        raise Refused("Landlock does not restrict this process")
    os.close(rules)


def _lock_calls(machine: str) -> None:
    """A seccomp filter: system calls that make processes, sockets or trouble are refused."""
    program = _filter(machine)
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    held = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
    if _LIBC.prctl(_PR_SET_SECCOMP, 2, header, 0, 0):
        raise Refused("the kernel takes no filter of system calls")


def _filter(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter as classic BPF: ``(code, jump if true, jump if false, operand)`` a line."""
    load, equal, above, has, end = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown, no_tty = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050019
    architecture, clone, clone3, prlimit, fcntl, ioctl = _SPECIAL[machine]
    lines = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (end, 0, 0, 0x80000000),  # another instruction set has other numbers: kill
        (load, 0, 0, 0),
        (above, 0, 1, _LAST_CALL + 1),
        (end, 0, 0, unknown),
        (equal, 0, 1, clone3),  # its flags lie in memory; the C library falls back to clone
        (end, 0, 0, unknown),
    ]
    for call in _REFUSED[machine]:
        lines += [(equal, 0, 1, call), (end, 0, 0, refuse)]
    # Arguments begin at byte 16, eight bytes each, the low half first.
    lines += [
        (equal, 0, 4, clone),
        (load, 0, 0, 16),
        (has, 1, 0, _CLONE_THREAD),
        (end, 0, 0, refuse),
        (end, 0, 0, allow),
        (equal, 0, 6, prlimit),  # to read a limit is allowed: no new one is pointed to
        (load, 0, 0, 32),
        (equal, 0, 2, 0),
        (load, 0, 0, 36),
        (equal, 1, 0, 0),
        (end, 0, 0, refuse),
        (load, 0, 0, 0),
        (equal, 0, 2 + 2 * len(_FCNTL_REFUSED), fcntl),
        (load, 0, 0, 24),
    ]
    for command in _FCNTL_REFUSED:
        lines += [(equal, 0, 1, command), (end, 0, 0, refuse)]
    lines += [
        (end, 0, 0, allow),
        (equal, 0, 2 + 2 * len(_IOCTL_ALLOWED), ioctl),
        (load, 0, 0, 24),
    ]
    for command in _IOCTL_ALLOWED:
        lines += [(equal, 0, 1, command), (end, 0, 0, allow)]
    return [*lines, (end, 0, 0, no_tty), (end, 0, 0, allow)]


# -- what the code is asked to do ------------------------------------------------------------


def run(code: str, tests: str) -> tuple[str, str]:
    """Execute code, then its tests, in one namespace: how it ended, and why."""
    import builtins

    names: dict[str, Any] = {"__name__": "solution", "__builtins__": builtins}
    kept = dict(vars(builtins))
    counted = [0]
    try:
        compiled, functions, classes = _compiled(tests)
    except (SyntaxError, ValueError, RecursionError) as error:
        return "bad_tests", f"{type(error).__name__}: {error}"
    try:
        exec(compile(code, "answer.py", "exec"), names)
        # A builtin that the code replaced must not judge it.
        builtins.__dict__.update(kept)
        names["__asserted__"] = lambda: counted.__setitem__(0, counted[0] + 1)
        exec(compiled, names)
        for name in functions:
            counted[0] += 1
            names[name]()
        failure = _unit_tests([names[name] for name in classes], counted)
    except MemoryError:
        return "memory", "MemoryError"
    except AssertionError as error:
        return "failed", f"AssertionError: {error}"
    except BaseException as error:
        left = isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit)
        return "exited" if left else "failed", f"{type(error).__name__}: {error}"
    if failure:
        return "failed", failure
    return ("passed", "") if counted[0] else ("no_tests", "no assertion was reached")


def _compiled(tests: str) -> tuple[CodeType, list[str], list[str]]:
    """The tests with each assertion counted, their test functions, and their test cases."""
    tree = _Counting().visit(ast.parse(tests, "tests.py"))
    functions, classes = [], []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            functions.append(node.name)
        if isinstance(node, ast.ClassDef) and any("TestCase" in ast.dump(b) for b in node.bases):
            classes.append(node.name)
    called = {
        node.value.func.id
        for node in tree.body
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
    }
    compiled = compile(ast.fix_missing_locations(tree), "tests.py", "exec")
    return compiled, [name for name in functions if name not in called], classes


class _Counting(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> Any:
        return [ast.parse("__asserted__()").body[0], node]


def _unit_tests(cases: list[type], counted: list[int]) -> str:
    if not cases:
        return ""
    import unittest

    suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, cases))
    result = unittest.TestResult()
    suite.run(result)
    counted[0] += result.testsRun - len(result.skipped)
    bad = [*result.failures, *result.errors]
    return bad[0][1][-500:] if bad else "unexpected success" * bool(result.unexpectedSuccesses)


if __name__ == "__main__":
    main()
