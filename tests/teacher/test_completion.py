from __future__ import annotations

from typing import Any

import pytest

from potstill.teacher.completion import chat_body, read_completion
from potstill.teacher.request import AttemptError, Request
from scripted_endpoint import completion


def test_the_body_says_what_the_request_wants() -> None:
    turns: Any = ({"role": "user", "content": "Hm."},)
    request = Request(id="1", purpose="label", messages=turns, max_tokens=9, temperature=0.5)
    assert chat_body(request, "schema") == {
        "messages": list(turns),
        "max_tokens": 9,
        "temperature": 0.5,
    }
    schema = {"type": "object", "properties": {"label": {"enum": ["a"]}}}
    full = Request(id="1", purpose="label", messages=turns, schema=schema, logprobs=3)
    body = chat_body(full, "schema")
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)


def test_usage_that_is_not_told_is_unknown() -> None:
    body = completion()
    del body["usage"]
    reply = read_completion(body)
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (None,) * 3


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 0}, (9, 0, None)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 40}, (9, 31, None)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
            (9, 2, 4),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 50}, (9, 2, 9)),
        ({"prompt_tokens": "9", "completion_tokens": -2}, (None, None, None)),
    ],
)
def test_tokens_are_counted_as_they_are_charged(usage: Any, told: tuple[int | None, ...]) -> None:
    reply = read_completion(completion() | {"usage": usage})
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == told


@pytest.mark.parametrize(
    "message",
    [
        {"content": "loan", "reasoning_content": "Hm, hm."},
        {"content": "loan", "reasoning": "Hm, hm."},
        {"content": "<think>Hm, hm.</think>\nloan"},
        {"content": [{"type": "text", "text": "loan"}], "reasoning": "Hm, hm."},
    ],
)
def test_the_thought_is_kept_apart(message: dict[str, Any]) -> None:
    text = message.pop("content")
    reply = read_completion(completion(text, **message))
    assert (reply.thought, reply.text) == ("Hm, hm.", "loan")


def test_a_refusal_is_no_answer() -> None:
    reply = read_completion(completion(None, refusal="I will not."))
    assert (reply.text, reply.finish_reason) == ("", "content_filter")


@pytest.mark.parametrize(
    ("said", "means"),
    [("model_length", "length"), ("SAFETY", "content_filter"), ("stop", "stop"), (None, None)],
)
def test_reasons_to_finish_have_one_name(said: str | None, means: str | None) -> None:
    body = completion()
    body["choices"][0]["finish_reason"] = said
    assert read_completion(body).finish_reason == means


@pytest.mark.parametrize(
    "body", [None, [], {}, {"choices": []}, {"choices": [{"text": "a"}]}, "hello"]
)
def test_what_is_no_completion_is_unreadable(body: Any) -> None:
    with pytest.raises(AttemptError) as caught:
        read_completion(body)
    assert (caught.value.fault, caught.value.billed) == ("unreadable", None)


def token(text: str, logprob: float, **others: float) -> dict[str, Any]:
    top = [{"token": name, "logprob": value} for name, value in others.items()]
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": top}


def test_logprobs_are_those_of_the_answer_with_the_taken_token_first() -> None:
    body = completion("<think>a</think> né b")
    tokens = [token("<think>a", -1.0), token("</think> ", -1.0), token("n", -0.5, n=-0.5, m=-1.5)]
    tokens += [
        {"token": "�", "logprob": -0.1, "bytes": [0xC3], "top_logprobs": []},
        {"token": "�", "logprob": -0.2, "bytes": [0xA9], "top_logprobs": []},
        token(" b", -3.0, c=-0.1),
        token("<end>", -0.1),
    ]
    body["choices"][0]["logprobs"] = {"content": tokens}
    logprobs = read_completion(body).logprobs
    assert logprobs is not None and len(logprobs) == 4
    assert logprobs[0] == {"n": -0.5, "m": -1.5}
    assert list(logprobs[3].items()) == [(" b", -3.0), ("c", -0.1)]


@pytest.mark.parametrize(
    "given",
    [
        None,
        {"content": []},
        {"content": [{"nonsense": 1}]},
        {"content": [{"token": "x", "logprob": 0.0}]},
    ],
)
def test_logprobs_that_do_not_spell_the_answer_are_none(given: Any) -> None:
    body = completion("answer")
    body["choices"][0]["logprobs"] = given
    assert read_completion(body).logprobs is None
