"""Writers packed: the graph against the trained weights, the folder, and the writer at work."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch

import tiny_writer
from potstill.data import Prediction, Text
from potstill.errors import ExportError, ModelError
from potstill.export.decoder import build_decoder
from potstill.export.student import Exported
from potstill.export.writer import export_writer
from potstill.runtime import load_model
from potstill.runtime.decoding import Decoder
from potstill.runtime.session import open_session
from potstill.runtime.writer import WRITER_GRAPH, WRITER_WEIGHTS, Writer
from potstill.spec.task import Task
from potstill.train.writing.student import WritingStudent, load_writer
from potstill.train.writing.training import train_writer

TRAIN = tiny_writer.rows(200)
DEV = tiny_writer.rows(16, start=500)
LEARN = {"epochs": 8, "learning_rate": 1e-2, "batch_size": 16}


@dataclass(frozen=True)
class Made:
    task: Task
    student: WritingStudent
    picker: Path
    exported: Exported

    def export(self, folder: Path, **student: object) -> Exported:
        options = self.task.student.model_copy(update=student)
        return export_writer(
            self.student,
            name="clauses",
            picker=self.picker,
            dev=DEV,
            options=options,
            folder=folder,
            task=self.task,
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("writer")
    texts = [f"{row.text} {cast('Text', row.target).text}" for row in TRAIN]
    base = tiny_writer.save_base(folder / "base", texts)
    task = tiny_writer.task(base, **LEARN)
    train_writer(TRAIN, DEV, task=task, options=task.student, seed=1, folder=folder / "student")
    student = load_writer(folder / "student")
    picker = tiny_writer.save_picker(folder / "picker")
    exported = export_writer(
        student,
        name="clauses",
        picker=picker,
        dev=DEV,
        options=task.student,
        folder=folder / "model",
        task=task,
        lineage={"from": "people"},
    )
    return Made(task, student, picker, exported)


@pytest.fixture(scope="module")
def writer(made: Made) -> Writer:
    return Writer.load(made.exported.folder, workers=2)


def test_it_writes_what_it_was_taught(writer: Writer) -> None:
    answers = writer.predict([row.input for row in tiny_writer.rows(8, start=700)])
    wanted = [row.target for row in tiny_writer.rows(8, start=700)]
    said = [answer.target for answer in answers]
    assert sum(a == b for a, b in zip(said, wanted, strict=True)) >= 6
    assert all(answer.deferred is None and not answer.truncated for answer in answers)


def test_greedy_decoding_is_that_of_transformers(made: Made, tmp_path: Path) -> None:
    graph = build_decoder(made.student.network, tmp_path, precision="fp32")
    decoder = Decoder(open_session(graph, where=str(graph)))
    model = cast("Any", made.student.module)
    for row in DEV[:4]:
        ids, _ = made.student.reader.read(row.input)
        with torch.inference_mode():
            expected = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)
        draft = decoder.write(ids, ends=(2,), most_tokens=12)
        assert [*draft.ids, *[2] * draft.ended] == expected[0, len(ids) :].tolist()
        with torch.inference_mode():
            logits = model(expected).logits[0, len(ids) - 1 : -1].log_softmax(dim=1)
        chosen = logits.gather(1, expected[0, len(ids) :, None])
        assert draft.probability == pytest.approx(float(chosen.mean().exp()), rel=1e-3)


def test_beams_are_those_of_transformers(made: Made, tmp_path: Path) -> None:
    graph = build_decoder(made.student.network, tmp_path, precision="fp32")
    decoder = Decoder(open_session(graph, where=str(graph)))
    model = cast("Any", made.student.module)
    settings = {"num_beams": 4, "do_sample": False, "length_penalty": 1.0}
    for row in DEV[:6]:
        ids, _ = made.student.reader.read(row.input)
        with torch.inference_mode():
            expected = model.generate(torch.tensor([ids]), max_new_tokens=12, **settings)
        draft = decoder.write(ids, ends=(2,), most_tokens=12, beams=4)
        assert [*draft.ids, *[2] * draft.ended] == expected[0, len(ids) :].tolist()
        greedy = decoder.write(ids, ends=(2,), most_tokens=12)
        assert draft.probability >= greedy.probability - 1e-6 or not greedy.ended


def test_following_a_text_tells_the_choice_at_each_place(made: Made, tmp_path: Path) -> None:
    graph = build_decoder(made.student.network, tmp_path, precision="fp32")
    decoder = Decoder(open_session(graph, where=str(graph)))
    prompt, text = made.student.reader.read(DEV[0].input)[0], made.student.reader.tokens("they ads")
    with torch.inference_mode():
        logits = made.student.module(torch.tensor([prompt + text])).logits
    assert decoder.follow(prompt, text) == logits[0, len(prompt) - 1 : -1].argmax(dim=1).tolist()


def test_a_text_ends_at_its_bound(made: Made, tmp_path: Path) -> None:
    graph = build_decoder(made.student.network, tmp_path, precision="int8")
    decoder = Decoder(open_session(graph, where=str(graph)))
    ids, _ = made.student.reader.read(DEV[0].input)
    whole = decoder.write(ids, ends=(2,), most_tokens=20)
    cut = decoder.write(ids, ends=(2,), most_tokens=2)
    assert whole.ended
    assert not cut.ended
    assert cut.ids == whole.ids[:2]
    assert 0 < cut.probability <= 1


def test_int8_keeps_one_table_of_words_and_reads_it_as_fp32_does(
    made: Made, tmp_path: Path
) -> None:
    graphs = {
        name: build_decoder(made.student.network, tmp_path, precision=name)
        for name in ("int8", "fp32")
    }
    int8 = onnx.load(graphs["int8"])
    operators = [node.op_type for node in int8.graph.node]
    assert "GatherBlockQuantized" in operators
    tables = [one for one in int8.graph.initializer if list(one.dims) == [512, 64]]
    assert not tables
    logits: list[np.ndarray[Any, Any]] = []
    for path in graphs.values():
        session = open_session(path, where=str(path))
        feed: dict[str, Any] = {
            "input_ids": np.array([[5, 6, 7]]),
            "attention_mask": np.ones((1, 3), dtype=np.int64),
        }
        for one in session.get_inputs()[2:]:
            assert one.shape[3] == 16
            feed[one.name] = np.zeros((1, 2, 0, 16), dtype=np.float32)
        logits.append(cast("Any", session.run(["logits"], feed)[0]))
    assert logits[0] == pytest.approx(logits[1], abs=0.02 * float(np.abs(logits[1]).max()))


def test_the_card_and_the_figures(made: Made, writer: Writer) -> None:
    exported = made.exported
    assert exported.precision == "int8"
    assert exported.parity["disagreement"] <= exported.parity["max_allowed"]
    assert exported.parity["tokens"] > 40
    assert exported.timings["int8"]["dev_texts"] > 0
    card = writer.card
    assert (card["type"], card["mode"], card["labels"]) == ("generation", "abstractive", [])
    assert card["text"]["max_words"] == 6
    assert card["base"]["parameters"] == 106816
    assert json.loads((exported.folder / "lineage.json").read_text()) == {"from": "people"}
    names = {file.name for file in exported.folder.iterdir()}
    assert {WRITER_GRAPH, WRITER_WEIGHTS, "writer_tokenizer.json", "model.onnx"} <= names
    size = sum(file.stat().st_size for file in exported.folder.iterdir())
    assert exported.megabytes == pytest.approx(size / 1e6)


def test_load_model_finds_the_class(made: Made) -> None:
    found = load_model(made.exported.folder, workers=1)
    assert isinstance(found, Writer)
    assert (found.name, found.labels, found.multilabel) == ("clauses", (), False)


def test_the_same_answer_alone_among_others_and_from_any_thread(writer: Writer) -> None:
    inputs = [row.text for row in tiny_writer.rows(12, start=300)]
    alone = [writer.predict(text) for text in inputs]
    assert writer.predict(inputs) == alone
    assert list(writer.stream(iter(reversed(inputs)))) == alone[::-1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(writer.predict, inputs)) == alone


def test_what_the_guards_stop_gives_way_to_a_sentence_of_the_source(
    made: Made, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = made.student.reader
    invented = reader.tokens("they keep 77 cookies")
    from potstill.runtime import writer as module
    from potstill.runtime.decoding import Draft

    monkeypatch.setattr(module, "write", lambda *_: Draft(invented, 0.5, True))
    source = "We store emails. We store them for 30 days."
    assert writer.predict(source) == Prediction(Text("We store emails.", guarded=("copied",)))


def test_nothing_is_said_about_nothing(writer: Writer) -> None:
    answer = writer.predict("  \n ")
    assert answer == Prediction(Text(""), deferred="unsure")
    assert answer.to_json() == {"text": None, "deferred": "unsure", "guess": {"text": ""}}


@pytest.mark.parametrize("value", ["x", "<|im_end|>", "e\u0301 日本 \ud800", "We may. " * 3000])
def test_any_string_at_all_is_answered(writer: Writer, value: str) -> None:
    answer = writer.predict(value)
    assert isinstance(answer.target, Text)
    assert answer.truncated == (len(value) > 1000)
    assert writer.count_tokens(value) <= writer.max_tokens + 80


def test_named_fields_are_read_as_lines(writer: Writer) -> None:
    fields = {"clause": "We may collect your ads.", "country": "France"}
    assert (
        writer.predict(fields).target
        == writer.predict("clause: We may collect your ads.\ncountry: France").target
    )


def test_the_probes_hold_on_this_machine_and_tell_another_graph(
    made: Made, writer: Writer, tmp_path: Path
) -> None:
    check = writer.self_check()
    assert (check.probes, check.label_flips) == (1, 0)
    assert check.max_score_difference < 1e-6


def test_a_damaged_weight_is_named(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made.exported.folder, folder)
    weights = folder / WRITER_WEIGHTS
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"writer\.onnx\.data is damaged"):
        Writer.load(folder)
    weights.unlink()
    with pytest.raises(ModelError, match=r"writer\.onnx\.data is missing"):
        Writer.load(folder)


def test_precision_falls_back_where_int8_is_too_far(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from potstill.export import writer as module

    lost = iter([0.5, 0.0])
    monkeypatch.setattr(module, "_lost", _each(lost))
    exported = made.export(tmp_path / "a")
    assert exported.precision == "fp32"
    assert exported.parity["candidates"] == {"int8": 1.0, "fp32": 0.0}
    monkeypatch.setattr(module, "_lost", _each(iter([0.5])))
    with pytest.raises(ExportError, match=r"int8 100\.0% of the tokens; allowed 2\.0%"):
        made.export(tmp_path / "b", precision="int8")
    assert not (tmp_path / "b").exists()


def test_without_development_rows_nothing_is_exported(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no development rows"):
        export_writer(
            made.student,
            name="x",
            picker=made.picker,
            dev=[],
            options=made.task.student,
            folder=tmp_path / "model",
            task=made.task,
        )


def test_an_architecture_that_the_builder_does_not_know_is_named(tmp_path: Path) -> None:
    from transformers import CTRLConfig, CTRLLMHeadModel

    shape = CTRLConfig(vocab_size=64, n_embd=16, dff=16, n_layer=1, n_head=2, n_positions=32)
    CTRLLMHeadModel(shape).save_pretrained(tmp_path / "ctrl")
    with pytest.raises(ExportError, match="onnxruntime-genai cannot build"):
        build_decoder(tmp_path / "ctrl", tmp_path, precision="int8")


def _each(values: Any) -> Any:
    """A stand-in for `_lost` that gives each graph one of the values for all its tokens."""
    given: dict[Any, float] = {}

    def lost(decoder: Decoder, passage: Any) -> Any:
        if decoder not in given:
            given[decoder] = next(values)
        return np.full(len(passage.text), given[decoder])

    return lost
