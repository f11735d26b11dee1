import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potstill.data import id_of
from potstill.data.answers import label_reader
from potstill.data.reading import (
    BrokenRow,
    Row,
    check_labels,
    csv_rows,
    read_examples,
    read_rows,
    tolerant_csv_rows,
)
from potstill.errors import DataError
from potstill.spec.task import Columns


def read(path, **options):
    targets = label_reader(multilabel=options.pop("multilabel", False))
    return read_examples([path], options.pop("columns", Columns()), targets=targets, **options)


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_three_formats_give_the_same_examples(tmp_path):
    rows = [
        {"id": "a", "text": "one, two", "label": "x"},
        {"id": "b", "text": "drei\n", "label": "y"},
    ]
    jsonl = write(tmp_path / "rows.jsonl", *rows)
    csv = tmp_path / "rows.csv"
    csv.write_text('id,text,label\na,"one, two",x\nb,"drei\n",y\n', encoding="utf-8")
    parquet = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    found = [
        [(e.id, e.input, e.target) for e in read(path).examples] for path in (jsonl, csv, parquet)
    ]
    assert found[0] == found[1] == found[2] == [("a", "one, two", "x"), ("b", "drei\n", "y")]


def test_lineage_is_there_from_birth(tmp_path):
    path = write(tmp_path / "gold.jsonl", {"text": "hello", "label": "x"})
    [example] = read(path, terms="CC-BY-4.0").examples
    assert [(s.kind, s.name, s.contributed, s.terms) for s in example.sources] == [
        ("dataset", "gold.jsonl", ("input",), "CC-BY-4.0"),
        ("person", "gold.jsonl", ("target",), "CC-BY-4.0"),
    ]
    assert example.is_gold


def test_columns_are_mapped_and_named_fields_joined(tmp_path):
    path = write(tmp_path / "r.jsonl", {"subject": "Hi", "body": "Refund?", "product": "card"})
    columns = Columns(input=["subject", "body"], target="product")
    [example] = read(path, columns=columns).examples
    assert example.text == "subject: Hi\nbody: Refund?"
    assert example.target == "card"


def test_rows_without_id_get_the_same_id_every_time(tmp_path):
    path = write(tmp_path / "r.jsonl", {"text": "same", "label": "x"})
    assert read(path).examples[0].id == read(path).examples[0].id


def test_a_missing_column_names_the_nearest(tmp_path):
    path = write(tmp_path / "r.jsonl", {"texts": "hello", "label": "x"})
    with pytest.raises(DataError, match=r"r\.jsonl:1: no column 'text'.*perhaps 'texts'"):
        read(path)


def test_broken_json_names_file_and_line(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"text": "a", "label": "x"}\n{"text": "b", "lab\n')
    with pytest.raises(DataError, match=r"r\.jsonl:2: not JSON"):
        read(path)


def test_a_line_that_is_no_object(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"[1, 2]\n")
    with pytest.raises(DataError, match="expected a JSON object, found list"):
        read(path)


def test_bytes_that_are_not_utf8_name_line_and_byte(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"text": "a", "label": "x"}\n{"text": "\xff\xfe", "label": "x"}\n')
    with pytest.raises(DataError, match=r"r\.jsonl:2: byte 11 of the line is not UTF-8"):
        read(path)


def test_csv_that_is_not_utf8(tmp_path):
    path = tmp_path / "r.csv"
    path.write_bytes(b"text,label\ncaf\xe9,x\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read(path)


def test_csv_with_a_row_too_long(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("text,label\nhello, world,x\n")
    with pytest.raises(DataError, match=r"r\.csv:2: the row has more cells"):
        read(path)


def test_bom_and_crlf_are_no_trouble(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"text": "a", "label": "x"}\r\n\r\n{"text": "b", "label": "x"}\r\n'
    )
    assert [e.input for e in read(path).examples] == ["a", "b"]
    csv = tmp_path / "r.csv"
    csv.write_bytes(b"\xef\xbb\xbftext,label\r\na,x\r\n")
    assert read(csv).examples[0].input == "a"


def test_an_empty_file_and_a_missing_one(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(DataError, match="holds no rows"):
        read(empty)
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match=r"'\.txt' are not read"):
        list(read_rows(tmp_path / "r.txt"))


def test_a_row_without_text_is_set_aside_and_the_rest_goes_on(tmp_path):
    path = write(
        tmp_path / "r.jsonl",
        {"id": 1, "text": "  ", "label": "x"},
        {"id": 2, "label": "x"},
        {"id": 3, "text": "fine", "label": "x"},
        {"id": 4, "text": "no label"},
    )
    reading = read(path)
    assert [e.id for e in reading.examples] == ["3"]
    assert [(r.id, r.cause) for r in reading.rejected] == [
        ("1", "empty_text"),
        ("2", "empty_text"),
        ("4", "no_label"),
    ]


def test_one_id_with_two_answers_rejects_both(tmp_path):
    path = write(
        tmp_path / "r.jsonl",
        {"id": 1, "text": "a", "label": "x"},
        {"id": 1, "text": "a", "label": "y"},
        {"id": 2, "text": "b", "label": "x"},
        {"id": 2, "text": "b", "label": "x"},
    )
    reading = read(path)
    assert [e.id for e in reading.examples] == ["2"]
    assert [(r.id, r.cause) for r in reading.rejected] == [("1", "id_conflict")] * 2


def test_labels_outside_the_taxonomy_are_rejected_with_the_nearest(tmp_path):
    path = write(
        tmp_path / "r.jsonl",
        {"id": 1, "text": "a", "label": "credit_cart"},
        {"id": 2, "text": "b", "label": "credit_card"},
    )
    kept, rejected = check_labels(read(path).examples, ["credit_card", "loan"])
    assert [e.id for e in kept] == ["2"]
    assert rejected[0].cause == "outside_taxonomy"
    assert "did you mean 'credit_card'" in rejected[0].detail


def test_multilabel_targets_from_lists_and_commas(tmp_path):
    path = write(
        tmp_path / "r.jsonl", {"text": "a", "label": ["x", "y"]}, {"text": "b", "label": "x, y"}
    )
    assert [e.target for e in read(path, multilabel=True).examples] == [("x", "y"), ("x", "y")]


def test_a_text_of_ten_megabytes_and_nul_bytes_are_read(tmp_path):
    path = write(
        tmp_path / "r.jsonl",
        {"text": "word " * 2_000_000, "label": "x"},
        {"text": "\0a", "label": "x"},
    )
    reading = read(path)
    assert len(reading.examples[0].text) == 10_000_000
    assert reading.examples[1].text == "\0a"


def test_empty_cells_for_id_and_group_are_no_id_and_no_group(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("id,text,customer\n,one,\n ,two,\n7,three,acme\n")
    reading = read_examples([path], Columns(group="customer"), targets=None, grouped=True)
    assert not reading.rejected
    assert [e.id for e in reading.examples[:2]] == [id_of("one"), id_of("two")]
    assert [(e.id, e.group) for e in reading.examples[2:]] == [("7", "acme")]
    assert [e.group for e in reading.examples[:2]] == [None, None]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "label": ""}] * 3, "none of the 3 rows holds a label in column 'label'"),
        ([{"text": "a", "label": None}], "none of the 1 rows holds a label in column 'label'"),
        (
            [{"text": "a", "label": ""}, {"text": "", "label": "x"}],
            "none of the 1 rows with a text holds a label in column 'label'",
        ),
        ([{"text": " ", "label": "x"}] * 2, "none of the 2 rows holds a text in column 'text'"),
        ([{"text": "a"}, {"text": "b", "label": ""}], "none of the 2 rows holds a label"),
    ],
)
def test_rows_of_which_none_is_usable_say_what_they_lack(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "gold.jsonl", *rows))


