"""An extractor at work: documents of any length, offsets in characters, one answer in any company."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_model import FIELDS, write_extractor

from potstill.data import Prediction, Predictor
from potstill.data.extraction import Extraction
from potstill.errors import DataError, ModelError
from potstill.runtime import load_model
from potstill.runtime.extraction.decision import ExtractionDecision, Line
from potstill.runtime.extraction.extractor import Extractor, said
from potstill.spec.extraction import FieldSpec, WindowSpec

TEXT = "The Kite Pharma and Nike, since 2001-04-18 for seven years."
TEXTS = [TEXT, "", "x", "maybe 2004-04-18", "nike " * 60 + TEXT, {"text": TEXT, "asked": "term"}]


def values(prediction: Prediction) -> dict[str, list[Any]]:
    assert isinstance(prediction.target, Extraction)
    return {
        name: [value.value for value in found] for name, found in prediction.target.fields.items()
    }


def spans(prediction: Prediction, document: str) -> set[str]:
    """The evidence of every value, after checking that it stands where it says."""
    assert isinstance(prediction.target, Extraction)
    seen: set[str] = set()
    for found in prediction.target.fields.values():
        for value in found:
            assert document[value.start : value.end] == value.text
            seen.add(value.text or "")
    return seen


def test_is_a_predictor_that_load_model_knows(extractor: Extractor, tmp_path: Path) -> None:
    assert isinstance(extractor, Predictor)
    assert isinstance(load_model(tmp_path / "model"), Extractor)
    assert (extractor.name, extractor.labels) == ("tiny", ("party", "signed", "term"))
    assert (extractor.max_tokens, extractor.multilabel, extractor.workers) == (32, False, 1)
    assert extractor.fields["party"].many


def test_values_are_normalised_and_cite_their_evidence(extractor: Extractor) -> None:
    answer = extractor.predict(TEXT)
    assert values(answer) == {
        "party": ["Kite Pharma", "Nike"],
        "signed": ["2001-04-18"],
        "term": ["7 years"],
    }
    assert spans(answer, TEXT) == {"Kite Pharma", "Nike", "2001-04-18", "seven years"}
    assert set(answer.scores or {}) == set(FIELDS)
    assert answer.confidence == pytest.approx(np.prod([*(answer.scores or {}).values()]))


def test_a_single_field_answers_the_surest_value_and_a_many_field_all(
    extractor: Extractor,
) -> None:
    answer = extractor.predict("2004-04-18, 2001-04-18, kite inc, nike, maybe")
    assert values(answer) == {"party": ["kite inc", "nike"], "signed": ["2001-04-18"]}


def test_a_document_is_read_whole_however_long(extractor: Extractor) -> None:
    for words in (10, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 500):
        text = "inc " * words + TEXT + " pharma" * words
        answer = extractor.predict(text)
        assert values(answer) == values(extractor.predict(TEXT))
        assert spans(answer, text) == {"Kite Pharma", "Nike", "2001-04-18", "seven years"}
        assert not answer.truncated


@pytest.mark.parametrize(
    "before",
    [
        "e\u0301\u0301 ",
        "\U0001f469\u200d\U0001f4bb ",
        "\r\n\r\n",
        "\u0434\u043e\u0433\u043e\u0432\u043e\u0440 \u5951\u7d04 ",
        "\ud83d \udfff ",
        "\0 ",
        "\u202e ",
    ],
)
def test_offsets_count_characters_whatever_stands_before(extractor: Extractor, before: str) -> None:
    text = before + TEXT
    assert spans(extractor.predict(text), text) == {
        "Kite Pharma",
        "Nike",
        "2001-04-18",
        "seven years",
    }


@pytest.mark.parametrize("text", ["", " ", "x", "\0", "\ud800", "\n\r", "\u0301"])
def test_a_document_of_one_character_or_none_holds_no_values(
    extractor: Extractor, text: str
) -> None:
    answer = extractor.predict(text)
    assert values(answer) == {}
    assert answer.deferred is None
    assert all(score > 0.99 for score in (answer.scores or {}).values())


def test_only_the_first_of_named_fields_is_the_document(extractor: Extractor) -> None:
    answer = extractor.predict({"text": TEXT, "asked": "nike, seven years"})
    assert values(answer) == values(extractor.predict(TEXT))
    assert spans(answer, TEXT)


def test_a_context_that_is_too_long_is_cut_and_flagged(extractor: Extractor) -> None:
    answer = extractor.predict({"text": TEXT, "asked": "inc " * 100})
    assert answer.truncated
    assert values(answer) == values(extractor.predict(TEXT))


@pytest.mark.parametrize("wrong", [3, None, b"nike", ["nike"]])
def test_an_input_of_another_type_is_refused(extractor: Extractor, wrong: object) -> None:
    with pytest.raises(DataError, match="not " + type(wrong).__name__):
        extractor.predict([wrong])  # type: ignore[list-item]
    with pytest.raises(DataError, match="not " + type(wrong).__name__):
        extractor.count_tokens(wrong)  # type: ignore[arg-type]


def test_answers_are_the_same_alone_and_among_others(
    make_extractor: Callable[..., Extractor],
) -> None:
    model = make_extractor(workers=3)
    alone = [model.predict(text) for text in TEXTS]
    assert model.predict([]) == []
    assert model.predict(TEXTS) == alone
    assert model.predict(TEXTS[::-1] * 20) == alone[::-1] * 20
    model.workers = 1
    assert model.predict(TEXTS) == alone


def test_one_extractor_serves_many_threads(make_extractor: Callable[..., Extractor]) -> None:
    model = make_extractor(workers=2)
    expected = model.predict(TEXTS)
    wrong: list[object] = []

    def ask() -> None:
        wrong.extend(got for _ in range(20) if (got := model.predict(TEXTS)) != expected)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_stream_keeps_the_order_and_reads_little_ahead(
    make_extractor: Callable[..., Extractor],
) -> None:
    model = make_extractor(workers=2)
    read = 0

    def inputs() -> Iterator[Any]:
        nonlocal read
        while True:
            yield TEXTS[read % len(TEXTS)]
            read += 1

    alone = [model.predict(text) for text in TEXTS]
    stream = model.stream(inputs())
    for at in range(200):
        assert next(stream) == alone[at % len(TEXTS)]
        assert read - at <= 20
    stream.close()  # type: ignore[attr-defined]


def test_tokens_are_counted_as_often_as_they_are_read(extractor: Extractor) -> None:
    assert extractor.count_tokens("") == 0
    assert extractor.count_tokens("nike, inc") == 5
    assert 1000 < extractor.count_tokens("nike " * 1000) < 2000


def test_ten_megabytes_are_read_to_the_end_in_bounded_memory(tmp_path: Path) -> None:
    # Tokenised at once, these million words alone would take hundreds of megabytes, and so would
    # the places that look like a value.
    write_extractor(tmp_path, windows=WindowSpec(tokens=512, widest_value=6))
    script = (
        "import resource, sys\n"
        "from potstill.runtime import load_model\n"
        "model = load_model(sys.argv[1], workers=2)\n"
        "text = ('y' * 9 + ' maybe, ') * 600_000 + 'kite inc, nike, 2001-04-18'\n"
        "model.predict(text[-10_000:])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "answer = model.predict(text)\n"
        "grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024\n"
        "print(len(text), [v.value for v in answer.target.of('party')], grown)\n"
        "assert len(text) > 10_000_000 and answer.target.of('signed')[0].end == len(text)\n"
        "assert grown < 40, grown\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "['kite inc', 'nike']" in done.stdout


def test_a_field_that_is_less_sure_than_the_task_wants_is_a_guess(
    make_extractor: Callable[..., Extractor],
) -> None:
    decision = ExtractionDecision.plain(FIELDS, min_confidence=0.9)
    answer = make_extractor(decision=decision).predict(TEXT)
    assert isinstance(answer.target, Extraction)
    assert answer.target.unsure == ("party", "term")  # 2.0 and 1.5 are 0.88 and 0.82
    assert answer.deferred is None
    shown = answer.to_json()
    assert shown["fields"]["term"] is None
    assert shown["guess"]["fields"]["term"][0]["value"] == "7 years"
    assert shown["guess"]["unsure"] == ["party", "term"]


def test_a_field_of_which_nothing_sure_is_known_is_null_and_not_absent(
    make_extractor: Callable[..., Extractor],
) -> None:
    plain = ExtractionDecision.plain(FIELDS, min_confidence=0.9)
    half = replace(plain.rules["term"], absent=Line(0.0, 0.0))
    decision = replace(plain, rules={**plain.rules, "term": half})
    shown = make_extractor(decision=decision).predict("nike nothing").to_json()
    assert shown["fields"] == {"party": shown["fields"]["party"], "term": None}
    assert shown["guess"] == {"fields": {}, "unsure": ["term"]}


def test_without_a_required_field_the_whole_answer_is_deferred(
    make_extractor: Callable[..., Extractor],
) -> None:
    fields = {**FIELDS, "party": FieldSpec(many=True, required=True)}
    model = make_extractor(decision=ExtractionDecision.plain(fields))
    assert model.predict(TEXT).deferred is None
    guessed = model.predict("maybe")
    assert (guessed.deferred, values(guessed)) == ("unsure", {"party": ["maybe"]})
    nothing = model.predict("")
    assert (nothing.deferred, values(nothing)) == ("unsure", {})
    assert nothing.to_json()["fields"] == {"party": None}
    assert nothing.to_json()["guess"] == {"fields": {}, "unsure": ["party"]}
    assert nothing.confidence == 0.0


def test_the_self_check_compares_with_what_was_recorded(
    make_extractor: Callable[..., Extractor],
) -> None:
    answer = make_extractor().predict(TEXT)
    scores = list((answer.scores or {}).values())
    probes = [
        {"text": TEXT, "scores": scores, "said": said(answer)},
        {"text": TEXT, "scores": [scores[0] - 0.25, *scores[1:]], "said": {}},
    ]
    check = make_extractor(probes=probes).self_check()
    assert (check.probes, check.label_flips) == (2, 1)
    assert check.max_score_difference == pytest.approx(0.25)


@pytest.mark.parametrize("key", ["fields", "decision", "windows", "conventions"])
def test_a_card_that_lacks_something_is_told(tmp_path: Path, key: str) -> None:
    broken = {"party": {"type": "word"}, "tokens": "many"}
    write_extractor(tmp_path / "model", changes={key: broken})
    with pytest.raises(ModelError, match=r"model\.json lacks something"):
        Extractor.load(tmp_path / "model")


def test_no_worker_is_no_extractor(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Extractor.load(tmp_path, workers=0)
