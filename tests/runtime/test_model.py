"""A model at work: the same answer in any company, any string, any number."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from potstill.data import Prediction, Predictor
from potstill.errors import DataError
from potstill.runtime import Model

TEXTS = ["card", "the loan", "a house the house a card charge", "", "charge charge loan", "???"]


def test_is_a_predictor(folder: Path) -> None:
    model = Model.load(folder)
    assert isinstance(model, Predictor)
    assert (model.name, model.labels) == ("tiny", ("card", "loan", "house"))
    assert (model.max_tokens, model.multilabel) == (12, False)


def test_one_input_gives_one_prediction_and_a_sequence_a_list(folder: Path) -> None:
    model = Model.load(folder, workers=2)
    one = model.predict("the loan")
    assert isinstance(one, Prediction)
    assert model.predict(["the loan"]) == [one]
    assert model.predict([]) == []
    assert model.predict({"subject": "card", "body": "loan"}) == model.predict(
        "subject: card\nbody: loan"
    )


def test_scores_are_probabilities_in_label_order_and_the_target_is_their_largest(
    folder: Path,
) -> None:
    for answer in Model.load(folder).predict(TEXTS):
        assert answer.scores is not None
        assert tuple(answer.scores) == ("card", "loan", "house")
        assert sum(answer.scores.values()) == pytest.approx(1.0, abs=1e-12)
        assert answer.confidence == max(answer.scores.values()) == answer.scores[str(answer.target)]


def test_scores_are_the_softmax_of_the_logits_over_the_temperature(folder: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    # [CLS] the loan [SEP]
    logits = session.run(None, {"input_ids": np.array([[2, 8, 5, 3]])})[0][0] / 0.8
    expected = np.exp(logits) / np.exp(logits).sum()
    answer = Model.load(folder).predict("the loan")
    assert list((answer.scores or {}).values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_answers_are_the_same_in_batches_of_any_size_and_order(folder: Path) -> None:
    model = Model.load(folder, workers=3)
    alone = {text: model.predict(text) for text in TEXTS}
    generator = np.random.default_rng(1)
    asked = 0
    while asked < 1000:
        batch = generator.choice(TEXTS, size=generator.integers(1, 70)).tolist()
        assert model.predict(batch) == [alone[text] for text in batch]
        asked += len(batch)


def test_multilabel_answers_labels_above_their_thresholds(
    make_folder: Callable[..., Path],
) -> None:
    model = Model.load(make_folder(multilabel=True))
    seen: set[int] = set()
    for text in TEXTS:
        answer = model.predict(text)
        scores = answer.scores or {}
        limits = dict(zip(model.labels, (0.5, 0.4, 0.6), strict=True))
        assert answer.target == tuple(name for name in scores if scores[name] >= limits[name])
        right = [p if p >= limits[name] else 1 - p for name, p in scores.items()]
        assert answer.confidence == pytest.approx(np.prod(right))
        seen.add(len(answer.target or ()))
    assert len(seen) > 1


@pytest.mark.parametrize(
    "text",
    ["", " ", "\0", "card\0loan", "\ud800", "card \udfff loan", "\U0001f600", "\u202e", "\n"],
)
def test_odd_strings_are_answered(folder: Path, text: str) -> None:
    assert Model.load(folder).predict(text).target in ("card", "loan", "house")


def test_a_surrogate_pair_is_its_character_and_a_lone_one_a_replacement(folder: Path) -> None:
    model = Model.load(folder)
    assert model.predict("card \ud83d\ude00") == model.predict("card \U0001f600")
    assert model.predict("card \ud83d") == model.predict("card \ufffd")


@pytest.mark.parametrize("wrong", [3, None, b"card", ["card"]])
def test_an_input_of_another_type_is_refused(folder: Path, wrong: object) -> None:
    with pytest.raises(DataError, match="not " + type(wrong).__name__):
        Model.load(folder).predict([wrong])  # type: ignore[list-item]


def test_a_long_text_is_cut_and_flagged(folder: Path) -> None:
    model = Model.load(folder)
    fits, too_long = " ".join(["card"] * 10), " ".join(["card"] * 11)
    assert not model.predict(fits).truncated
    assert model.predict(too_long).truncated
    assert model.predict(too_long).scores == model.predict(fits).scores


def test_ten_megabytes_are_answered_at_once_like_their_beginning(folder: Path) -> None:
    model = Model.load(folder)
    text = "card loan house " * 650_000
    begin = time.perf_counter()
    answer = model.predict(text)
    assert time.perf_counter() - begin < 0.5
    assert answer.truncated
    assert answer == model.predict(text[:200])


def test_words_behind_much_space_are_still_read(folder: Path) -> None:
    model = Model.load(folder)
    assert model.predict(" " * 2000 + "loan") == model.predict("loan")
    assert model.predict(" " * 100_000 + "loan").truncated


def test_stream_keeps_the_order_reads_little_ahead_and_stops_when_closed(folder: Path) -> None:
    model = Model.load(folder, workers=2)
    read = 0

    def inputs() -> Iterator[str]:
        nonlocal read
        while True:
            yield TEXTS[read % len(TEXTS)]
            read += 1

    alone = [model.predict(text) for text in TEXTS]
    stream = model.stream(inputs())
    for at in range(500):
        assert next(stream) == alone[at % len(TEXTS)]
        assert read - at <= 2 * 3 * 16
    stream.close()  # type: ignore[attr-defined]
    assert read < 700


def test_an_error_of_the_source_comes_after_the_answers_before_it(folder: Path) -> None:
    def inputs() -> Iterator[str]:
        yield from ["card"] * 200
        raise OSError("the disk is gone")

    stream = Model.load(folder, workers=2).stream(inputs())
    with pytest.raises(OSError, match="the disk is gone"):
        list(stream)


def test_one_model_serves_many_threads(folder: Path) -> None:
    model = Model.load(folder, workers=2)
    expected = model.predict(TEXTS)
    wrong: list[object] = []

    def ask() -> None:
        wrong.extend(got for _ in range(30) if (got := model.predict(TEXTS)) != expected)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_self_check_compares_with_the_recorded_scores(folder: Path) -> None:
    model = Model.load(folder)
    here = list((model.predict("card").scores or {}).values())
    check = model.self_check()
    assert check.probes == 1
    assert check.max_score_difference == max(
        abs(a - b) for a, b in zip(here, (0.2, 0.5, 0.3), strict=True)
    )
    assert check.label_flips == (model.predict("card").target != "loan")


def test_workers_must_be_at_least_one(folder: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Model.load(folder, workers=0)


def test_loading_and_answering_needs_no_heavy_import(folder: Path) -> None:
    script = (
        "import sys; import potstill\n"
        "assert 'numpy' not in sys.modules and 'onnxruntime' not in sys.modules\n"
        f"potstill.Model.load({str(folder)!r}).predict('card')\n"
        "heavy = {'torch', 'transformers', 'scipy', 'sklearn', 'onnx', 'pandas', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_nothing_is_told_to_the_maker_of_the_runtime() -> None:
    script = "import os, potstill; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}

    def said(variables: dict[str, str]) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=variables,
        )
        return done.stdout.strip()

    assert said(environment) == "1"
    assert said(environment | {"ORT_DISABLE_TELEMETRY": "0"}) == "0"
