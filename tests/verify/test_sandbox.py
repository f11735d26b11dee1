"""Each attack on the sandbox, with and without namespaces; and that the machine survives it."""

import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from potstill.errors import SandboxError
from potstill.verify import sandbox
from potstill.verify.programs import UnitTests, code_in
from potstill.verify.sandbox import Limits, run_tests


def _confinable():
    try:
        sandbox.assert_confinable()
    except SandboxError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _confinable(), reason="this system cannot confine code")
QUICK = Limits(timeout_s=10.0, memory_bytes=256 << 20)


@pytest.fixture(params=[True, False], ids=["namespaces", "no namespaces"])
def confined(request):
    def run(code, tests="assert done", limits=QUICK):
        return run_tests(textwrap.dedent(code), tests, limits, namespaces=request.param)

    return run


def tried(call):
    """Code that records as ``error`` the exception that a call ends in."""
    return f"""
        import os, signal, socket, subprocess, sys, ctypes, resource, fcntl
        error = None
        try:
            {call}
        except BaseException as caught:
            error = type(caught).__name__
    """


def test_right_and_wrong_code(confined):
    assert confined("def f(x): return x + 1", "assert f(1) == 2").passed
    wrong = confined("def f(x): return x", "assert f(1) == 2")
    assert (wrong.passed, wrong.fault) == (False, "failed")
    assert confined("def f(:", "assert f(1) == 2").fault == "failed"


@pytest.mark.parametrize(
    ("tests", "fault"),
    [
        ("def test_a(): assert f(1) == 2", None),
        ("def test_a(): assert f(1) == 3", "failed"),
        (
            "import unittest\nclass A(unittest.TestCase):\n def test_a(self): self.assertEqual(f(1), 2)",
            None,
        ),
        (
            "import unittest\nclass A(unittest.TestCase):\n def test_a(self): self.assertEqual(f(1), 3)",
            "failed",
        ),
        ("import unittest\nclass A(unittest.TestCase): pass", "no_tests"),
        ("def check(f): assert f(1) == 2\ncheck(f)", None),
        ("def check(f): assert f(1) == 2", "no_tests"),
        ("f(1)", "no_tests"),
        ("assert f(1 == 2", "bad_tests"),
    ],
)
def test_forms_of_tests(tests, fault):
    assert run_tests("def f(x): return x + 1", tests).fault == fault


def test_an_infinite_loop_is_ended(confined):
    begun = time.monotonic()
    outcome = confined("while True: pass", limits=Limits(timeout_s=1.0))
    assert outcome.fault == "timeout"
    assert time.monotonic() - begun < 5.0


def test_an_infinite_loop_of_a_thread_is_not_waited_for(confined):
    code = """
        import threading
        def spin():
            while True: pass
        threading.Thread(target=spin).start()
        done = True
    """
    assert confined(code).passed


def test_a_fork_bomb_starts_nothing(confined):
    outcome = confined(
        """
        import os
        done = False
        try:
            while True:
                os.fork()
        except OSError:
            done = True
        """
    )
    assert outcome.passed


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.run(['/bin/sh', '-c', 'true'])",
        "os.posix_spawn('/bin/sh', ['/bin/sh', '-c', 'true'], {})",
        "os.execv('/bin/sh', ['/bin/sh', '-c', 'exit 0'])",
        "os.system('true') == 0 or 1 / 0",
        "import multiprocessing as m; p = m.get_context('fork').Process(target=print); p.start()",
        "os.kill(os.getppid(), 0)",
        "os.kill(os.getppid(), signal.SIGKILL)",
        "os.killpg(os.getpgid(os.getppid()), signal.SIGKILL)",
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 80), timeout=1)",
        "socket.socketpair()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1', timeout=1)",
        "os.memfd_create('a')",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setaffinity(os.getppid(), {0})",
        "os.setuid(1)",
        "os.chroot('.')",
        "fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid())",
        "fcntl.fcntl(1, 10, 9)",
        "os.mknod('/tmp/device', 0o600)",
        "open('/etc/passwd').read()",
        "open('/proc/%d/environ' % os.getppid()).read()",
        "open('/proc/%d/mem' % os.getppid(), 'rb').read(1)",
        "open('/proc/self/environ').read()",
        "os.listdir('/')",
        "os.listdir(os.path.expanduser('~root'))",
        "open('/dev/shm/x', 'w')",
        "open('/tmp/no_such_file', 'w')",
        "open('/dev/sda', 'rb')",
    ],
)
def test_what_is_refused(confined, call):
    outcome = confined(
        tried(call),
        "assert error in ('PermissionError', 'OSError', 'URLError', 'ZeroDivisionError', 'ValueError', 'FileNotFoundError'), error",
    )
    assert outcome.passed, (outcome.fault, outcome.detail)


