"""What happens when a run is interrupted, killed, or out of room: nothing is lost."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-c", "from potstill.cli import main; main()", "run", "task.yaml"]


def start(folder, *, limit_bytes=None):
    def limit():
        # A shell that runs the tests in the background has SIGINT ignored, and so would we.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        COMMAND,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=limit,  # noqa: PLW1509  # the tests have no threads
    )


def events(folder):
    files = list((folder / "runs").glob("topics/*/events.jsonl"))
    return files[0].read_text() if files else ""


def wait_for(folder, stage):
    deadline = time.monotonic() + 120
    while f'"started","stage":"{stage}"' not in events(folder):
        assert time.monotonic() < deadline, "the stage never began"
        time.sleep(0.02)


def finish(folder):
    done = start(folder)
    out, err = done.communicate(timeout=300)
    assert done.returncode == 0, err
    assert "Traceback" not in err
    return out, err


def scores(folder):
    [report] = (folder / "runs").glob("topics/*/report.json")
    entries = json.loads(report.read_text())["entries"]
    return {e["evaluation"]["name"]: e["evaluation"]["metrics"]["accuracy"] for e in entries}


def leftovers(folder):
    return [p for p in folder.rglob(".*") if p.name != ".lock"]


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(task_folder):
    process = start(task_folder)
    wait_for(task_folder, "train")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    _, err = finish(task_folder)
    assert err.count("kept") == 3


def test_kill_9_at_any_moment_loses_nothing(task_folder, finished):
    generator = random.Random(1)
    for _ in range(6):
        process = start(task_folder)
        time.sleep(generator.uniform(0.5, 6.0))
        process.kill()
        process.communicate()
    finish(task_folder)
    assert scores(task_folder) == scores(finished)
    model = next((task_folder / "runs").glob("topics/*/model"))
    assert (model / "lineage.json").read_bytes() == (finished / "model/lineage.json").read_bytes()


def test_a_disk_without_room_is_said_and_the_run_goes_on_later(task_folder):
    process = start(task_folder, limit_bytes=60_000)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert "error: " in err
    assert "Traceback" not in err
    finish(task_folder)
    assert not leftovers(task_folder)


def test_a_flipped_byte_in_any_file_of_the_model_is_named(finished, potstill, tmp_path):
    for name in ("model.onnx", "tokenizer.json", "model.json", "lineage.json"):
        copy = tmp_path / name
        copy.mkdir()
        for file in (finished / "model").iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        result = potstill("predict", copy, "-", cwd=Path(tmp_path), stdin='{"text": "a"}\n')
        assert result.code == 2
        assert name in result.err
        assert "Traceback" not in result.err
