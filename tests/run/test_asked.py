"""A task's teacher as a predictor."""

from __future__ import annotations

import sys

import pytest

from potstill.errors import TeacherError
from potstill.run.asked import teacher_predictor
from potstill.spec import load_task

TASK = """
kind: task
version: 1
name: topics
type: classification
labels: [cards, loans]
data: {{gold: gold.jsonl}}
{teacher}
"""


def task(folder, teacher):
    (folder / "gold.jsonl").write_text('{"text": "a card", "label": "cards"}\n')
    (folder / "task.yaml").write_text(TASK.format(teacher=teacher))
    return load_task(folder / "task.yaml")


@pytest.fixture
def live(tmp_path, monkeypatch):
    (tmp_path / "somebody.py").write_text(
        'asked = []\ndef answer(request):\n    asked.append(1)\n    return \'{"label": "cards"}\'\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield task(tmp_path, "teacher: {model: 'python:somebody:answer'}")
    sys.modules.pop("somebody", None)


def test_a_live_teacher_is_asked_once_for_each_input(live, tmp_path):
    one = teacher_predictor(live, runs=tmp_path / "runs")
    # Another version of a workflow asks the same teacher while this one still does.
    two = teacher_predictor(live, runs=tmp_path / "runs")
    assert [p.target for p in one.predict(["a card", "a second"])] == ["cards", "cards"]
    asked = len(sys.modules["somebody"].asked)
    assert [p.target for p in two.predict(["a card"])] == ["cards"]
    assert len(sys.modules["somebody"].asked) == asked
    one.close()
    assert two.predict_priced(["a card"])[0][1] == 0.0
    two.close()
    again = teacher_predictor(live, runs=tmp_path / "runs")
    again.close()


def test_recorded_answers_are_known_for_their_rows_alone(tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"text": "a card", "label": "cards", "model": "m"}\n')
    loaded = task(tmp_path, "teacher: {answers: answers.jsonl}")
    known = teacher_predictor(loaded, runs=tmp_path / "runs")
    assert [p.target for p in known.predict(["a card", "a loan"])] == ["cards", None]


def test_without_a_teacher_nobody_can_be_asked(tmp_path):
    with pytest.raises(TeacherError, match="no teacher"):
        teacher_predictor(task(tmp_path, ""), runs=tmp_path / "runs")