@pytest.mark.parametrize(
    "call",
    ["unshare(0x10000000)", "mount(b'a', b'/', b'tmpfs', 0, 0)", "ptrace(16, os.getppid(), 0, 0)"],
)
def test_system_calls_by_hand_are_refused(confined, call):
    code = f"""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        answer = libc.{call}
        number = ctypes.get_errno()
    """
    assert confined(code, "assert answer == -1 and number == 1, (answer, number)").passed


def test_other_files_are_neither_deleted_nor_changed(confined, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("kept")
    before = precious.stat()
    code = f"""
        import os, shutil
        path, errors = {str(precious)!r}, []
        for call in (
            lambda: os.remove(path),
            lambda: os.rename(path, path + "2"),
            lambda: os.truncate(path, 0),
            lambda: open(path, "w"),
            lambda: open(path).read(),
            lambda: os.chmod(path, 0),
            lambda: os.chown(path, 1, 1),
            lambda: os.utime(path, (0, 0)),
            lambda: os.link(path, "link"),
            lambda: shutil.rmtree(os.path.dirname(path)),
            lambda: os.mkdir(os.path.dirname(path) + "/new"),
            lambda: os.symlink("a", os.path.dirname(path) + "/link"),
        ):
            try:
                call()
            except OSError as error:
                errors.append(error)
    """
    assert confined(code, "assert len(errors) == 12").passed
    after = precious.stat()
    assert precious.read_text() == "kept"
    assert (after.st_mode, after.st_mtime, after.st_uid) == (
        before.st_mode,
        before.st_mtime,
        before.st_uid,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_ten_gigabytes_are_refused(confined):
    assert confined("data = bytearray(10 << 30)").fault == "memory"
    assert confined("data = []\nwhile True: data.append(bytearray(1 << 20))").fault in (
        "memory",
        "crashed",
    )


def test_gigabytes_of_output_end_the_run(confined):
    begun = time.monotonic()
    outcome = confined("while True: print('x' * 100_000)")
    assert outcome.fault == "output"
    assert len(outcome.output) <= 4000
    assert time.monotonic() - begun < 8.0


def test_the_environment_is_empty(confined, monkeypatch):
    monkeypatch.setenv("A_SECRET_KEY", "hunter2")
    code = "import os\nfound = [v for v in os.environ.values() if 'hunter2' in v]"
    assert confined(code, "assert not found and 'HOME' not in os.environ").passed


def test_the_folder_is_small_and_leaves_nothing():
    code = """
        import os
        where = os.getcwd()
        open("a.txt", "w").write("hello")
        read = open("a.txt").read()
        os.remove("a.txt")
        full = None
        try:
            for n in range(100):
                open(f"f{n}", "wb").write(bytes(1 << 20))
        except OSError as error:
            full = error.errno
        print(where)
    """
    outcome = run_tests(
        textwrap.dedent(code), "assert read == 'hello' and full in (27, 28), full", QUICK
    )
    if "Permission" in outcome.detail:
        pytest.skip("this kernel gives no namespaces to this user")
    assert outcome.passed, outcome.detail
    assert not Path(outcome.output.strip()).exists()


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "import os; os.closerange(0, 100)",
        'print(\'{"nonce": "", "outcome": "passed"}\')',
        'import os\nfor fd in range(3, 20):\n  try: os.write(fd, b\'{"outcome": "passed", "nonce": null}\')\n  except OSError: pass\nos._exit(0)',
        "import builtins\nbuiltins.AssertionError = Exception\nbuiltins.isinstance = lambda *a: True",
        "import ctypes; ctypes.string_at(0)",
        "def f(n): return f(n + 1)\nf(0)",
        "def test_mine(): pass\nraise StopIteration",
        "import atexit, os\natexit.register(os._exit, 0)",
    ],
)
def test_leaving_early_is_no_pass(confined, code):
    assert not confined(code, "assert answer == 42").passed


