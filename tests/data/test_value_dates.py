from datetime import date, timedelta

import pytest

from potstill.data.values import Convention, find_values, read_value
from potstill.spec.extraction import FieldSpec

DATE = FieldSpec(type="date")
ORDINALS_IN_ORDER = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh "
    "twenty-eighth twenty-ninth thirtieth thirty-first"
)
ORDINALS = ORDINALS_IN_ORDER.split()
DAYS = [date(1969, 1, 31) + timedelta(days=401 * step) for step in range(60)]


def suffix(day):
    return "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


FORMATS = {
    "2004-08-24": lambda d: d.isoformat(),
    "2004/8/24": lambda d: f"{d.year}/{d.month}/{d.day}",
    "20040824": lambda d: d.strftime("%Y%m%d"),
    "24.08.2004": lambda d: d.strftime("%d.%m.%Y"),
    "August 24, 2004": lambda d: f"{d:%B} {d.day}, {d.year}",
    "AUGUST 24 2004": lambda d: f"{d:%B} {d.day} {d.year}".upper(),
    "Aug. 24th, 2004": lambda d: f"{d:%b}. {d.day}{suffix(d.day)}, {d.year}",
    "24 August 2004": lambda d: f"{d.day} {d:%B} {d.year}",
    "24th of August, 2004": lambda d: f"{d.day}{suffix(d.day)} of {d:%B}, {d.year}",
    "24th day of August, 2004": lambda d: f"{d.day}{suffix(d.day)}\nday of {d:%B},\n{d.year}",
    "twenty-fourth day of August 2004": lambda d: f"{ORDINALS[d.day - 1]} day of {d:%B} {d.year}",
    "August twenty-fourth, 2004": lambda d: f"{d:%B} {ORDINALS[d.day - 1]}, {d.year}",
    "24-AUG-04": lambda d: f"{d:%d-%b-%y}".upper(),
    "2004\u5e748\u670824\u65e5": lambda d: f"{d.year}\u5e74{d.month}\u6708{d.day}\u65e5",
}


@pytest.mark.parametrize("form", FORMATS)
def test_fourteen_formats_of_sixty_days(form):
    for day in DAYS:
        said = FORMATS[form](day)
        assert read_value(f"made as of {said} (the date)", DATE) == day.isoformat(), said
        [found] = find_values(f"x {said} y", DATE)
        assert found.text == said


@pytest.mark.parametrize(
    "said",
    [
        "as soon as reasonably practicable",
        "the last day of the month",
        "February 30, 2004",
        "the thirty-first day of April, 2004",
        "13/13/2004",
        "2004-00-10",
        "version 1.2.3",
        "may 24 people come",
        "10.10.10.10",
        "3/4",
        "",
    ],
)
def test_what_is_no_date(said):
    assert read_value(said, DATE) is None


def test_as_the_contracts_say_it():
    assert read_value("this 6th of February, 1999", DATE) == "1999-02-06"
    assert read_value("dated the 21st\nday of January, 2003", DATE) == "2003-01-21"
    assert read_value("October 1 , 2005", DATE) == "2005-10-01"
    assert read_value("Sept. 5, 2006", DATE) == "2006-09-05"


def test_two_days_in_one_piece_of_evidence_are_no_date_and_one_said_twice_is():
    assert read_value("from May 1, 2005 to May 2, 2006", DATE) is None
    assert read_value("May 1, 2005 (05/01/2005)", DATE) == "2005-05-01"


def test_the_other_dates_of_a_text_say_what_an_ambiguous_one_means():
    def days(text, convention=None):
        return [value.value for value in find_values(text, DATE, convention)]

    assert days("03/04/2005") == ["2005-03-04"]
    assert days("03/04/2005 and 25/04/2005") == ["2005-04-03", "2005-04-25"]
    assert days("03/04/2005 and 04/25/2005") == ["2005-03-04", "2005-04-25"]
    assert days("03/04/2005", Convention(day_first=True)) == ["2005-04-03"]
    # What can only be read one way is read that way, whatever is usual.
    assert days("04/25/2005", Convention(day_first=True)) == ["2005-04-25"]


@pytest.mark.parametrize(("year", "full"), [("68", 2068), ("69", 1969), ("99", 1999), ("00", 2000)])
def test_two_digits_of_a_year_are_read_as_posix_does(year, full):
    assert read_value(f"5/16/{year}", DATE) == f"{full}-05-16"


def test_offsets_count_characters_in_any_script():
    text = "e\u0301\U0001f600\u0645 August 24, 2004\r\n"
    [found] = find_values(text, DATE)
    assert text[found.start : found.end] == found.text == "August 24, 2004"
