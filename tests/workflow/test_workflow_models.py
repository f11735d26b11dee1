"""Workflows of real model folders, on one thread and on several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from potstill.export.pack import write_folder
from potstill.runtime import Model
from potstill.runtime.decision import Decision
from potstill.workflow import Workflow
from potstill.workflow import execute as executing

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "loan", "house", "charge", "the", "a"]
LABELS = {"one": ("red", "green"), "two": ("sweet", "sour", "bitter"), "three": ("big", "small")}


def tiny_model(folder: Path, labels: tuple[str, ...], seed: int) -> None:
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(len(WORDS), len(labels))).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
            helper.make_node("ReduceMean", ["rows", "axis"], ["logits"], keepdims=0),
        ],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "label"])],
        [
            numpy_helper.from_array(3 * table, "table"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    onnx.checker.check_model(model)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(max_length=12)
    write_folder(
        folder,
        document={"name": folder.name, **Decision(labels, False).to_json(), "probes": []},
        graph=model.SerializeToString(),
        tokenizer=tokenizer.to_str(),
        lineage={},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for seed, (name, labels) in enumerate(LABELS.items()):
        tiny_model(tmp_path / "runs" / name / "ab12" / "model", labels, seed)
    path = tmp_path / "workflow.yaml"
    path.write_text(
        """\
kind: workflow
version: 1
name: chain
nodes:
  one: {model: runs/one}
  two: {model: runs/two, when: {one.label: red}}
  other: {model: runs/three, when: {one.label: green}}
  both: {step: surest, input: [two, other]}
output: {first: [both, one], prefix: true}
"""
    )
    return path


TEXTS = [f"the {word} a {other} {'charge ' * n}" for n in range(3) for word in WORDS for other in WORDS]  # fmt: skip


def test_the_answer_is_the_same_alone_among_others_and_on_many_threads(path, monkeypatch):
    # Every call is taken for long, so that all work goes to several threads.
    monkeypatch.setattr(executing, "_WORTH_A_THREAD_MS", 0.0)
    alone = Workflow.load(path, workers=1)
    expected = [alone.predict(text) for text in TEXTS]
    # Both branches are taken.
    assert {answer.target.partition("/")[2] in LABELS["two"] for answer in expected} == {
        True,
        False,
    }
    crowd = Workflow.load(path, workers=4)
    assert crowd.predict(TEXTS) == expected
    assert crowd.predict(TEXTS[::-1]) == expected[::-1]
    assert list(crowd.stream(TEXTS)) == expected
    found: dict[int, list[object]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: crowd.predict(TEXTS)}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers == expected for answers in found.values())
    assert len(found) == 4


def test_a_chain_answers_what_its_models_answer(path):
    workflow = Workflow.load(path)
    bare = {
        name: Model.load(path.parent / "runs" / name / "ab12" / "model", workers=1)
        for name in LABELS
    }
    for text in TEXTS[:40]:
        first = bare["one"].predict(text)
        then = bare["two" if first.target == "red" else "three"].predict(text)
        found = workflow.predict(text)
        assert found.target == f"both/{then.target}"
        assert found.confidence == pytest.approx(first.confidence * then.confidence)


def test_one_folder_in_two_nodes_is_loaded_once(path, monkeypatch):
    text = path.read_text().replace("runs/three", "runs/two")
    path.write_text(text)
    loaded: list[Path] = []

    def load(folder: Path) -> Model:
        loaded.append(folder)
        return Model.load(folder, workers=1)

    Workflow.load(path, load_model=load)
    assert sorted(folder.parent.parent.name for folder in loaded) == ["one", "two"]


def two_branches(
    load: Callable[..., Workflow], predictors, *, workers: int, patience_s: float
) -> Workflow:
    """Two nodes of one wave, each of which waits until the other is asked as well."""
    meeting = threading.Barrier(2)

    def meet(name: str):
        answer = predictors[name].predict

        def predict(inputs):
            meeting.wait(timeout=patience_s)
            return answer(inputs)

        return SimpleNamespace(labels=predictors[name].labels, predict=predict)

    for name in ("banking", "complaints"):
        predictors[name] = meet(name)
    nodes = """
banking: {model: banking, on_error: defer}
complaints: {model: complaints, on_error: defer}
best: {step: surest, input: [banking, complaints]}
"""
    return load(nodes, "best", workers=workers)


def test_branches_that_do_not_need_one_another_run_at_the_same_time(load, predictors):
    workflow = two_branches(load, predictors, workers=2, patience_s=20)
    assert workflow.predict("debt=0.8").answer == "debt"


def test_with_one_worker_everything_stays_on_the_callers_thread(load, predictors):
    # The meeting never comes about, and both run out of patience.
    workflow = two_branches(load, predictors, workers=1, patience_s=0.1)
    assert workflow.predict("debt=0.8").deferred == "failed"


def test_quick_branches_are_not_worth_a_thread(load, predictors):
    nodes = "a: {model: banking}\nb: {model: complaints}\nbest: {step: surest, input: [a, b]}"
    workflow = load(nodes, "best", workers=2)
    workflow.predict("debt")  # nothing is known yet of the time that they take
    predictors["banking"].threads.clear()
    predictors["complaints"].threads.clear()
    for _ in range(5):
        workflow.predict("debt")
    here = {threading.get_ident()}
    assert predictors["banking"].threads == predictors["complaints"].threads == here
