"""A live teacher through the command line: money, mistakes, secrets, and the whole way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stub_endpoint import running_stub

KEY = "sk-a-key-that-nobody-may-see"
PRICE = "price: {input_usd_per_million: 2.0, output_usd_per_million: 8.0}"
ORACLE = """
import json

WORDS = {
    "cards": ("card", "charge", "refund", "merchant", "statement", "cardsx"),
    "loans": ("loan", "mortgage", "rate", "repayment", "house", "loansx"),
}


def answer(request):
    text = request.messages[-1]["content"]
    found = (name for name, words in WORDS.items() if any(word in text for word in words))
    said = {"label": next(found, "accounts")}
    if "thought" in request.schema["properties"]:
        said = {"thought": "Its words tell.", **said}
    return json.dumps(said)
"""


@pytest.fixture
def endpoint() -> Iterator[Any]:
    with running_stub(key=KEY, model="big") as stub:
        yield stub


def live_task(folder: Path, teacher: str, *rest: str) -> Path:
    """The task of a folder with a live teacher, a third of its gold for training."""
    path = folder / "live.yaml"
    text = (folder / "task.yaml").read_text()
    text = re.sub(r"teacher:\n(  .*\n)+", f"teacher:\n{teacher}", text)
    text = text.replace(
        "gold: gold.jsonl", "gold: gold.jsonl\n  gold_split: {train: 0.4, test: 0.6}"
    )
    path.write_text(text + "".join(f"{line}\n" for line in rest))
    return path


def asked_over_http(base_url: str, *more: str) -> str:
    lines = ["model: big", f"base_url: {base_url}", "api_key_env: TEST_KEY", *more]
    fixed = ["examples: 0", "shortlist: 0", "reasoning: false", "votes: 1"]
    return "".join(f"  {line}\n" for line in (*lines, *fixed))


def files_with(folder: Path, secret: str) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


def test_from_a_callable_to_a_report(task_folder, potstill):
    (task_folder / "oracle.py").write_text(ORACLE)
    teacher = "  model: python:oracle:answer\n  audition_rows: 20\n  terms: ours\n"
    live_task(task_folder, teacher, "rounds: {max: 1, rows: 10, votes: 2}")

    plan = potstill("plan", "live.yaml", "--json", cwd=task_folder)
    assert plan.code == 0, plan.err
    steps = {step["name"]: step for step in json.loads(plan.out)["steps"]}
    assert steps["ask"]["calls"]["expected"] == 180

    result = potstill("run", "live.yaml", "--json", cwd=task_folder)
    assert result.code == 0, result.err
    done = json.loads(result.out)
    [student] = [e for e in done["results"]["entries"] if e["role"] == "student"]
    assert student["evaluation"]["metrics"]["accuracy"]["value"] > 0.8
    lineage = json.loads((Path(task_folder / done["model"]) / "lineage.json").read_text())
    assert {"model", "person"} <= {share["kind"] for share in lineage["shares"]}
    assert any(source.get("request") for source in lineage["sources"] if source["kind"] == "model")

    again = potstill("run", "live.yaml", "--json", "--set", "student.epochs=7", cwd=task_folder)
    assert again.code == 0, again.err
    assert again.err.count("asked") >= 1


def test_no_secret_is_left_anywhere(task_folder, potstill, endpoint, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    live_task(task_folder, asked_over_http(endpoint.base_url, "min_accuracy: 0.0"))
    result = potstill("run", "live.yaml", "--until", "label", cwd=task_folder)
    assert result.code == 0, result.err
    assert KEY not in result.out + result.err
    assert files_with(task_folder, KEY) == []
    assert files_with(task_folder / "runs", "big")


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        (None, ("", ""), "TEST_KEY"),
        ("sk-another", ("", ""), "key"),
        (KEY, ("model: big", "model: bigger"), "bigger"),
        (KEY, ("http://", "http://someone:secret@"), "base_url"),
    ],
)
def test_a_teacher_that_cannot_be_asked(
    task_folder, potstill, endpoint, monkeypatch, key, change, words
):
    if key is None:
        monkeypatch.delenv("TEST_KEY", raising=False)
    else:
        monkeypatch.setenv("TEST_KEY", key)
    live_task(task_folder, asked_over_http(endpoint.base_url).replace(*change))
    result = potstill("run", "live.yaml", cwd=task_folder)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert endpoint.books()["answered"] == 0
    for secret in (KEY, "sk-another", "someone:secret"):
        assert secret not in result.err
        assert not files_with(task_folder / "runs", secret)


def test_a_teacher_that_is_too_weak_stops_the_run(task_folder, potstill, endpoint, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    live_task(task_folder, asked_over_http(endpoint.base_url, "min_accuracy: 0.9"))
    result = potstill("run", "live.yaml", cwd=task_folder)
    assert result.code == 2
    assert "below the task's 'min_accuracy' of 90%" in result.err
    assert endpoint.books()["answered"] < 60


def test_a_budget_is_a_hard_cap_and_the_run_goes_on_later(
    task_folder, potstill, endpoint, monkeypatch
):
    monkeypatch.setenv("TEST_KEY", KEY)
    more = ("min_accuracy: 0.0", PRICE, "max_tokens: 64", "concurrency: 4")
    live_task(task_folder, asked_over_http(endpoint.base_url, *more))
    stopped = potstill("run", "live.yaml", "--budget-usd", "0.02", cwd=task_folder)
    assert stopped.code == 3, stopped.err
    assert "0.02" in stopped.err
    assert endpoint.books()["billed_usd"] <= 0.02
    go_on = ["run", "live.yaml", "--budget-usd", "5", "--until", "label"]
    assert potstill(*go_on, cwd=task_folder).code == 0
    books = endpoint.books()
    assert potstill(*go_on, "--from", "read", cwd=task_folder).code == 0
    assert endpoint.books()["calls"] == books["calls"]
    # 24 gold rows at the audition, 180 rows, 36 test rows, and a probe; none of them twice.
    assert books["answered"] == 24 + 180 + 36 + 1


def test_a_budget_needs_a_price(task_folder, potstill, endpoint, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    live_task(task_folder, asked_over_http(endpoint.base_url))
    result = potstill("run", "live.yaml", "--budget-usd", "1", cwd=task_folder)
    assert result.code == 2
    assert "the price of big is unknown" in result.err
    assert endpoint.books()["calls"] == 0


def test_a_pilot_measures_and_is_not_paid_for_again(task_folder, potstill, endpoint, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    live_task(task_folder, asked_over_http(endpoint.base_url, "min_accuracy: 0.0", PRICE))
    plan = potstill("plan", "live.yaml", "--pilot", "20", "--json", cwd=task_folder)
    assert plan.code == 0, plan.err
    total = json.loads(plan.out)["total"]
    assert total["usd"]["low"] <= total["usd"]["expected"] <= total["usd"]["high"]
    asked = endpoint.books()["answered"]
    assert asked == 20 + 1
    assert potstill("run", "live.yaml", "--until", "ask", cwd=task_folder).code == 0
    assert endpoint.books()["answered"] == 24 + 180 + 36 + 1


def test_check_says_what_run_would_refuse(task_folder, potstill, endpoint, monkeypatch):
    monkeypatch.delenv("TEST_KEY", raising=False)
    path = live_task(task_folder, asked_over_http(endpoint.base_url))
    told = potstill("check", "live.yaml", cwd=task_folder)
    assert "TEST_KEY holds no key" in told.err
    assert "the price of big is unknown" in told.err
    path.write_text(path.read_text().replace("TEST_KEY", "sk-the-key-itself"))
    refused = potstill("check", "live.yaml", cwd=task_folder)
    assert refused.code == 2
    assert "'api_key_env' is the name of an environment variable" in refused.err
    assert "sk-the-key-itself" not in refused.err


def test_a_pilot_keeps_to_the_budget(task_folder, potstill, endpoint, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    live_task(task_folder, asked_over_http(endpoint.base_url, PRICE, "max_tokens: 64"))
    stopped = potstill(
        "plan", "live.yaml", "--pilot", "150", "--budget-usd", "0.02", cwd=task_folder
    )
    assert stopped.code == 3
    assert endpoint.books()["billed_usd"] <= 0.02
