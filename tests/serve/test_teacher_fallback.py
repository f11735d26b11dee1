"""The teacher as a fallback, at an endpoint that keeps its own books."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from potstill.data import Example, Prediction
from potstill.data.reading import read_examples
from potstill.errors import SpecError, TeacherError
from potstill.serve.contract import Answer
from potstill.serve.fallback import TeacherFallback
from potstill.serve.fallback import operator as module
from potstill.spec.loading import LoadedTask, load_task
from potstill.teacher import RecordedAnswers
from stub_endpoint import running_stub

LABELS = ("cards", "loans", "accounts")
GUESS = Prediction("loans", 0.41, deferred="unsure")
PRICE = "price: {input_usd_per_million: 2.0, output_usd_per_million: 8.0}"


def task_at(
    folder: Path,
    base_url: str,
    *,
    defer: str = "teacher_usd_per_day: 1.0",
    teacher: str = PRICE,
    serve: str = "consent: true",
    data: str = "",
) -> LoadedTask:
    path = folder / "task.yaml"
    path.write_text(
        f"""\
kind: task
version: 1
name: topics
type: classification
labels: [cards, loans, accounts]
data: {{gold: gold.jsonl{data}}}
teacher:
  model: stub
  base_url: {base_url}
  terms: example-terms
  max_tokens: 64
  {teacher}
