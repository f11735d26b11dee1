from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from potstill.errors import BudgetReached, TeacherError
from potstill.spec.teacher import Endpoint, Price
from potstill.teacher.batch import BatchAsker
from potstill.teacher.ledger import Ledger
from potstill.teacher.providers import open_provider
from potstill.teacher.request import Outcome, Request
from scripted_endpoint import Answer, Call, completion, scripted

PRICE = Price(input_usd_per_million=1.0, output_usd_per_million=4.0)
COST = (20 * 1.0 + 5 * 4.0) / 1e6
LABELS = ["card", "loan"]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": LABELS}},
    "required": ["label"],
    "additionalProperties": False,
}


class Killed(BaseException):
    """The process is gone."""


class Desk:
    """The endpoint's side: files, batches, and what goes wrong with them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.looks = 0
        self.statuses = ["validating", "in_progress", "completed"]
        self.fate: Callable[[str, int], dict[str, Any] | None] = lambda text, batch: answered(
            "card"
        )
        self.fail_once: dict[str, Answer] = {}
        self.lost_reply = False

    def __call__(self, call: Call) -> Answer:
        path = call.path.removeprefix("/v1")
        if (failure := self.fail_once.pop(path, None)) is not None:
            return failure
        if path == "/files":
            return self._upload(call.body)
        if path.startswith("/files/"):
            return 200, {}, self.files[path.split("/")[2]]
        if path.startswith("/batches?"):
            return 200, {}, {"data": list(self.batches.values())}
        if path == "/batches":
            return self._create(call.json)
        return self._look(path.split("/")[2])

    def _upload(self, body: bytes) -> Answer:
        assert b'name="purpose"' in body
        lines = b"\n".join(line for line in body.splitlines() if line.startswith(b'{"custom_id"'))
        name = f"file-{len(self.files)}"
        self.files[name] = lines
        return 200, {}, {"id": name}

    def _create(self, job: dict[str, Any]) -> Answer:
        assert (job["endpoint"], job["completion_window"]) == ("/v1/chat/completions", "24h")
        name = f"batch-{len(self.batches)}"
        self.batches[name] = job | {"id": name, "status": "validating"}
        if self.lost_reply:
            self.lost_reply = False
            return 504, {}, {"error": {"message": "gateway"}}
        return 200, {}, self.batches[name]

    def _look(self, name: str) -> Answer:
        batch = self.batches[name]
        status = self.statuses[min(self.looks, len(self.statuses) - 1)]
        self.looks += 1
        if status in ("completed", "expired", "cancelled"):
            self._finish(batch, int(name.split("-")[1]))
        return 200, {}, batch | {"status": status}

    def _finish(self, batch: dict[str, Any], number: int) -> None:
        good, bad = [], []
        for line in reversed(self.files[batch["input_file_id"]].splitlines()):
            asked = orjson.loads(line)
            fate = self.fate(asked["body"]["messages"][-1]["content"], number)
            if fate is not None:
                lines = bad if fate.get("error") else good
                lines.append(orjson.dumps(fate | {"custom_id": asked["custom_id"]}))
        for key, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                batch[key] = f"{batch['id']}-{key}"
                self.files[batch[key]] = b"\n".join(lines) + b"\n"


def answered(label: str, status: int = 200) -> dict[str, Any]:
    text = orjson.dumps({"label": label}).decode()
    return {"response": {"status_code": status, "body": completion(text)}, "error": None}


def questions(count: int) -> Iterator[Request]:
    for row in range(count):
        turns: Any = ({"role": "user", "content": f"row {row}"},)
        yield Request(id=str(row), purpose="label", messages=turns, max_tokens=20, schema=SCHEMA)


@contextmanager
def asker(desk: Desk, folder: Path, **given: Any) -> Iterator[BatchAsker]:
    with scripted(desk) as script, Ledger.open(folder / "ledger.sqlite") as ledger:
        # The port differs from one start to the next; a real endpoint's identity does not.
        provider: Any = open_provider(Endpoint(model="m", base_url=script.base_url))
        provider.identity = "desk"
        options = {"price": PRICE, "sleep": lambda s: None} | given
        with BatchAsker(provider, ledger, **options) as made:
            yield made


def ask(desk: Desk, folder: Path, count: int, **given: Any) -> list[Outcome]:
    with asker(desk, folder, **given) as made:
        return list(made.ask(questions(count)))


def test_answers_come_from_batches_and_then_from_the_ledger(tmp_path: Path) -> None:
    desk = Desk()
    told: list[str] = []
    outcomes = ask(desk, tmp_path, 5, lines=2, told=told.append)
    assert sorted(outcome.request.id for outcome in outcomes) == ["0", "1", "2", "3", "4"]
    assert {outcome.value["label"] for outcome in outcomes} == {"card"}
    assert all(outcome.cost_usd == pytest.approx(COST) for outcome in outcomes)
    assert len(desk.batches) == 3 and re.match(r"batch batch-0: validating, 0 of 2", told[0])
    again = ask(desk, tmp_path, 5)
    assert [outcome.attempts for outcome in again] == [0] * 5 and len(desk.batches) == 3
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        totals = ledger.totals()
    assert (totals.attempts, totals.answered) == (5, 5)
    assert totals.known_usd == pytest.approx(5 * COST)


def test_each_line_ends_in_its_own_way(tmp_path: Path) -> None:
    desk = Desk()
    cut = answered("card")
    cut["response"]["body"]["choices"][0]["finish_reason"] = "length"
    too_long = {"error": {"message": "maximum context length", "code": "context_length_exceeded"}}
    fates: dict[str, Any] = {
        "row 0": answered("card"),
        "row 1": answered("mortgage"),
        "row 2": cut,
        "row 3": {"response": {"status_code": 400, "body": too_long}, "error": None},
        "row 4": {"response": None, "error": {"code": "x", "message": "lost"}},
    }
    desk.fate = lambda text, batch: fates[text]
    outcomes = {outcome.request.id: outcome for outcome in ask(desk, tmp_path, 5)}
    faults = [outcomes[str(row)].fault for row in range(5)]
    assert faults == [None, "outside_schema", "cut_off", "context_overflow", "server_error"]
    assert [outcomes[str(row)].cost_usd for row in (1, 2)] == [pytest.approx(COST)] * 2
    assert outcomes["4"].attempts == 3 and outcomes["4"].cost_usd == 0.0


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_lines_that_a_batch_did_not_come_to_are_handed_in_again(
    tmp_path: Path, status: str
) -> None:
    desk = Desk()
    desk.statuses = [status, "completed"]
    desk.fate = lambda text, batch: None if batch == 0 and text != "row 1" else answered("loan")
    outcomes = ask(desk, tmp_path, 4)
    assert sorted(outcome.request.id for outcome in outcomes) == ["0", "1", "2", "3"]
    assert all(outcome.fault is None for outcome in outcomes)
    assert len(desk.files["file-0"].splitlines()) == 4
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.totals().known_usd == pytest.approx(4 * COST)


def test_a_batch_that_is_refused_stops_with_its_reason(tmp_path: Path) -> None:
    desk = Desk()
    desk.statuses = ["failed"]
    desk._create({"endpoint": "/v1/chat/completions", "completion_window": "24h"})
    desk.batches.clear()
    refused = {"status": "failed", "errors": {"data": [{"message": "Line 1 is too long"}]}}
    desk._look = lambda name: (200, {}, refused)  # type: ignore[method-assign]
    with pytest.raises(TeacherError, match="Line 1 is too long"):
        ask(desk, tmp_path, 2)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert (ledger.totals().known_usd, ledger.totals().unknown) == (0.0, 0)


def test_a_batch_under_way_is_read_by_the_next_process(tmp_path: Path) -> None:
    desk = Desk()

    def killed(seconds: float) -> None:
        raise Killed

    with pytest.raises(Killed):
        ask(desk, tmp_path, 4, lines=4, sleep=killed)
    # The rows come in other groups this time, and one of the batch's comes in the second.
    outcomes = ask(desk, tmp_path, 4, lines=3)
    assert all(outcome.value == {"label": "card"} for outcome in outcomes)
    assert len(outcomes) == 4 and len(desk.batches) == 1
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        totals = ledger.totals()
    assert (totals.attempts, totals.unknown) == (4, 0)
    assert totals.known_usd == pytest.approx(4 * COST)


def test_a_batch_whose_id_was_never_told_is_found_by_our_name_for_it(tmp_path: Path) -> None:
    desk = Desk()
    desk.lost_reply = True
    with pytest.raises(TeacherError, match="gateway"):
        ask(desk, tmp_path, 3)
    assert len(ask(desk, tmp_path, 3)) == 3 and len(desk.batches) == 1


def test_a_batch_that_was_never_made_is_forgotten(tmp_path: Path) -> None:
    desk = Desk()
    desk.fail_once = {"/batches": (401, {}, {"error": {"message": "no"}})}
    with pytest.raises(TeacherError, match="does not accept the key"):
        ask(desk, tmp_path, 3)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.committed_usd() == 0.0
    assert len(ask(desk, tmp_path, 3)) == 3 and len(desk.batches) == 1


def test_a_look_that_fails_is_taken_again(tmp_path: Path) -> None:
    desk = Desk()
    desk.fail_once = {
        "/batches/batch-0": (503, {"Retry-After": "1"}, b""),
        "/files": (500, {}, b""),
    }
    waits: list[float] = []
    assert len(ask(desk, tmp_path, 2, sleep=waits.append)) == 2
    assert len(desk.batches) == 1 and waits


def test_the_cap_counts_a_whole_batch(tmp_path: Path) -> None:
    desk = Desk()
    with asker(desk, tmp_path, cap_usd=0.0025, lines=40) as made, pytest.raises(BudgetReached):
        list(made.ask(questions(40)))
    handed_in = sum(len(desk.files[b["input_file_id"]].splitlines()) for b in desk.batches.values())
    assert 0 < handed_in < 40 and handed_in * COST <= 0.0025
    assert len(desk.batches) < handed_in


def test_a_cap_needs_a_price(tmp_path: Path) -> None:
    with (
        pytest.raises(TeacherError, match="price"),
        asker(Desk(), tmp_path, price=None, cap_usd=1.0),
    ):
        pass