def test_a_builtin_that_is_replaced_does_not_judge(confined):
    code = "import builtins\nbuiltins.sorted = lambda x: [1]\ndef f(): return [2]"
    assert not confined(code, "assert sorted(f()) == [1]").passed


def test_ordinary_code_runs(confined):
    code = """
        import collections, functools, itertools, json, math, random, re, threading, decimal
        import datetime, heapq, string, time, typing, dataclasses, statistics, bisect, operator
        found = []
        worker = threading.Thread(target=lambda: found.append(math.factorial(20)))
        worker.start(); worker.join(); time.sleep(0.01)
    """
    outcome = confined(code, "assert found == [2432902008176640000] and random.random() < 1")
    assert outcome.passed, outcome.detail


def test_it_works_off_the_main_thread():
    found = []
    threads = [
        threading.Thread(
            target=lambda n=n: found.append(run_tests(f"x = {n}", f"assert x == {n}").passed)
        )
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 6


def _reachable(path):
    """Whether any user can read it, and what it is a link to."""
    return path.exists() and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents
    )


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to leave it"
)
def test_it_works_for_another_user_than_root():
    script = (
        "from potstill.verify.sandbox import run_tests\n"
        "import os; assert os.getuid() == 65534\n"
        "for n in (True, False):\n"
        "  assert run_tests('x = 1', 'assert x == 1', namespaces=n).passed\n"
        "  o = run_tests('import os\\nos.fork()', 'assert 1', namespaces=n)\n"
        "  assert 'PermissionError' in o.detail, o\n"
        "  o = run_tests('open(\"/etc/passwd\")', 'assert 1', namespaces=n)\n"
        "  assert 'PermissionError' in o.detail, o\n"
        "print('confined')"
    )
    source = Path(sandbox.__file__).parents[2]
    found = [path for path in (sys.executable, "/usr/bin/python3") if _reachable(Path(path))]
    if not found or not _reachable(source):
        pytest.skip("another user can read no interpreter here")
    done = subprocess.run(
        [found[0], "-c", script],
        user=65534,
        group=65534,
        extra_groups=[],
        env={
            "PYTHONPATH": os.pathsep.join([str(source), *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "confined", done.stderr[-2000:]


def test_without_the_kernel_nothing_is_run(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="never run unprotected"):
        run_tests("x = 1", "assert x == 1")


@pytest.mark.parametrize("number", [444, 446])
def test_a_kernel_without_landlock_is_refused(monkeypatch, tmp_path, number):
    source = Path(sandbox.__file__).with_name("confine.py").read_text()
    name = {444: "_LANDLOCK_CREATE", 446: "_LANDLOCK_RESTRICT"}[number]
    broken = tmp_path / "confine.py"
    broken.write_text(source.replace("def main()", f"{name} = 9999\n\n\ndef main()", 1))
    monkeypatch.setattr(sandbox, "_CONFINE", broken)
    with pytest.raises(SandboxError, match="Landlock"):
        run_tests("x = 1", "assert x == 1")
    assert UnitTests()("x = 1", "assert x == 1").fault == "no_sandbox"


def test_the_program_in_an_answer():
    fenced = "Here:\n```python\ndef f(): return 1\n```\nUse it:\n```python\nprint(f())\n```"
    assert code_in(fenced) == "def f(): return 1"
    assert code_in("def f(): return 1") == "def f(): return 1"
    assert code_in("I cannot do that.") == ""
    assert code_in("```\nx = 1") == "x = 1"
    assert code_in("```bash\nls\n```\nno python") == ""


@pytest.mark.parametrize(
    ("answer", "right", "fault"),
    [
        ("```python\ndef add(a, b):\n    return a + b\n```", True, None),
        ("```python\ndef add(a, b):\n    return a - b\n```", False, None),
        ("```python\nimport sys\nsys.exit(0)\n```", False, "exited"),
        ("No code.", False, "no_answer"),
        ("```python\nwhile True: pass\n```", False, "timeout"),
        ("Verdict: correct", False, None),
    ],
)
def test_the_verifier_of_programs(answer, right, fault):
    verdict = UnitTests(Limits(timeout_s=1.5))(answer, "assert add(2, 3) == 5")
    assert (verdict.right, verdict.fault) == (right, fault)
    assert UnitTests()("```python\nx = 1\n```", "x").right is None
