import pytest

from potstill.data import Prediction
from potstill.data.files import write_jsonl
from potstill.data.production import Kept
from potstill.data.reading import read_examples
from potstill.errors import DataError
from potstill.evaluate.picks import pick
from potstill.spec.task import Columns


def kept(text, confidence, **changes):
    known = {
        "at": "2026-11-23T10:00:00+00:00",
        "request": "r",
        "model": "m",
        "version": "v",
        "id": str(text),
        "length": len(str(text)),
        "prediction": Prediction("a", confidence),
        "by": "model",
        "ms": 1.0,
        "input": text,
    }
    return Kept(**{**known, **changes})


def test_the_least_sure_comes_first_and_its_copies_never():
    rows = [
        kept("my card was eaten by the machine", 0.30),
        kept("My card was eaten by the machine!", 0.29, id="copy"),
        kept("my card was eaten by a machine", 0.31),
        kept("how do i close the account", 0.5),
        kept("thank you", 1.0),
    ]
    found = pick(rows, 5)
    assert [one.confidence for one in found] == [0.29, 0.5, 0.31]
    assert found[0].worth == pytest.approx(0.71)
    assert found[1].worth == pytest.approx(0.5, abs=0.05)  # both say "the"
    assert found[2].worth < 0.5


def test_a_text_that_came_often_is_one_candidate():
    assert len(pick([kept("again and again", 0.4)] * 50, 10)) == 1


def test_what_a_fallback_answered_has_a_label_already():
    taught = kept("which one", 0.1, answer="b", by="teacher")
    assert [one.input for one in pick([taught, kept("other", 0.6)], 5)] == ["other"]


def test_hashes_alone_cannot_be_picked():
    with pytest.raises(DataError, match=r"no texts were kept.*serve\.consent"):
        pick([kept("x", 0.4, input=None)], 3)


def test_where_every_row_is_sure_nothing_is_picked():
    assert pick([kept("clear", 1.0), kept("clearer", 1.0)], 3) == []


def test_texts_without_words_and_in_other_scripts_are_picked_too():
    rows = [kept("???", 0.2), kept("!!", 0.3), kept("卡丢了", 0.4), kept("", 0.5)]
    assert {one.input for one in pick(rows, 4)} >= {"???", "卡丢了"}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("where is it", Columns(input="message")),
        ({"subject": "late", "body": "where is it"}, Columns(input=["subject", "body"])),
    ],
)
def test_picks_are_rows_that_the_next_run_reads(tmp_path, text, columns):
    [one] = pick([kept(text, 0.4, id="feed")], 3)
    path = tmp_path / "picks.jsonl"
    column = columns.input if isinstance(columns.input, str) else "text"
    write_jsonl(path, [one.row(column)])
    [example] = read_examples([path], columns, targets=None).examples
    assert (example.id, example.input) == ("feed", text)
    assert one.row(column)["guess"] == "a"


def test_picks_of_many_rows_are_quick_and_diverse():
    rows = [kept(f"question {n} about topic {n % 7}", 0.2 + (n % 50) / 100) for n in range(5000)]
    found = pick(rows, 100)
    assert len({one.input for one in found}) == 100
    assert [one.worth for one in found] == sorted((one.worth for one in found), reverse=True)
