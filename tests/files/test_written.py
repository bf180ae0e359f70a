"""How values are written is found over a whole column; what is written otherwise is named, never lost in silence."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expose.errors import InputError
from expose.files.conventions import Conventions, Writing, marked, marks
from expose.files.moments import moments_of
from expose.files.written import parse, recognise, typed


def column(*texts: str | None) -> pa.Array:
    return pa.array(texts, pa.string())


def read(*texts: str | None, **said: object) -> tuple[Writing, list[float]]:
    """How a column is written, and its values."""
    conventions = Conventions(**said)
    writing, _ = recognise(column(*texts), conventions)
    assert writing.form != "text", texts
    return writing, parse(column(*texts), writing, conventions)[0].tolist()


@pytest.mark.parametrize(
    ("texts", "values", "words"),
    [
        (["1", "2.5", "-3e5"], [1, 2.5, -3e5], ""),
        ([" 1", "2 ", "\t3"], [1, 2, 3], ""),
        (["+1", ".5", "2."], [1, 0.5, 2], ""),
        (["1,5", "2,25", "7"], [1.5, 2.25, 7], "decimal ','"),
        (["1.234,5", "0,25", "7"], [1234.5, 0.25, 7], "decimal ',', thousands '.'"),
        (["1,234.5", "1,234,567", "7"], [1234.5, 1234567, 7], "thousands ','"),
        (["1 234", "12 345 678,5"], [1234, 12345678.5], "decimal ',', thousands ' '"),
        (["1\u202f234", "5"], [1234, 5], "thousands ' '"),
        (["1'234.5", "7"], [1234.5, 7], 'thousands "\'"'),
        (["\u22125", "6"], [-5, 6], ""),
        (["(12)", "13"], [-12, 13], ""),
        (["12-", "13"], [-12, 13], ""),
        (["$12", "-$3", "$-4"], [12, -3, -4], "$"),
        (["12,50 €", "3 €"], [12.5, 3], "decimal ',', €"),
        (["12%", "3.5 %"], [12, 3.5], "%"),
        (["12.5 kg", "-3 kg"], [12.5, -3], "kg"),
        (["1.234,50 EUR", "12,00 EUR"], [1234.5, 12], "decimal ',', thousands '.', EUR"),
        (["EUR 12.50", "EUR-3"], [12.5, -3], "EUR"),
        (["21.5°C", "-3 °C"], [21.5, -3], "°C"),
        (["1,23,456.5", "99,999", "7"], [123456.5, 99999, 7], "thousands ','"),
        (["12:30", "00:00:01.5"], [45000, 1.5], "time of day"),
        (["true", "FALSE", "True"], [1, 0, 1], "true or false"),
        (["Infinity", "-inf", "1"], [np.inf, -np.inf, 1], ""),
    ],
)
def test_numbers_as_people_write_them(texts, values, words):
    writing, found = read(*texts)
    assert found == pytest.approx(values)
    assert writing.in_words() == words


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "b"],
        ["1", "a", "b", "2"],  # as many words as numbers
        ["10.0.0.1", "10.0.0.2"],
        ["1-2", "3-4"],
        ["12A", "13", "14", "15", "16"],  # house numbers
        ["000123", "004711"],  # digits that are names: zeros in front, one length,
        ["000123", "004711", *["004712"] * 20, "k.A."],  # also beside a word
        ["12345678901234567890", "12345678901234567891"],  # or more digits than a number keeps
        ["$1", "€1"],  # amounts that cannot be compared
        ["USD 1", "EUR 1"],
        ["5 kg", "5 g"],
        ["12A", "13A", "14A"],  # a letter without a blank may belong to a code
        ["INV 12", "INV 13"],
        ["1,2,3", "4,5,6"],  # lists
        ["12%", "0.5"],
        ["", None, "NA"],
    ],
)
def test_texts_stay_texts(texts):
    assert recognise(column(*texts))[0].form == "text"


@pytest.mark.parametrize("word", ["ERR", "-", "#DIV/0!", "°C", "Total", "n.a.", "<0.5"])
def test_a_few_words_among_numbers_are_named_and_count_as_missing(word):
    texts = [str(i) for i in range(40)]
    texts[17] = word
    writing, strays = recognise(column(*texts))
    assert writing.form == "number"
    assert [(one.text, one.count, one.row) for one in strays] == [(word, 1, 17)]
    values, unreadable = parse(column(*texts), writing, Conventions())
    assert np.flatnonzero(np.isnan(values)).tolist() == np.flatnonzero(unreadable).tolist() == [17]


def test_a_planted_number_stays_a_number_beside_a_dash():
    texts = [*map(str, range(883)), "9999", "-"]
    assert np.nanmax(read(*texts)[1]) == 9999


@pytest.mark.parametrize("null", ["NA", " NA", "nan", "NULL", "?", "#N/A", r"\N", ""])
def test_usual_spellings_of_nothing_are_missing_and_no_strays(null):
    writing, strays = recognise(column("1", null, "2"))
    assert (writing.form, strays) == ("number", [])
    assert np.isnan(parse(column("1", null, "2"), writing, Conventions())[0][1])


def test_what_a_user_says_decides():
    assert read("1,234", "2,345")[1] == [1234, 2345]
    assert read("1,234", "2,345")[0].ambiguous
    assert read("1,234", "2,345", decimal=",")[1] == [1.234, 2.345]
    assert recognise(column("1,234"), decimal_comma=True)[0].decimal == ","
    assert read("1.234", "2.345")[1] == [1.234, 2.345]
    assert read("1.234", "2.345", decimal=",")[1] == [1234, 2345]
    assert read("1", "x1", "2", null=("x1",))[1][::2] == [1, 2]
    assert read("01/02/2025")[1] == [dt.datetime(2025, 1, 2)]
    assert read("01/02/2025", day_first=True)[1] == [dt.datetime(2025, 2, 1)]
    for wrong in ({"decimal": ";"}, {"thousands": "x"}, {"decimal": ",", "thousands": ","}, {"infinity": "yes"}):
        with pytest.raises(InputError):
            Conventions(**wrong)


@pytest.mark.parametrize(
    ("text", "order", "moment"),
    [
        ("2025-12-31", "ymd", "2025-12-31"),
        ("2025/1/5", "ymd", "2025-01-05"),
        ("2025-12-31T23:59:59.123456Z", "ymd", "2025-12-31T23:59:59.123456"),
        ("2025-12-31 23:59:59,5", "ymd", "2025-12-31T23:59:59.5"),
        ("2025-12-31T00:30:00+02:00", "ymd", "2025-12-30T22:30:00"),
        ("31.12.2025", "dmy", "2025-12-31"),
        ("1.2.25", "dmy", "2025-02-01"),
        ("1.2.85 07:05", "dmy", "1985-02-01T07:05"),
        ("12/31/2025 5:30 PM", "mdy", "2025-12-31T17:30"),
        ("12/31/2025 12:00 am", "mdy", "2025-12-31T00:00"),
        ("5-Jan-2024", "ymd", "2024-01-05"),
        ("Jan 5, 2024", "ymd", "2024-01-05"),
    ],
)
def test_dates_as_people_write_them(text, order, moment):
    assert moments_of([text], order)[0] == np.datetime64(moment, "us")


def test_a_year_at_the_beginning_is_one_beside_other_dates():
    assert read("13.2.2025", "2025-02-03")[0] == Writing("date", order="dmy")
    assert read("2025-02-03", "2025-02-04")[0] == Writing("date")


@pytest.mark.parametrize(
    "text", ["2025-02-30", "31.13.2025", "2025-12", "13:00", "12/31/2025 13:00 PM", "1.2.3.2025", "99 Foo 2024", ""]
)
def test_what_is_no_date_is_none(text):
    for order in ("ymd", "dmy", "mdy"):
        assert np.isnat(moments_of([text, "2025-01-01"], order)[0])


@pytest.mark.parametrize(
    "text", ["2024-01-01", "2024-01-01T10", "2024-01-01 10:30", "0000-01-01", "2024-01-01T10:00:00.5"]
)
@pytest.mark.parametrize("company", ["31 Dec 2025", "2025-12-31"])
def test_whether_a_text_is_a_date_does_not_depend_on_its_company(text, company):
    alone, beside = moments_of([text], "ymd"), moments_of([text, company], "ymd")
    np.testing.assert_array_equal(beside[:1], alone)


def test_the_order_of_day_and_month_is_what_the_values_allow():
    assert read("13/02/2025", "03/04/2025")[0].order == "dmy"
    assert read("02/13/2025", "03/04/2025")[0].order == "mdy"
    doubtful = read("02/03/2025", "03/04/2025")[0]
    assert (doubtful.order, doubtful.ambiguous) == ("mdy", True)
    assert read("02.03.2025", "03.04.2025")[0].order == "dmy"
    assert not read("02.03.2025", "03.04.2025")[0].ambiguous


def test_one_column_decides_what_a_comma_is_for_the_others():
    table = typed(pa.table({"sure": ["0,5", "1,25"], "doubtful": ["1,234", "2,345"]}))
    assert table["doubtful"].to_pylist() == [1.234, 2.345]


def test_codes_stay_texts_where_a_comma_is_said_to_be_the_decimal_sign():
    assert recognise(column("01067", "20095"), Conventions(decimal=","))[0].form == "text"


def test_points_group_digits_where_other_columns_have_a_decimal_comma():
    table = typed(pa.table({"sure": ["0,5", "1,25"], "people": ["814", "1.511"], "plain": ["0.5", "7"]}))
    assert table["people"].to_pylist() == [814, 1511]
    assert table["plain"].to_pylist() == [0.5, 7]
    assert "--decimal ." in recognise(column("814", "1.511"), decimal_comma=True)[0].in_words()


def test_points_group_digits_where_somebody_says_so():
    assert read("814", "1.511", thousands=".")[1] == [814, 1511]
    assert recognise(column("814", "7"), Conventions(thousands="."))[0].form == "number"


def test_points_that_may_group_digits_are_told():
    assert read("814", "1.511")[0].in_words() == "(no value decides; --thousands . if it is one)"
    for plain in (("1.511", "1.814"), ("814", "1.51", "1.511"), ("814", "0.511"), ("814", "7"), ("1814", "1.511")):
        assert not read(*plain)[0].ambiguous, plain


def test_one_column_decides_what_a_dot_is_for_the_others():
    table = typed(pa.table({"sure": ["0,5", "1,25"], "thousands": ["1.234", "2.345"], "plain": ["1.5", "2.345"]}))
    assert table["thousands"].to_pylist() == [1234, 2345]
    assert table["plain"].to_pylist() == [1.5, 2.345]
    found = recognise(column("1.234", "2.345"), decimal_comma=True)[0]
    assert found.in_words() == "decimal ',', thousands '.' (no value decides; --decimal . if it is one)"


def test_thousands_that_a_user_names_are_such_where_all_values_would_be_numbers_without():
    assert read("1.234", "5", thousands=".")[1] == [1234, 5]
    assert read("1.234", "5")[1] == [1.234, 5]


@pytest.mark.parametrize("rows", [slice(None), slice(None, None, -1)])
def test_digits_are_names_wherever_their_zeros_stand(rows):
    codes = [f"{i:05d}" for i in range(9_000, 13_000)]
    assert recognise(column(*codes[rows]))[0].form == "text"
    assert recognise(column(*[*codes, "0", "123456"][rows]))[0].form == "number"


@pytest.mark.parametrize(("many", "form"), [(1, "number"), (5, "number"), (20, "text")])
def test_few_numbers_longer_than_exact_ones_are_large_and_no_names(many, form):
    texts = ["9999999999999999"] * many + [str(i) for i in range(80)]
    assert recognise(column(*texts))[0].form == form
    assert recognise(column("1,234.5", *texts))[0].form == form  # of which the thorough look must say the same


@pytest.mark.parametrize(
    ("training", "later", "values"),
    [
        (["5%", "6%"], ["5%", "5", "$5", "€5"], [5, 5, None, None]),
        (["$5", "$6"], ["$5", "5", "€5", "5%"], [5, 5, None, None]),
        (["5", "6"], ["5", "$5", "5%"], [5, 5, None]),
    ],
)
def test_a_number_beside_another_sign_than_in_training_is_none(training, later, values):
    writing = recognise(column(*training))[0]
    found, unreadable = parse(column(*later), writing, Conventions())
    assert [None if gone else value for value, gone in zip(found, unreadable, strict=True)] == values
    assert np.isnan(found[unreadable]).all()


def test_a_typed_table():
    table = pa.table({"n": ["1", None], "x": ["1.0", "2"], "b": ["true", "False"], "day": ["1.2.2025", "13.2.2025"],
                      "word": ["a", "NA"], "number": [1, 2]})  # fmt: skip
    found = typed(table)
    assert [str(kind) for kind in found.schema.types] == [
        "int64", "double", "bool", "timestamp[us]", "string", "int64",
    ]  # fmt: skip
    assert found["word"].to_pylist() == ["a", None]


def test_what_was_said_travels_with_a_table():
    said = Conventions(decimal=",", null=("x",), strict=True)
    assert marks(marked(pa.table({"x": ["1"]}), said, first=9).slice(0, 1).schema) == (said, 9)
    assert marks(pa.table({"x": ["1"]}).schema) == (Conventions(), 0)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=4, max_size=30),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (".", "")]),
    st.sampled_from(["", "$", "€"]),
)
def test_whatever_way_numbers_are_written_they_are_read_back(numbers, way, sign):
    decimal, thousands = way
    numbers = [round(number, 3) for number in numbers if abs(number) < 1e12] + [0.5, 1234567.25]
    swap = str.maketrans({",": thousands, ".": decimal})
    texts = [f"{number:,.3f}".translate(swap) + sign for number in numbers]
    writing, values = read(*texts)
    assert (writing.decimal, writing.thousands) == way or thousands == ""
    assert values == pytest.approx(numbers)
