"""Lines that arrive on a pipe: each is a row when it has ended, and one that is none harms no other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expose.errors import DataWarning, InputError
from expose.files.arriving import Incoming, Unreadable, as_lines, why_not
from expose.files.dialect import Dialect


def anything(names: Sequence[str]) -> None:
    """All columns are wanted."""


def only(*wanted: str) -> Any:
    """These are."""

    def check(names: Sequence[str]) -> None:
        if lost := set(wanted) - set(names):
            raise InputError(f"not there: {lost}")

    return check


def pieces(*chunks: bytes, end: bool = True, **said: Any) -> list[Any]:
    incoming = Incoming(said.pop("dialect", Dialect()), said.pop("check", anything), **said)
    found = [one for chunk in chunks for one in incoming.take(chunk)]
    return found + (list(incoming.take(b"", end=True)) if end else [])


def rows(found: Sequence[Any]) -> list[Any]:
    """Values of rows; of a line that is none its number."""
    return [
        one
        for piece in found
        for one in ([piece.line] if isinstance(piece, Unreadable) else [[*row.values()] for row in piece.to_pylist()])
    ]


def test_a_line_is_a_row_as_soon_as_it_has_ended() -> None:
    incoming = Incoming(Dialect(), anything)
    assert rows(incoming.take(b"a,b\n")) == []
    assert rows(incoming.take(b"1,")) == []
    assert incoming.begun == b"1,"
    assert rows(incoming.take(b"2\n3,4\n5")) == [["1", "2"], ["3", "4"]]
    assert rows(incoming.take(b",6", end=True)) == [["5", "6"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_in_whatever_pieces(end: str, size: int) -> None:
    text = end.join(["\ufeffname;v", "Zoë;1,5", "", "'x';", ""]).encode()
    found = rows(pieces(*(text[start : start + size] for start in range(0, len(text), size))))
    assert found == [["Zoë", "1,5"], ["'x'", None]]


@given(st.lists(st.tuples(*[st.text("ab\"',\n é", max_size=6)] * 3), min_size=1, max_size=5), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_what_a_writer_of_csv_wrote_is_read(values: list[tuple[str, ...]], size: int) -> None:
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("x", "y", "z"), *values])
    text = file.getvalue().encode()
    found = pieces(*(text[start : start + size] for start in range(0, len(text), size)))
    if not any("\n" in cell for row in values for cell in row):  # else lines within may look like rows
        assert rows(found) == [[cell or None for cell in row] for row in values]


def test_a_value_may_hold_a_line_break() -> None:
    assert rows(pieces(b'a,b\n1,"two\nlines"\n', b"3,4\n")) == [["1", "two\nlines"], ["3", "4"]]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"1", "expected 2 values as in the header, got 1"),
        (b"1,2,3", "expected 2 values as in the header, got 3"),
        (b'1,"2', "a quote opens there that does not close"),
        (b'1,"2"x', "cannot be read"),
        (b"1,\xff", "invalid start byte"),
        (b"1,\x00", "a zero byte"),
    ],
)
def test_a_line_that_is_no_row_is_named_and_the_next_is_read(bad: bytes, reason: str) -> None:
    found = pieces(b"a,b\n5,6\n", bad + b"\n", b"7,8\n", b"9,9\n")
    assert rows(found) == [["5", "6"], 3, ["7", "8"], ["9", "9"]]
    assert reason in next(one.reason for one in found if isinstance(one, Unreadable))


def test_a_quote_that_never_closes_holds_nothing_up_for_long() -> None:
    text = b"".join(b"t%d\n" % row for row in range(150))
    assert rows(pieces(b'text\n"open\n', text, end=False)) == [2, *([f"t{row}"] for row in range(150))]


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expose.files.arriving.LONGEST", 100)
    found = pieces(b"a,b\n1,2\n", b"x" * 300, b"x\n3,4\n")
    assert rows(found) == [["1", "2"], 3, 3, ["3", "4"]]


def test_the_header_may_come_again() -> None:
    with pytest.warns(DataWarning, match="1 line\\(s\\) repeat the header: left out"):
        assert rows(pieces(b"a,b\n1,2\na,b\n3,4\n")) == [["1", "2"], ["3", "4"]]


def test_comments_separators_and_lines_at_the_top() -> None:
    assert rows(pieces(b"# of a sensor\na;b\n", b"1;2\n# more\n3;4\n")) == [["1", "2"], ["3", "4"]]
    assert rows(pieces(b"sep=;\na;b\n1;2\n")) == [["1", "2"]]
    assert rows(pieces(b"junk\na,b\n1,2\n", dialect=Dialect(skip_lines=1))) == [["1", "2"]]
    assert rows(pieces(b"1,2\n3,4\n", dialect=Dialect(header=False))) == [["1", "2"], ["3", "4"]]
    assert rows(pieces("ä\n1\n".encode("latin-1"), dialect=Dialect(encoding="latin-1"))) == [["1"]]


def test_a_first_row_that_is_none_spoils_no_header() -> None:
    assert rows(pieces(b"a,b,c\nnonsense\n1,2,3\n4,5,6\n", check=only("a", "b", "c"))) == [
        2,
        ["1", "2", "3"],
        list("456"),
    ]


def test_columns_that_are_not_wanted_end_it() -> None:
    with pytest.raises(InputError, match="not there"):
        pieces(b"a,b\n1,2\n", check=only("c"))
    with pytest.raises(InputError, match="looks like HTML"):
        pieces(b"<html>\n")


def test_objects_of_json() -> None:
    found = pieces(b'{"t": 1, "v": {"x": 1.50}}\n', b'\n{"v": {"x": null}, "t": "2"}\n{"t":\n[1]\n{"t": 3, "v.x": 1}\n')
    assert rows(found) == [["1", "1.50"], ["2", None], 4, 5, ["3", "1"]]


def test_objects_that_lack_a_column_or_have_one_more_are_told() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = pieces(b'{"t": 1, "x": 2}\n{"t": 2, "z": 5}\n', wanted=("x", "y"))
    assert rows(found) == [["1", "2", None], ["2", None, None]]
    said = " ".join(str(one.message) for one in told)
    assert "lack columns, which count as missing ('y')" in said
    assert "hold keys that the first one had not: left out ('z')" in said


def test_each_line_may_be_a_value() -> None:
    assert rows(pieces(b"a, b\n\n", b'"c', lines=True)) == [["a, b"], [None], ['"c']]


def test_it_goes_on_after_a_break() -> None:
    first = Incoming(Dialect(), anything)
    assert rows(first.take(b"# x\na;b\n1;2\n3;")) == [["1", "2"]]
    rest = b"4\n5;6\n"
    second = Incoming(Dialect(), anything, head=first.kept_head)
    assert not second.starts_anew(rest)
    assert rows(second.take(first.begun + rest)) == [["3", "4"], ["5", "6"]]
    third = Incoming(Dialect(), anything, head=first.kept_head)
    anew = b"# x\na;b\n5;6\n"
    assert third.starts_anew(anew)
    assert rows(third.take(anew)) == [["5", "6"]]


def test_json_goes_on_with_the_same_columns() -> None:
    first = Incoming(Dialect(), anything)
    list(first.take(b'{"t": 1, "x": 2}\n'))
    second = Incoming(Dialect(), anything, head=first.kept_head)
    assert rows(second.take(b'{"x": 5}\n')) == [[None, "5"]]


def test_what_has_no_lines_is_not_read_by_lines() -> None:
    assert why_not(b"\x1f\x8b..", Dialect()) == "it is packed or binary"
    assert why_not(b"  [{", Dialect()) == "it is one JSON list"
    assert why_not(b"a,b", Dialect(encoding="utf-16")) == "its encoding is utf-16"
    assert why_not(b"\xef\xbb\xbfa,b", Dialect(encoding="cp1252")) == ""


def test_answers() -> None:
    table = pa.table({"id": ["=1", None], "anomaly_score": [1.5, None], "is_anomaly": [True, None]})
    assert as_lines(table, "csv") == b'"=1",1.5,true\n,,\n'
    assert as_lines(table, "csv", spreadsheet_safe=True).startswith(b'"\'=1"')
    assert as_lines(table[:1], "json") == b'{"id": "=1", "anomaly_score": 1.5, "is_anomaly": true}\n'