defer: {{fallback: teacher, {defer}}}
serve: {{{serve}}}
""",
        encoding="utf-8",
    )
    return load_task(path, check_files=False)


def with_fallback(
    loaded: LoadedTask, folder: Path, act: Callable[[TeacherFallback], Awaitable[Any]], **more: Any
) -> Any:
    async def run() -> Any:
        fallback = TeacherFallback(loaded, folder, **more)
        try:
            return await act(fallback)
        finally:
            await fallback.close()

    return asyncio.run(run())


def ask_each(*texts: str) -> Callable[[TeacherFallback], Awaitable[list[Answer]]]:
    async def act(fallback: TeacherFallback) -> list[Answer]:
        return [await fallback.answer("topics", text, GUESS) for text in texts]

    return act


def recorded(folder: Path) -> list[Any]:
    return [
        json.loads(line)
        for path in sorted((folder / "answers").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_the_teacher_answers_and_its_answer_teaches_the_next_round(tmp_path: Path) -> None:
    with running_stub() as stub:
        loaded = task_at(tmp_path, stub.base_url)
        first, second = with_fallback(loaded, tmp_path, ask_each("one text", "one text"))
        (third,) = with_fallback(loaded, tmp_path, ask_each("one text"))
        books = stub.books()
    assert (first.by, first.fallback) == ("teacher", "teacher")
    assert first.prediction.answer in LABELS
    assert first.prediction.confidence is None
    # One question and one probe of the endpoint were paid for; the rest is out of the ledger.
    assert books["calls"] == 2
    assert 0 < first.cost_usd < books["billed_usd"]
    assert (second.prediction.target, second.cost_usd) == (first.prediction.target, 0.0)
    assert (third.prediction.target, third.cost_usd) == (first.prediction.target, 0.0)
    (row,) = recorded(tmp_path)
    assert (row["model"], row["terms"]) == ("stub", "example-terms")
    assert row["endpoint"].startswith("127.0.0.1:")
    assert row["cost_usd"] == pytest.approx(first.cost_usd)
    (path,) = (tmp_path / "answers").iterdir()
    answers = RecordedAnswers.load([path], labels=LABELS, terms=row["terms"])
    (answer,) = answers.of(Example(id="x", input="one text"))
    assert (answer.target, answer.request) == (first.prediction.target, row["request"])


def test_equal_inputs_at_once_are_asked_and_paid_for_once(tmp_path: Path) -> None:
    async def act(fallback: TeacherFallback) -> list[Answer]:
        await fallback.answer("topics", "the probe is behind us", GUESS)
        return await asyncio.gather(*(fallback.answer("topics", "same", GUESS) for _ in range(9)))

    with running_stub(latency_ms=50) as stub:
        answers = with_fallback(task_at(tmp_path, stub.base_url), tmp_path, act)
        books = stub.books()
    assert books["calls"] == 3
    assert {answer.by for answer in answers} == {"teacher"}
    assert sum(answer.cost_usd > 0 for answer in answers) == 1


def test_a_large_batch_is_answered_as_threads_become_free(tmp_path: Path) -> None:
    async def act(fallback: TeacherFallback) -> list[Answer]:
        texts = (f"text {number}" for number in range(60))
        return await asyncio.gather(*(fallback.answer("topics", text, GUESS) for text in texts))

    with running_stub(latency_ms=20) as stub:
        answers = with_fallback(task_at(tmp_path, stub.base_url), tmp_path, act)
    assert {answer.by for answer in answers} == {"teacher"}
    assert len(recorded(tmp_path)) == 60


def test_a_days_money_is_never_passed_and_the_next_day_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"text {number}" for number in range(80)]
    with running_stub() as stub:
        loaded = task_at(tmp_path, stub.base_url, defer="teacher_usd_per_day: 0.011")
        answers = with_fallback(loaded, tmp_path, ask_each(*texts))
        gone = stub.books()["billed_usd"]
        # The same day in another process has no money of its own.
        (again,) = with_fallback(loaded, tmp_path, ask_each("new text"))
        assert stub.books()["billed_usd"] == gone

        async def over_midnight(fallback: TeacherFallback) -> list[Answer]:
            before = await fallback.answer("topics", "another", GUESS)
            real = time.time()
            monkeypatch.setattr(module.time, "time", lambda: real + 86_400)
            monkeypatch.setattr(module, "_now", lambda: datetime.now(UTC) + timedelta(days=1))
            return [before, await fallback.answer("topics", "another", GUESS)]

        before, after = with_fallback(loaded, tmp_path, over_midnight)
    by = [answer.by for answer in answers]
    assert by[0] == "teacher"
    assert by[-1] == "nobody"
    assert 0.005 < gone <= 0.011
    assert answers[-1].fallback == again.fallback == before.fallback == "unavailable"
    assert answers[-1].prediction is GUESS
    assert after.by == "teacher"


def test_a_teacher_that_is_away_costs_no_request_long_and_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.2)
    loaded = task_at(tmp_path, "http://127.0.0.1:9/v1")

    async def act(fallback: TeacherFallback) -> list[float]:
        spans: list[float] = []
        for number in range(3):
            began = time.monotonic()
            answer = await fallback.answer("topics", f"text {number}", GUESS)
            spans.append(time.monotonic() - began)
            assert (answer.by, answer.fallback) == ("nobody", "unavailable")
        return spans

    spans = with_fallback(loaded, tmp_path, act)
    assert spans[0] < 3
    # It is known to be away: nobody waits for it.
    assert max(spans[1:]) < 0.1

    with running_stub() as stub:
        loaded = task_at(tmp_path, stub.base_url)
        (answer,) = with_fallback(loaded, tmp_path, ask_each("text"))
    assert answer.by == "teacher"


def test_after_the_pause_the_same_fallback_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.3)
    monkeypatch.setenv("STUB_KEY", "wrong")
    opened = module.open_provider

    async def act(fallback: TeacherFallback) -> list[str]:
        before = await fallback.answer("topics", "text", GUESS)
        monkeypatch.setenv("STUB_KEY", "right")
        at_once = await fallback.answer("topics", "text", GUESS)
        await asyncio.sleep(0.35)
        return [answer.by for answer in (before, at_once, await fallback.answer("topics", "text", GUESS))]  # fmt: skip

    with running_stub(key="right") as stub:
        loaded = task_at(tmp_path, stub.base_url, teacher=f"{PRICE}\n  api_key_env: STUB_KEY")
        assert with_fallback(loaded, tmp_path, act) == ["nobody", "nobody", "teacher"]
    assert module.open_provider is opened


def test_a_hanging_teacher_holds_neither_the_loop_nor_the_request(tmp_path: Path) -> None:
    async def act(fallback: TeacherFallback) -> tuple[list[Answer], float]:
        lag = 0.0

        async def tick() -> None:
            nonlocal lag
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.01)
                lag = max(lag, time.monotonic() - began - 0.01)

        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(
            *(fallback.answer("topics", f"text {number}", GUESS) for number in range(40))
        )
        ticking.cancel()
        return answers, lag

    with running_stub(faults=1.0, kinds=("hang",)) as stub:
        loaded = task_at(tmp_path, stub.base_url)
        began = time.monotonic()
        answers, lag = with_fallback(loaded, tmp_path, act, wait_s=0.6)
    # Closing does not wait for the calls that hang.
    assert time.monotonic() - began < 4
    assert lag < 0.25
    assert {(answer.by, answer.fallback) for answer in answers} == {("nobody", "unavailable")}


def test_unusable_answers_leave_the_input_deferred(tmp_path: Path) -> None:
    with running_stub(faults=1.0, kinds=("server_error",)) as stub:
        (answer,) = with_fallback(task_at(tmp_path, stub.base_url), tmp_path, ask_each("text"))
    assert answer.fallback == "unavailable"
    assert recorded(tmp_path) == []


def test_the_teacher_may_say_that_no_label_fits(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(12)]
    with running_stub() as stub:
        loaded = task_at(tmp_path, stub.base_url, data=", out_of_scope: oos")
        answers = with_fallback(loaded, tmp_path, ask_each(*texts))
    outside = [answer for answer in answers if answer.prediction.deferred == "out_of_scope"]
    inside = [answer for answer in answers if answer.prediction.deferred is None]
    # The stub chooses by the text's hash among the labels that it is offered, four of them.
    assert outside
    assert inside
    assert all(answer.by == "teacher" and answer.prediction.answer is None for answer in outside)
    assert {answer.prediction.answer for answer in inside} <= set(LABELS)


@pytest.mark.parametrize(
    ("column", "data"), [("text", ""), ("message", ", columns: {input: message}")]
)
def test_redaction_and_sampling_come_before_the_disk(
    tmp_path: Path, column: str, data: str
) -> None:
    text = "loan for jo@example.com"
    serve = "consent: true, redact: [{pattern: email}]"
    with running_stub(thought="jo@example.com wants a loan") as stub:
        loaded = task_at(tmp_path, stub.base_url, serve=serve, data=data)
        with_fallback(loaded, tmp_path, ask_each(text))
        (row,) = recorded(tmp_path)
        other = tmp_path / "other"
        with_fallback(
            task_at(tmp_path, stub.base_url, serve=f"{serve}, sample: 0.0"), other, ask_each(text)
        )
    assert row[column] == "loan for <email>"
    assert row["reasoning"] == "<email> wants a loan"
    assert recorded(other) == []
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"jo@example.com" not in path.read_bytes(), path.name
    (log,) = (tmp_path / "answers").iterdir()
    reading = read_examples([log], loaded.task.data.columns, targets=None)
    assert [example.input for example in reading.examples] == ["loan for <email>"]
    assert reading.examples[0].target is None


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"serve": "sample: 1.0"}, SpecError, r"task\.yaml:14: .*serve\.consent: true"),
        ({"defer": "max_error: 0.1"}, TeacherError, r"task\.yaml:13: stub costs money.*_per_day"),
        ({"teacher": "timeout_s: 5"}, TeacherError, r"the price of stub is unknown"),
        (
            {"teacher": "timeout_s: 5", "defer": "max_error: 0.1"},
            TeacherError,
            r"'teacher\.price'",
        ),
        ({"teacher": f"{PRICE}\n  api_key_env: NO_SUCH"}, TeacherError, r"NO_SUCH holds no key"),
    ],
    ids=["consent", "budget", "price", "both", "key"],
)
def test_what_cannot_work_is_told_at_the_start(
    tmp_path: Path, settings: dict[str, str], error: type[Exception], said: str
) -> None:
    loaded = task_at(tmp_path, "http://127.0.0.1:9/v1", **settings)
    with pytest.raises(error, match=said):
        TeacherFallback(loaded, tmp_path / "state")
    # The ledger was let go: a mended task starts.
    if error is TeacherError:
        mended = task_at(tmp_path, "http://127.0.0.1:9/v1")
        with_fallback(mended, tmp_path / "state", ask_each())


def test_a_free_teacher_needs_no_budget(tmp_path: Path) -> None:
    free = "price: {input_usd_per_million: 0, output_usd_per_million: 0}"
    with running_stub() as stub:
        loaded = task_at(tmp_path, stub.base_url, teacher=free, defer="max_error: 0.1")
        (answer,) = with_fallback(loaded, tmp_path, ask_each("text"))
    assert (answer.by, answer.cost_usd) == ("teacher", 0.0)
