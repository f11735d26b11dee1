from __future__ import annotations

import asyncio
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import orjson
import pytest
from onnx import TensorProto, helper, numpy_helper
from served import Fielded, Topics, registry_of
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from potstill.errors import ModelError, PotstillError
from potstill.export.pack import write_folder
from potstill.runtime import Model
from potstill.runtime.decision import Decision
from potstill.serve.facts import facts_of
from potstill.serve.refusal import Refusal
from potstill.serve.registry import Registry, Source

PREDICT = "/v1/models/tiny/predict"


def write_model(folder: Path, labels: tuple[str, str] = ("card", "loan")) -> Path:
    """A model that answers the label whose place its word has in the vocabulary."""
    words = ["[UNK]", "card", "loan"]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_truncation(max_length=12)
    table = np.array([[0, 0], [4, 0], [0, 4]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("ReduceSum", ["rows", "axis"], ["logits"], keepdims=0),
        ],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "label"])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    write_folder(
        folder,
        document={
            "name": "tiny",
            **Decision(labels, False).to_json(),
            "task": {"description": "Which?", "labels": dict.fromkeys(labels, "a word")},
            "probes": [],
        },
        graph=model.SerializeToString(),
        tokenizer=tokenizer.to_str(),
        lineage={"sources": []},
    )
    return folder


def source(folder: Path) -> Source:
    return Source(name="tiny", path=folder, load=lambda path: Model.load(path, workers=1))


def put(fresh: Path, folder: Path) -> None:
    """Put a folder in the place of another."""
    folder.rename(folder.with_name("old"))
    fresh.rename(folder)
    shutil.rmtree(folder.with_name("old"))


def until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_facts_of_a_model(tmp_path):
    folder = write_model(tmp_path / "model")
    facts = facts_of(Model.load(folder), folder)
    assert (facts.kind, facts.description, facts.max_tokens) == ("model", "Which?", 12)
    assert dict(facts.labels) == {"card": "a word", "loan": "a word"}
    assert len(facts.version) == 12
    assert facts_of(Fielded(), folder).fields == ("subject", "body")


def test_two_of_one_name_and_what_cannot_be_loaded(tmp_path):
    with pytest.raises(PotstillError, match="'topics'"):
        registry_of(Topics(), Topics())
    with pytest.raises(ModelError):
        Registry([source(tmp_path / "nothing")])


def test_the_nearest_name():
    registry = registry_of(Topics(), Fielded())
    assert registry.find("mail").name == "mail"
    with pytest.raises(Refusal, match="Did you mean 'topics'"):
        registry.find("topic")
    with pytest.raises(Refusal, match="Served: topics, mail"):
        registry.find("zzz")


def test_a_new_version_takes_over_under_load_and_no_answer_is_wrong(tmp_path, start):
    folder = write_model(tmp_path / "model")
    call = start(registry=Registry([source(folder)]))
    first = call(PREDICT, {"input": "card"}).json["version"]
    right = {first: "card"}
    wrong, statuses = [], []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            reply = call(PREDICT, {"input": "card"})
            statuses.append(reply.status)
            version, label = reply.json["version"], reply.json["prediction"]["label"]
            if right.setdefault(version, label) != label:
                wrong.append((version, label))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            names = (f"card{number}", f"loan{number}")
            put(write_model(tmp_path / f"fresh{number}", names), folder)
            until(lambda n=number: any(label == f"card{n}" for label in right.values()))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    assert wrong == []
    assert sorted(right.values()) == ["card", "card0", "card1", "card2"]
    schema = call("/openapi.json").json["components"]["schemas"]["tiny.Label"]
    assert schema["enum"] == ["card2", "loan2"]
    metrics = call("/metrics").body.decode()
    assert 'potstill_swaps_total{model="tiny",result="taken"} 3.0' in metrics
    assert metrics.count("potstill_model{") == 1


def test_a_bad_version_is_refused_and_the_old_one_goes_on(tmp_path, start, caplog):
    folder = write_model(tmp_path / "model")
    call = start(registry=Registry([source(folder)]))
    before = call(PREDICT, {"input": "loan"}).json
    (folder / "model.onnx").write_bytes(b"broken")
    until(lambda: "is refused" in caplog.text)
    assert call(PREDICT, {"input": "loan"}).json == before
    assert call("/ready").status == 200
    assert 'result="refused"} 1.0' in call("/metrics").body.decode()
    put(write_model(tmp_path / "fresh", ("plastic", "mortgage")), folder)
    until(lambda: call(PREDICT, {"input": "loan"}).json["prediction"]["label"] == "mortgage")


def test_a_model_answers_as_it_does_in_process(tmp_path, start):
    folder = write_model(tmp_path / "model")
    call = start(registry=Registry([source(folder)]))
    model = Model.load(folder)
    for text in ("card", "loan loan", "nothing", "card loan card"):
        row = call(PREDICT, {"input": text, "top_k": 2}).json["prediction"]
        expected = model.predict(text)
        assert row["label"] == expected.target
        assert row["confidence"] == expected.confidence
        assert row["scores"] == dict(expected.scores or {})
        assert row["answered_by"] == "model"


def test_a_folder_that_is_being_copied_is_left_alone(tmp_path):
    folder = write_model(tmp_path / "model")
    registry = Registry([source(folder)])
    [entry] = registry
    first = entry.current
    put(write_model(tmp_path / "fresh", ("a", "b")), folder)
    asyncio.run(registry.refresh())
    assert entry.current is first
    asyncio.run(registry.refresh())
    assert tuple(entry.current.facts.labels) == ("a", "b")
    put(write_model(tmp_path / "again", ("c", "d")), folder)
    asyncio.run(registry.refresh(at_once=True))
    assert tuple(entry.current.facts.labels) == ("c", "d")


def test_what_was_awaited_is_served_once_it_is_there(tmp_path):
    folder = tmp_path / "model"
    registry = Registry([], awaited=[source(folder)])
    told = []
    registry.listeners.append(lambda entry, swapped: told.append((entry.name, swapped)))
    asyncio.run(registry.refresh())
    assert "tiny" not in registry
    write_model(tmp_path / "fresh")
    # Half a model is not served, nor does it stop the whole one.
    folder.mkdir()
    (folder / "model.json").write_text("{")
    asyncio.run(registry.refresh())
    assert len(registry) == 0
    put(tmp_path / "fresh", folder)
    asyncio.run(registry.refresh())
    assert "tiny" in registry
    assert told == [("tiny", True)]
    answer = registry.find("tiny").current.lane.servable.predict("loan")
    assert answer.target == "loan"


def test_another_model_does_not_take_the_place(tmp_path, caplog):
    folder = write_model(tmp_path / "model")
    registry = Registry([source(folder)])
    before = registry.find("tiny").current.facts.version
    fresh = write_model(tmp_path / "fresh")
    document = orjson.loads((fresh / "model.json").read_bytes())
    shutil.rmtree(fresh)
    kept = {
        k: v for k, v in document.items() if k not in ("checksum", "format", "version", "files")
    }
    write_folder(
        fresh,
        document={**kept, "name": "huge"},
        graph=(folder / "model.onnx").read_bytes(),
        tokenizer=(folder / "tokenizer.json").read_text(),
        lineage={"sources": []},
    )
    put(fresh, folder)
    with caplog.at_level("ERROR"):
        asyncio.run(registry.refresh(at_once=True))
    assert registry.find("tiny").current.facts.version == before
    assert "is called 'huge', and not 'tiny'" in caplog.text