def test_booleans_and_whole_numbers_are_the_labels_of_a_task_file(tmp_path):
    values = [True, False, 2.0, 2, 2.5, " x "]
    path = write(tmp_path / "r.jsonl", *({"text": f"t{v}", "label": v} for v in values))
    targets = [e.target for e in read(path).examples]
    assert targets == ["true", "false", "2", "2", "2.5", "x"]
    path = write(tmp_path / "m.jsonl", {"text": "a", "label": [True, 1.0]})
    assert read(path, multilabel=True).examples[0].target == ("true", "1")


def test_a_group_column_that_is_nowhere_names_the_nearest(tmp_path):
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": "x", "customer": "acme"}]
    path = write(tmp_path / "r.jsonl", *rows)
    assert len(read(path, columns=Columns(group="customer"), grouped=True).examples) == 2
    with pytest.raises(DataError, match=r"no column 'custmer'.*perhaps 'customer'"):
        read(path, columns=Columns(group="custmer"), grouped=True)
    assert len(read(path, columns=Columns(group="custmer")).examples) == 2


BROKEN_CSV = (
    b'id,text\r\n1,"two\r\nlines"\r\n\r\n2,too,many\r\n3,"good\r\nthen caf\xe9"\r\n'
    b"4,plain\r\n\xff,five\r\n6,caf\xc3\xa9\r\n"
)


def test_broken_csv_rows_stand_in_their_place_with_their_line():
    found = list(tolerant_csv_rows(io.BytesIO(BROKEN_CSV), "s"))
    assert [isinstance(row, BrokenRow) for row in found] == [0, 1, 1, 0, 1, 0]
    sound = [(row.where, dict(row.fields)) for row in found if isinstance(row, Row)]
    assert sound == [
        ("s:2", {"id": "1", "text": "two\r\nlines"}),
        ("s:8", {"id": "4", "text": "plain"}),
        ("s:10", {"id": "6", "text": "café"}),
    ]
    broken = [(str(row.error), dict(row.fields)) for row in found if isinstance(row, BrokenRow)]
    assert [fields for _, fields in broken] == [{"id": "2"}, {"id": "3"}, {"text": "five"}]
    assert broken[0][0].startswith("s:5: the row has more cells than the header has columns (2)")
    assert broken[1][0].startswith("s:7: the line holds bytes that are not UTF-8")
    assert broken[2][0].startswith("s:9: ")


def test_for_a_run_the_first_broken_csv_row_is_the_end():
    rows = csv_rows(io.BytesIO(BROKEN_CSV), "s")
    assert next(rows).fields["id"] == "1"
    with pytest.raises(DataError, match=r"s:5: the row has more cells"):
        next(rows)


def test_a_csv_header_that_cannot_be_read_makes_every_row_unreadable():
    with pytest.raises(DataError, match=r"s:1: .*not UTF-8"):
        list(tolerant_csv_rows(io.BytesIO(b"caf\xe9,text\na,b\n"), "s"))
    assert list(tolerant_csv_rows(io.BytesIO(b""), "s")) == []
