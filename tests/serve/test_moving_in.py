"""The whole way: forwarded and recorded, learnt from, answered by the model, and back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chat_teacher import ChatTeacher, serving

from potstill.run.distil import run_task
from potstill.runtime import Model
from potstill.serve.chat import ChatGateway, ChatModel
from potstill.spec.loading import load_task

TEACHER = """\
teacher:
  model: big
  base_url: {url}/v1
  terms: example-terms
serve:
  consent: true
  chat: {{pattern: 'Text: (?P<text>.+)', answer: '{{{{"label": {{json}}}}}}'}}
"""
ANSWERS = "teacher:\n  answers: record/chat/*.jsonl\n  terms: example-terms\n"


def test_traffic_teaches_a_model_that_takes_its_place(
    make_task_folder: Callable[[Path], Path],
    sentence_about: Callable[..., str],
    tmp_path: Path,
) -> None:
    folder = make_task_folder(tmp_path)
    task = folder / "task.yaml"
    given = task.read_text()
    recorded = "teacher:\n  answers: answers.jsonl\n  terms: example-terms\n"
    assert recorded in given
    said = {row["id"]: row["label"] for row in _rows(folder / "answers.jsonl")}
    inbox = {row["text"]: said[row["id"]] for row in _rows(folder / "inbox.jsonl")}

    def answer(prompt: str) -> str:
        return json.dumps({"label": inbox.get(prompt.removeprefix("Text: "), "cards")})

    teacher = ChatTeacher(label=answer)
    with serving(teacher.app()) as url:
        task.write_text(given.replace(recorded, TEACHER.format(url=url)))
        forwarding = load_task(task)
        _ask(ChatGateway(forwarding, folder / "record" / "chat"), inbox)
        # The next run reads the log: nothing is converted, and nobody is asked again.
        task.write_text(
            given.replace(recorded, ANSWERS).replace("inbox.jsonl", "record/chat/*.jsonl")
        )
        asked = len(teacher.bodies)
        done = run_task(load_task(task), runs=folder / "runs")
        assert len(teacher.bodies) == asked == len(inbox)
        assert done.model is not None
        model = Model.load(done.model)

        async def predict(value: Any) -> Any:
            return model.predict(value)

        known = ChatModel(model.name, "0" * 12, predict)
        generator = random.Random(3)
        fresh = {sentence_about(topic, generator): topic for topic in ("cards", "loans") * 10}
        answers = _ask(ChatGateway(forwarding, model=lambda: known), fresh)
        assert len(teacher.bodies) == asked
    right = sum(json.loads(answers[text])["label"] == topic for text, topic in fresh.items())
    assert right >= 0.8 * len(fresh)


def _ask(gateway: ChatGateway, texts: Any) -> dict[str, str]:
    import openai

    found: dict[str, str] = {}
    with (
        serving(gateway.router()) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="sk") as client,
    ):
        for text in texts:
            reply = client.chat.completions.create(
                model="big", messages=[{"role": "user", "content": f"Text: {text}"}]
            )
            found[text] = reply.choices[0].message.content or ""
    return found


def _rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]
