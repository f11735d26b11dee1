import json

import pytest

from potstill.data import Prediction
from potstill.data.extraction import Extraction, Value
from potstill.data.production import Kept, kept_folder, read_kept
from potstill.errors import DataError


def kept(**changes):
    known = {
        "at": "2026-11-23T10:00:00.000+00:00",
        "request": "r1",
        "model": "topics",
        "version": "0123456789ab",
        "id": "feedfeedfeedfeed",
        "length": 12,
        "prediction": Prediction("cards", 0.75),
        "by": "model",
        "ms": 2.5,
    }
    return Kept(**{**known, **changes})


@pytest.mark.parametrize(
    "row",
    [
        kept(),
        kept(input={"subject": "a", "body": "b"}, prediction=Prediction("cards", 0.75, None, True)),
        kept(
            prediction=Prediction("cards", 0.2, deferred="out_of_scope", out_of_scope=0.9),
            by="teacher",
            fallback="teacher",
            answer="loans",
            cost_usd=None,
        ),
        kept(prediction=Prediction(("a", "b"), 0.5), answer=("a",)),
        kept(prediction=Prediction(("a",), 0.5, deferred="unsure")),
        kept(prediction=Prediction(None, None, deferred="failed"), by="nobody"),
        kept(prediction=Prediction(Extraction({"a": (Value("x"),)}, ("a", "b")), 0.5)),
        kept(prediction=Prediction(Extraction({}, ("b",)), 0.0, deferred="unsure")),
    ],
)
def test_a_row_comes_back_as_it_was(row):
    assert Kept.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_scores_are_not_kept():
    row = kept(prediction=Prediction("cards", 0.75, {"cards": 0.75, "loans": 0.25}))
    assert "scores" not in row.to_json()["prediction"]


def write(folder, day, *lines):
    place = kept_folder(folder, "topics")
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{day}.jsonl").write_text("\n".join(lines) + "\n")


def test_days_are_read_in_order_and_a_torn_line_is_passed_over(tmp_path):
    write(tmp_path, "2026-11-24", json.dumps(kept(request="r3").to_json()))
    write(
        tmp_path,
        "2026-11-23",
        json.dumps(kept(request="r1").to_json()),
        '{"at": "2026-11-23T1',
        json.dumps(kept(request="r2").to_json()),
    )
    assert [row.request for row in read_kept(tmp_path, "topics")] == ["r1", "r2", "r3"]


def test_a_model_of_which_nothing_was_kept_is_told_beside_those_there_are(tmp_path):
    write(tmp_path, "2026-11-23", json.dumps(kept().to_json()))
    with pytest.raises(DataError, match=r"'router'.*There are rows for topics"):
        list(read_kept(tmp_path, "router"))
    with pytest.raises(DataError, match="--record DIR"):
        list(read_kept(tmp_path / "none", "router"))


@pytest.mark.parametrize("line", ['{"text": "x"}', '{"prediction": 3}', '{"prediction": {}}'])
def test_a_foreign_row_is_refused_with_its_place(tmp_path, line):
    write(tmp_path, "2026-11-23", json.dumps(kept().to_json()), line)
    with pytest.raises(DataError, match=r"2026-11-23\.jsonl:2: not a row"):
        list(read_kept(tmp_path, "topics"))
