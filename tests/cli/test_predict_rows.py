"""Rows on their way through `predict`, with a model that answers anything."""

import json
from contextlib import ExitStack

import pytest

from potstill.cli.use import _answers, _tolerant_rows
from potstill.data import Prediction
from potstill.spec.task import Columns


class Echo:
    """Answers each text with itself; reads all ahead, as workers do."""

    def stream(self, inputs):
        yield from [Prediction(target=text) for text in inputs]


def predict(path, columns=None):
    with ExitStack() as stack:
        rows = _tolerant_rows(str(path), "jsonl", stack)
        return list(_answers(Echo(), rows, columns or Columns()))


@pytest.mark.parametrize(("suffix", "cut"), [("csv", b","), ("tsv", b"\t")])
def test_a_broken_row_of_csv_is_an_error_in_its_place(tmp_path, suffix, cut):
    path = tmp_path / f"rows.{suffix}"
    content = b'id,text\n1,"one\nand a half"\n2,too,many\n3,caf\xe9\n4,\n,five\n6,six\n'
    path.write_bytes(content.replace(b",", cut))
    first, *errors, fifth, sixth = predict(path)
    assert first == {"id": "1", "label": "one\nand a half"}
    assert [error.pop("id") for error in errors] == ["2", "3", "4"]
    assert all(list(error) == ["error"] for error in errors)
    assert errors[0]["error"].startswith(f"{path}:4: the row has more cells")
    assert errors[1]["error"].startswith(f"{path}:5: the line holds bytes that are not UTF-8")
    assert errors[2]["error"] == f"{path}:6: no text in 'text'"
    assert (fifth, sixth) == ({"label": "five"}, {"id": "6", "label": "six"})


def test_an_error_carries_the_id_of_its_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"key": 1, "text": ""}, {"key": 2, "text": "two"}, {"text": None}, {"key": 4}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"key": 5, "te\n')
    found = predict(path, Columns(id="key"))
    assert [row.get("id") for row in found] == [1, 2, None, 4, None]
    assert ["error" in row for row in found] == [True, False, True, True, True]
    assert found[4]["error"].startswith(f"{path}:5: not JSON")
