"""What becomes of an input that a model does not answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from potstill.data import Prediction, id_of
from potstill.errors import DataError, SpecError, StorageError
from potstill.serve.fallback import Abstain, QueueFallback, need_consent
from potstill.serve.journal import Journal
from potstill.serve.redact import KeepingRules
from potstill.spec.loading import load_task
from potstill.spec.serving import Redaction, ServeSpec

GUESS = Prediction("loans", 0.41, {"cards": 0.2, "loans": 0.41}, deferred="unsure")
RULES = KeepingRules(ServeSpec(consent=True, sample=0.0, redact=[Redaction(pattern="email")]))


def rows(folder: Path) -> list[Any]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_abstaining_gives_the_guess_back_as_no_answer() -> None:
    answer = asyncio.run(Abstain().answer("topics", "a text", GUESS))
    assert (answer.by, answer.fallback, answer.cost_usd) == ("nobody", "abstained", 0.0)
    assert answer.prediction is GUESS
    assert answer.prediction.answer is None


def test_a_queued_input_is_a_row_for_a_person_and_on_disk_at_once(tmp_path: Path) -> None:
    async def ask() -> None:
        queue = QueueFallback(tmp_path, RULES, version_of=lambda name: f"{name}-1")
        answer = await queue.answer("topics", "from jo@example.com: a loan", GUESS)
        assert (answer.by, answer.fallback) == ("nobody", "queued")
        assert len(rows(tmp_path)) == 1
        await queue.close()

    asyncio.run(ask())
    (row,) = rows(tmp_path)
    assert row.pop("at").endswith("+00:00")
    assert row == {
        "id": id_of("from <email>: a loan"),
        "text": "from <email>: a loan",
        "guess": "loans",
        "confidence": 0.41,
        "scores": {"cards": 0.2, "loans": 0.41},
        "deferred": "unsure",
        "model": "topics",
        "version": "topics-1",
        "label": None,
    }


def test_what_waits_already_is_not_queued_again(tmp_path: Path) -> None:
    async def ask(*texts: Any) -> list[str | None]:
        queue = QueueFallback(tmp_path, RULES)
        answers = await asyncio.gather(
            *(queue.answer(model, text, GUESS) for text in texts for model in ("a", "b"))
        )
        answers.append(await queue.answer("a", texts[0], GUESS))
        await queue.close()
        return [answer.fallback for answer in answers]

    fields = {"subject": "a loan", "body": "please"}
    assert asyncio.run(ask("one", "one", "two", fields)) == ["queued"] * 9
    # Nor is it by the next process.
    assert asyncio.run(ask("two", "three")) == ["queued"] * 5
    found = [(row["model"], row.get("text")) for row in rows(tmp_path)]
    assert len(found) == 8
    assert sorted(text for model, text in found if model == "a" and isinstance(text, str)) == [
        "one",
        "three",
        "two",
    ]
    assert any(row["model"] == "b" and row.items() >= fields.items() for row in rows(tmp_path))


def test_a_disk_that_takes_no_more_is_told_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Journal, __: Any) -> None:
        raise StorageError("full")

    async def ask() -> None:
        queue = QueueFallback(tmp_path, RULES)
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", full)
            answer = await queue.answer("topics", "one", GUESS)
        assert (answer.by, answer.fallback) == ("nobody", "unavailable")
        assert (await queue.answer("topics", "one", GUESS)).fallback == "queued"
        await queue.close()

    asyncio.run(ask())
    assert [row["text"] for row in rows(tmp_path)] == ["one"]


def test_a_queue_in_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match=r"old\.jsonl:1: .*Name another folder"):
        QueueFallback(tmp_path, RULES)


def test_a_queue_whose_last_row_a_crash_cut_off_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01.jsonl").write_text('{"id": "1", "model": "m"}\n{"id": "2", "mo')
    QueueFallback(tmp_path, RULES)
    assert rows(tmp_path) == [{"id": "1", "model": "m"}]


@pytest.mark.parametrize(("serve", "agreed"), [("consent: true", True), ("sample: 0.5", False)])
def test_keeping_texts_needs_their_owners_consent(tmp_path: Path, serve: str, agreed: bool) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(
        "kind: task\nversion: 1\nname: t\ntype: classification\nlabels: [a, b]\n"
        f"data: {{gold: gold.jsonl}}\nserve: {{{serve}}}\n"
    )
    loaded = load_task(path, check_files=False)
    if agreed:
        assert need_consent(loaded, "A person's queue").texts
    else:
        with pytest.raises(SpecError, match=r"task\.yaml:7: A person's queue keeps texts.*consent"):
            need_consent(loaded, "A person's queue")
