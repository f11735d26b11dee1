"""`serve` as a user starts it, and the verbs that go with it: in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

WORKFLOW = """
kind: workflow
version: 1
name: twice
out_of_scope: none_of_these
nodes:
  first: {model: model, task: task.yaml}
  second: {model: model, when: {first.label: [cards, loans]}}
output: {first: [second, first]}
"""


@contextlib.contextmanager
def served(*arguments: object, cwd: Path):
    """The URL of a server that runs while the block does; it must end in peace."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from potstill.cli import main; main()",
            "serve",
            *map(str, arguments),
            "--port",
            "0",
            "--drain-s",
            "0",
        ],
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"answers at (\S+);", line):
                yield found[1]
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 0, "".join(said) + rest


def ask(url: str, document: object) -> tuple[int, dict]:
    request = urllib.request.Request(url, json.dumps(document).encode())  # as curl -d sends it
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture(scope="module")
def workflow(finished: Path) -> Path:
    path = finished / "twice.yaml"
    path.write_text(WORKFLOW)
    return path


def test_a_model_and_a_workflow_answer_over_http(finished, workflow, potstill):
    text = "a card charge and a refund from the merchant"
    with served("model", workflow.name, cwd=finished) as url:
        status, reply = ask(f"{url}/v1/models/topics/predict", {"input": text})
        assert status == 200
        through = ask(f"{url}/v1/models/twice/predict", {"inputs": [text, text]})[1]
        status, refused = ask(f"{url}/v1/models/topic/predict", {"input": text})
    alone = json.loads(
        potstill("predict", "model", "-", cwd=finished, stdin=json.dumps({"text": text})).out
    )
    assert reply["prediction"]["label"] == alone["label"] == "cards"
    assert reply["prediction"]["confidence"] == alone["confidence"]
    assert [one["label"] for one in through["predictions"]] == ["cards", "cards"]
    assert (status, refused["error"]["hint"]) == (404, "Did you mean 'topics'?")


def test_what_is_kept_is_watched(finished, potstill, tmp_path):
    kept, picks = tmp_path / "kept", tmp_path / "picks.jsonl"
    task = finished / "consenting.yaml"
    task.write_text((finished / "task.yaml").read_text() + "serve: {consent: true}\n")
    rows = [json.loads(line) for line in (finished / "gold.jsonl").read_text().splitlines()]
    with served("model", "--task", task.name, "--record", kept, cwd=finished) as url:
        for row in rows:
            assert ask(f"{url}/v1/models/topics/predict", {"input": row["text"]})[0] == 200
    found = potstill(
        "evaluate", "model", "--against", kept, "--picks", picks, "--json", cwd=finished
    )
    assert found.code in (0, 1), found.err
    watched = json.loads(found.out)
    assert watched["rows"] == len(rows)
    picked = [json.loads(line) for line in picks.read_text().splitlines()]
    assert {row["text"] for row in picked} <= {row["text"] for row in rows}
    assert picked


def test_a_workflow_is_checked_and_judged_like_a_model(finished, workflow, potstill):
    checked = potstill("check", workflow.name, cwd=finished)
    assert checked.code == 0, checked.err
    assert "flowchart" in checked.out
    assert json.loads(potstill("check", workflow.name, "--json", cwd=finished).out)["nodes"]
    judged = potstill("evaluate", workflow.name, "--data", "gold.jsonl", "--json", cwd=finished)
    assert judged.code == 0, judged.err
    report = json.loads(judged.out)
    assert [node["node"] for node in report["attribution"]["nodes"]] == ["first", "second"]
    alone = json.loads(
        potstill("evaluate", "model", "--data", "gold.jsonl", "--json", cwd=finished).out
    )
    assert report["metrics"]["accuracy"]["value"] == alone["metrics"]["accuracy"]["value"]
    told = potstill("evaluate", workflow.name, "--data", "gold.jsonl", cwd=finished)
    assert "first fault" in told.out
    compared = potstill("compare", workflow.name, "model", "--data", "gold.jsonl", cwd=finished)
    assert compared.code == 0, compared.err
    line = potstill(
        "predict", workflow.name, "-", cwd=finished, stdin='{"text": "a mortgage rate"}'
    )
    assert json.loads(line.out)["label"] == "loans"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to serve"),
        (("nowhere",), "no such model"),
        (("model", "--host", "0.0.0.0"), "POTSTILL_API_KEYS"),
        (("model", "model"), "two of what shall be served"),
        (("twice.yaml", "--task", "queueing.yaml"), "--record"),
    ],
)
def test_a_mistake_is_told_before_anything_is_served(
    finished, workflow, potstill, arguments, words
):
    assert workflow.exists()
    (finished / "queueing.yaml").write_text(
        (finished / "task.yaml").read_text() + "defer: {fallback: queue}\n"
    )
    result = potstill("serve", *arguments, "--port", "0", cwd=finished)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
