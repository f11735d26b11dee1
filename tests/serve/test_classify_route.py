from __future__ import annotations

import pytest
from served import Fielded, Topics


@pytest.mark.parametrize("path", ["/v1/classify", "/classify"])
def test_the_shape_of_vllm(call, path):
    reply = call(path, {"model": "topics", "input": ["a card", "a loan"]})
    document = reply.json
    assert reply.status == 200
    assert document["object"] == "list"
    assert document["model"] == "topics"
    assert document["data"] == [
        {"index": 0, "label": "card", "probs": [0.9, pytest.approx(0.1)], "num_classes": 2},
        {"index": 1, "label": "loan", "probs": [pytest.approx(0.1), 0.9], "num_classes": 2},
    ]
    assert document["usage"].keys() >= {"prompt_tokens", "total_tokens"}


def test_one_text_and_options_of_theirs(call):
    body = {"model": "topics", "input": "a card", "priority": 0, "user": "u"}
    assert [row["label"] for row in call("/v1/classify", body).json["data"]] == ["card"]


def test_a_deferred_one_has_no_label(call):
    [row] = call("/v1/classify", {"model": "topics", "input": "unsure"}).json["data"]
    assert row["label"] is None
    assert row["deferred"] == "unsure"


def test_the_model_may_be_left_out_where_there_is_one(call, start):
    assert call("/v1/classify", {"input": "a card"}).status == 200
    two = start(Topics(), Fielded())
    assert two("/v1/classify", {"input": "a card"}).status == 422
    assert two("/v1/classify", {"model": "topic", "input": "a card"}).status == 404


@pytest.mark.parametrize("wrong", [None, [], "", 3, ["a", 4], {"subject": "a"}, [1, 2, 3]])
def test_what_is_no_text(call, wrong):
    assert call("/v1/classify", {"model": "topics", "input": wrong}).status == 422
