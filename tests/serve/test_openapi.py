from __future__ import annotations

import jsonschema
import pytest
from served import Fielded, Topics


def document(call):
    return call("/openapi.json").json


def schema_of(document, name):
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def test_labels_and_fields_are_types(start):
    found = document(start(Topics(), Fielded()))
    schemas = found["components"]["schemas"]
    assert schemas["topics.Label"]["enum"] == ["card", "loan"]
    assert schemas["mail.Input"]["required"] == ["subject", "body"]
    assert schemas["mail.Prediction"]["properties"]["labels"]
    assert "/v1/models/topics/predict" in found["paths"]
    assert found["paths"]["/v1/classify"]["post"]["requestBody"]
    assert "security" not in found


def test_keys_are_in_the_document(start):
    key = "k" * 24
    call = start(keys=(key,))
    found = call("/openapi.json", headers={"authorization": f"Bearer {key}"}).json
    assert found["security"] == [{"key": []}]


@pytest.mark.parametrize("text", ["a card", "unsure about a loan", "a long card"])
def test_answers_are_what_the_document_says(call, text):
    found = document(call)
    body = {"input": text, "top_k": 2}
    row = call("/v1/models/topics/predict", body).json["prediction"]
    jsonschema.validate(row, schema_of(found, "topics.Prediction"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**row, "label": "mortgage"}, schema_of(found, "topics.Prediction"))
    error = call("/v1/models/topics/predict", b"{").json
    jsonschema.validate(error, schema_of(found, "Error"))
