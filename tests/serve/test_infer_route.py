from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from served import Fielded

from potstill.serve.tensors import pack_texts

INFER = "/v2/models/topics/infer"


def tensor(*texts, name="text", **changes):
    return {
        "name": name,
        "datatype": "BYTES",
        "shape": [len(texts)],
        "data": list(texts),
        **changes,
    }


def test_infer_in_json(call):
    body = {"id": "q7", "inputs": [tensor("a card", "a loan", "unsure")]}
    document = call(INFER, body).json
    assert (document["id"], document["model_name"], document["model_version"]) == (
        "q7",
        "topics",
        "a" * 12,
    )
    outputs = {output["name"]: output for output in document["outputs"]}
    assert outputs["label"]["data"] == ["card", "loan", ""]
    assert outputs["deferred"]["data"] == ["", "", "unsure"]
    assert outputs["scores"]["shape"] == [3, 2]
    assert outputs["scores"]["data"][:2] == [0.9, pytest.approx(0.1)]
    assert outputs["confidence"]["datatype"] == "FP32"


def test_only_the_outputs_that_were_asked_for(call):
    body = {"inputs": [tensor("a card")], "outputs": [{"name": "label"}]}
    assert [output["name"] for output in call(INFER, body).json["outputs"]] == ["label"]


def test_a_column_of_texts(call):
    body = {"inputs": [tensor("a card", "a loan", shape=[2, 1], data=[["a card"], ["a loan"]])]}
    assert call(INFER, body).json["outputs"][0]["data"] == ["card", "loan"]


def test_the_binary_extension(call):
    texts = pack_texts(["a card", "ein Darlehen: loan", "ü loan"])
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "text",
                    "datatype": "BYTES",
                    "shape": [3],
                    "parameters": {"binary_data_size": len(texts)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    kinds = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(head)),
    }
    reply = call(INFER, head + texts, headers=kinds)
    assert reply.status == 200
    end = int(reply.headers["inference-header-content-length"])
    document, rest = json.loads(reply.body[:end]), reply.body[end:]
    parts = {}
    for output in document["outputs"]:
        size = output["parameters"]["binary_data_size"]
        parts[output["name"]], rest = rest[:size], rest[size:]
    assert rest == b""
    assert parts["label"] == b"".join(
        struct.pack("<I", len(text)) + text for text in (b"card", b"loan", b"loan")
    )
    assert np.frombuffer(parts["confidence"], "<f4").tolist() == pytest.approx([0.9] * 3)


def test_named_fields_are_tensors(start):
    call = start(Fielded())
    body = {"inputs": [tensor("card", name="subject"), tensor("loan", name="body")]}
    outputs = call("/v2/models/mail/infer", body).json["outputs"]
    assert json.loads(outputs[0]["data"][0]) == ["card", "loan"]
    del body["inputs"][1]
    assert "'body'" in call("/v2/models/mail/infer", body).json["error"]


def test_state_and_metadata(call):
    assert call("/v2").json["name"] == "potstill"
    assert call("/v2/health/live").json == {"live": True}
    assert call("/v2/health/ready").json == {"ready": True}
    assert call("/v2/models/topics/ready").json == {"name": "topics", "ready": True}
    document = call(f"/v2/models/topics/versions/{'a' * 12}").json
    assert document["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert call("/v2/models/topics/versions/1").status == 404
    assert call("/v2/models/topics/versions/1/infer", {"inputs": []}).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": 3},
        {"inputs": []},
        {"inputs": [tensor("a", datatype="FP32")]},
        {"inputs": [tensor("a", shape=[2])]},
        {"inputs": [tensor("a", shape=[-1])]},
        {"inputs": [tensor("a", shape="1")]},
        {"inputs": [tensor("a", shape=[1, 2])]},
        {"inputs": [tensor("a", name="words")]},
        {"inputs": [tensor("a", data=[3])]},
        {"inputs": [tensor("a", data=None)]},
        {"inputs": [tensor("")]},
        {"inputs": [tensor("a", parameters={"binary_data_size": 99})]},
        {"inputs": [tensor("a", parameters=3)]},
        {"inputs": [tensor("a")], "outputs": [{"name": "logits"}]},
    ],
)
def test_what_is_no_tensor_of_texts(call, body):
    reply = call(INFER, body)
    assert reply.status == 422
    assert isinstance(reply.json["error"], str)


def test_broken_binary_data(call):
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "text",
                    "datatype": "BYTES",
                    "shape": [1],
                    "parameters": {"binary_data_size": 6},
                }
            ]
        }
    ).encode()
    length = {"inference-header-content-length": str(len(head))}
    for content in (b"\xff\xff\xff\xffab", b"\x02\x00\x00\x00\xff\xff", b"\x01\x00\x00\x00ab"):
        assert call(INFER, head + content, headers=length).status == 422
    length["inference-header-content-length"] = "99999"
    assert call(INFER, head, headers=length).status == 422


def test_the_client_of_triton(call):
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient(f"{call.host}:{call.port}")
    try:
        assert client.is_server_ready()
        assert client.is_model_ready("topics")
        texts = http.InferInput("text", [2], "BYTES")
        texts.set_data_from_numpy(np.array(["a card", "a loan"], dtype=object))
        result = client.infer("topics", [texts])
        assert result.as_numpy("label").tolist() == [b"card", b"loan"]
        assert result.as_numpy("scores").shape == (2, 2)
    finally:
        client.close()
