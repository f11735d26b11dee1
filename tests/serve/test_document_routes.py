"""Servables that find values, write texts or answer in parts, through every route."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from served import Caller, Files, Gists, Papers, Topics, registry_of

from potstill.data.example import Text
from potstill.data.production import read_kept
from potstill.serve import Settings
from potstill.serve.record import FileRecorder
from potstill.serve.redact import KeepingRules
from potstill.serve.server import serving
from potstill.spec.serving import ServeSpec

PAPER = "Ann pays Bob $ 9 on May 1st, 2020."


@pytest.fixture(scope="module")
def call():
    settings = Settings(port=0, workers=1, drain_s=0.0, log_requests=False)
    with serving(registry_of(Papers(), Gists(), Files(), Topics()), settings) as url:
        yield Caller(url)


def predicted(call, name, text, **options):
    return call(f"/v1/models/{name}/predict", {"input": text, **options}).json["prediction"]


def test_values_come_with_their_evidence(call):
    found = predicted(call, "papers", PAPER)
    assert [one["value"] for one in found["fields"]["party"]] == ["Ann", "Bob"]
    [fee] = found["fields"]["fee"]
    assert fee["value"] == {"amount": "9.00", "currency": "USD"}
    assert PAPER[fee["start"] : fee["end"]] == fee["text"] == "$ 9"
    assert found["answered_by"] == "model"
    assert "scores" not in found
    assert predicted(call, "papers", PAPER, top_k=9)["scores"].keys() == {"party", "fee", "day"}


def test_a_field_that_is_unsure_is_null_and_a_guess(call):
    found = predicted(call, "papers", PAPER + " unsure")
    assert found["fields"]["party"] is None
    assert [one["value"] for one in found["guess"]["fields"]["party"]] == ["Ann", "Bob"]
    assert found["fields"]["day"][0]["value"] == "2020-05-01"
    assert "deferred" not in found


def test_without_a_required_field_all_is_a_guess(call):
    found = predicted(call, "papers", "Ann pays.")
    assert found["deferred"] == "unsure"
    assert found["fields"] == {"party": None}
    assert found["answered_by"] == "nobody"


def test_texts_and_parts(call):
    assert predicted(call, "gists", "a b c d") == {
        "text": "a b c",
        "guarded": ["length"],
        "answered_by": "model",
    }
    found = predicted(call, "files", PAPER)
    assert list(found["parts"]) == list(Files.card["parts"])
    assert found["parts"]["found"]["fields"]["day"][0]["value"] == "2020-05-01"
    assert found["parts"]["fee"] == {"amount": "9.00", "currency": "USD"}
    assert found["parts"]["gist"]["text"] == "Ann pays Bob"
    assert found["answered_by"] == "workflow"
    doubtful = predicted(call, "files", PAPER + " unsure")
    assert doubtful["parts"]["gist"] is None
    assert doubtful["unanswered"] == {"gist": "unsure"}


@pytest.mark.parametrize("name", ["papers", "gists", "files"])
@pytest.mark.parametrize("text", [PAPER, PAPER + " unsure", "nothing", "x"])
def test_answers_are_what_the_document_says(call, name, text):
    document = call("/openapi.json").json
    schema = {"$ref": f"#/components/schemas/{name}.Prediction", **document}
    row = predicted(call, name, text)
    jsonschema.validate(row, schema)
    key = {"papers": "fields", "gists": "text", "files": "parts"}[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**row, key: 7}, schema)


def test_a_value_of_another_type_is_not_what_the_document_says(call):
    document = call("/openapi.json").json
    row = predicted(call, "papers", PAPER)
    row["fields"]["fee"][0]["value"] = "nine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row, {"$ref": "#/components/schemas/papers.Prediction", **document})


def test_classify_is_for_labels(call):
    for name, what in (("papers", "values of fields"), ("gists", "a text"), ("files", "several")):
        refused = call("/v1/classify", {"model": name, "input": PAPER})
        assert (refused.status, refused.code) == (422, "not_labels")
        assert what in refused.json["error"]["message"]
        assert f"/v1/models/{name}/predict" in refused.json["error"]["hint"]
    assert call("/v1/classify", {"model": "topics", "input": "a loan"}).json["data"]
    document = call("/openapi.json").json
    body = document["paths"]["/v1/classify"]["post"]["requestBody"]
    [way] = body["content"]["application/json"]["schema"]["oneOf"]
    assert way["properties"]["model"] == {"const": "topics"}
    assert way["required"] == ["model", "input"]


def test_what_is_served_says_what_it_answers(call):
    papers = call("/v1/models/papers").json
    assert papers["type"] == "extraction"
    assert papers["answer"]["fields"]["fee"]["type"] == "money"
    assert papers["labels"] == {}
    assert call("/v1/models/gists").json["type"] == "generation"
    assert list(call("/v1/models/files").json["answer"]["parts"]) == list(Files.card["parts"])


def infer(call, name, *texts, **more):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}
    return call(f"/v2/models/{name}/infer", {"inputs": [tensor], **more})


def test_infer_has_tensors_for_each_kind(call):
    for name in ("papers", "gists", "files"):
        described = call(f"/v2/models/{name}").json["outputs"]
        found = infer(call, name, PAPER, "nothing").json["outputs"]
        assert [(one["name"], one["datatype"]) for one in found] == [
            (one["name"], one["datatype"]) for one in described
        ]
        for one, told in zip(found, described, strict=True):
            assert one["shape"] == [2, *told["shape"][1:]]
            assert len(one["data"]) == one["shape"][0] * (one["shape"] + [1])[1]
    fields, _, scores, deferred = infer(call, "papers", PAPER, "nothing").json["outputs"]
    assert json.loads(fields["data"][0])["day"][0]["text"] == "May 1st, 2020"
    assert scores["shape"] == [2, 3]
    assert deferred["data"] == ["", "unsure"]
    [text] = infer(call, "gists", "a b c d", outputs=[{"name": "text"}]).json["outputs"]
    assert text["data"] == ["a b c"]
    [parts] = infer(call, "files", PAPER, outputs=[{"name": "parts"}]).json["outputs"]
    assert json.loads(parts["data"][0])["kind"] == "paper"
    refused = infer(call, "gists", "x", outputs=[{"name": "label"}])
    assert refused.status == 422
    assert "Ask for text or deferred." in refused.json["error"]


def test_streams_and_metrics(call):
    body = b'{"id": 1, "input": "Ann pays."}\n{"id": 2, "input": "no one"}\n'
    headers = {"content-type": "application/x-ndjson"}
    reply = call("/v1/models/files/stream", body, headers=headers)
    rows = [json.loads(line) for line in reply.body.splitlines()]
    assert [(row["id"], row["parts"]["kind"]) for row in rows] == [(1, "paper"), (2, "other")]
    predicted(call, "papers", PAPER)
    counted = call("/metrics").body.decode()
    assert 'potstill_answers_total{by="model",label="fee",model="papers"}' in counted


class _Later(Gists):
    name = "papers"


def test_a_version_of_another_kind_is_refused(start, tmp_path):
    from potstill.serve.registry import Registry, Source

    path = tmp_path / "papers"
    path.write_text("1")
    versions = iter([Papers(), _Later()])
    registry = Registry([Source(name="papers", path=path, load=lambda _: next(versions))])
    [entry] = registry
    path.write_text("22")
    registry._refresh(entry, True)
    assert isinstance(entry.current.lane.servable, Papers)
    assert entry.refused is not None


def kept(folder: Path, start, texts: bool, *inputs: str) -> dict[str, list]:
    rules = KeepingRules(
        ServeSpec.model_validate({"consent": texts, "redact": [{"pattern": "(Ann)"}]})
    )
    names = ("papers", "gists", "files")
    recorder = FileRecorder(folder, dict.fromkeys(names, rules))
    call = start(Papers(), Gists(), Files(), recorder=recorder)
    for name in names:
        for text in inputs:
            predicted(call, name, text)
    recorder.close()
    return {name: list(read_kept(folder, name)) for name in names}


def test_what_was_found_is_kept_only_where_texts_may_be(start, tmp_path):
    found = kept(tmp_path, start, False, PAPER, PAPER + " unsure")
    lines = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert lines
    assert not any(word in lines for word in ("Ann", "Bob", "2020", "pays"))
    assert [row.prediction.target for row in found["papers"]] == [None, None]
    assert found["papers"][0].prediction.confidence == 0.7


def test_what_is_blanked_in_inputs_is_blanked_in_answers(start, tmp_path):
    found = kept(tmp_path, start, True, PAPER, PAPER + " unsure", "Bob pays")
    assert "Ann" not in "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    sure, unsure, deferred = found["papers"]
    [ann, bob] = sure.prediction.target.of("party")
    assert (ann.value, ann.text, ann.start) == ("<redacted>", "<redacted>", None)
    assert bob.value == "Bob"
    assert unsure.prediction.target.unsure == ("party",)
    assert unsure.prediction.target.of("party")[1].value == "Bob"
    assert deferred.prediction.deferred == "unsure"
    assert deferred.prediction.target.of("party")[0].value == "Bob"
    assert found["gists"][0].prediction.target == Text("<redacted> pays Bob", guarded=("length",))
    assert found["files"][0].prediction.target is None


class _Read(Papers):
    max_tokens = 128


class _Cut(Topics):
    max_tokens = 128


def test_the_wait_for_a_document_is_reckoned_by_its_whole_length():
    found, labelled = registry_of(_Read(), _Cut())
    long, short = "x" * 100_000, "x" * 1_000
    pace = found.current.lane.pace
    assert pace.expected_ms(long) > 9.9 * pace.expected_ms(long[:10_000])
    assert pace.document_ms(long) is not None and pace.document_ms(short) is None
    # What a classifier is asked is cut, and takes no longer from there on.
    pace = labelled.current.lane.pace
    assert pace.expected_ms(long) == pace.expected_ms(short)
