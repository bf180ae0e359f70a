"""However a text table is written: it is read as its owner means it, or refused with the line and what helps."""

from __future__ import annotations

import csv
import io
import random
import re
import warnings

import pyarrow as pa
import pytest
from made import written

from expose.errors import InputError
from expose.files import Dialect, opened, read, scan

PLAIN = {"a": ["1", "4"], "b": ["2", "5"], "c": ["3", "6"]}
ROWS = "1,2,3\n" * 5


@pytest.fixture
def file(tmp_path):
    return lambda text: written(tmp_path / "d.csv", text)


# -------------------------------------------------------------------------------------------------- delimiters


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "~", ":", " ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found(file, delimiter, end):
    path = file(f"a,b,c{end}1,2,3{end}4,5,6{end}".replace(",", delimiter))
    assert read(path).to_pydict() == PLAIN


def test_line_ends_may_be_mixed(file):
    assert read(file("a,b,c\r\n1,2,3\n4,5,6\r")).to_pydict() == PLAIN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2,5\n4,5;5\n", {"a": ["1,5", "4,5"], "b": ["2,5", "5"]}),
        ("a b\n1,5 2,5\n4,5 5\n", {"a": ["1,5", "4,5"], "b": ["2,5", "5"]}),
        ("date time;v\n2024-01-01 10:00;1\n", {"date time": ["2024-01-01 10:00"], "v": ["1"]}),
        ("t,v\n10:00:00,1\n11:00:00,2\n", {"t": ["10:00:00", "11:00:00"], "v": ["1", "2"]}),
        ('a,b\n"x;y",1\n"z;w",2\n', {"a": ["x;y", "z;w"], "b": ["1", "2"]}),
        ('"day, hour";b\n1;2\n', {"day, hour": ["1"], "b": ["2"]}),
        ("name\nJohn Smith\nJane Doe\n", {"name": ["John Smith", "Jane Doe"]}),
        ("t\n10:00\n11:00\n", {"t": ["10:00", "11:00"]}),
        ("a b\nr1 1 2\nr2 3 4\n", {"index": ["r1", "r2"], "a": ["1", "3"], "b": ["2", "4"]}),
        ('id,t\n1,"say \\"hi\\", you"\n', {"id": ["1"], "t": ['say "hi", you']}),  # as databases dump it
        ('a, b\n1, "x, y"\n2, "z"\n', {"a": ["1", "2"], "b": ["x, y", "z"]}),
        ("a,p\n1,C:\\new\n", {"a": ["1"], "p": ["C:\\new"]}),
    ],
)
def test_what_else_delimits_is_left_alone(file, text, expected):
    assert read(file(text)).to_pydict() == expected


def test_a_line_may_say_the_delimiter(file):
    assert read(file("sep=;\na;b,c\n1;2,3\n")).to_pydict() == {"a": ["1"], "b,c": ["2,3"]}


@pytest.mark.parametrize("text", ["x\n1,5\n2,5\n", "comment\nhello, world\nfoo, bar\n", "comment\na, b, c\nd\n"])
def test_one_column_with_commas_is_refused_and_can_be_said(file, text):
    with pytest.raises(InputError, match=r"line 2: expected 1 value .*--delimiter"):
        read(file(text))
    lines = text.splitlines()
    assert read(file(text), dialect=Dialect(delimiter=";")).to_pydict() == {lines[0]: lines[1:]}


@pytest.mark.parametrize(
    ("said", "meant"), [("tab", "\t"), ("\\t", "\t"), ("space", " "), ("semicolon", ";"), ("#", "#")]
)
def test_a_delimiter_can_be_said(file, said, meant):
    assert read(file(f"a{meant}b\n1{meant}2\n"), dialect=Dialect(delimiter=said)).to_pydict() == {
        "a": ["1"],
        "b": ["2"],
    }


@pytest.mark.parametrize("given", [{"delimiter": "||"}, {"delimiter": ""}, {"delimiter": '"'}, {"skip_lines": -1}])
def test_what_cannot_be_said(given):
    with pytest.raises(InputError, match=f"{min(given)} must be"):
        Dialect(**given)


def test_only_what_was_said_is_kept():
    said = Dialect(header=False, comment="")
    assert said.given() == {"header": False, "comment": ""}
    assert Dialect(**said.given()) == said


# ------------------------------------------------------------------------------------- titles, comments, blanks


@pytest.mark.parametrize(
    "above",
    ["My export\n\n", "Account,DE12\nFrom,01.01.2024\n\n", "My export\n", "\n\n", "# made by me\n", "#\n# a, b\n\n"],
)
def test_lines_above_the_header_are_left_out(file, above):
    path = file(f"{above}a,b,c\n1,2,3\n\n4,5,6\n")
    assert read(path).to_pydict() == PLAIN
    titles, comments = len(re.findall("^[MAF]", above, re.MULTILINE)), "#" in above
    assert any(re.match(rf"{titles} lines? above the header", note) for note in opened(path).notes) == bool(titles)
    assert any("comments" in note for note in opened(path).notes) == comments


def test_titles_filled_up_to_the_width_of_a_row_are_left_out(file):
    path = file("Account DE12;;\nFrom 01.01.2024;;\na;b;c\n1;2;3\n4;5;6\n")  # as a spreadsheet writes them
    assert read(path).to_pydict() == PLAIN
    assert "2 lines above the header left out: 'Account DE12', 'From 01.01.2024'" in opened(path).notes
    assert read(file("a;;\n1;2;3\n4;5;6\n")).column_names == ["a", "column_2", "column_3"]  # names of which most lack


def test_rows_that_are_all_alike_are_no_header_below_titles(file):
    with pytest.raises(InputError, match=r"line 4: expected 1 value as in the header, got 3"):
        read(file("when\n\nsoon\na||b\na||b\n"))


def test_a_comment_may_hold_the_names(file):
    assert read(file("# a,b\n1.0,2.0\n")).to_pydict() == {"a": ["1.0"], "b": ["2.0"]}  # as NumPy writes it
    assert read(file("# a,b\nx,y\n1,2\n")).to_pydict() == {"x": ["1"], "y": ["2"]}


@pytest.mark.parametrize("comment", ["#id,color,shape", "# of May\n# id, color, shape"])
def test_names_in_a_comment_above_words_may_be_names_or_not(file, comment):
    words = "a,red,round\nb,blue,square\n"
    with pytest.raises(
        InputError, match=r"line \d: the names of the columns may stand there \('a', .*--header .*--comment"
    ):
        read(file(f"{comment}\n{words}"))
    assert read(file(f"{comment}\n{words}"), dialect=Dialect(header=True)).to_pydict() == {
        "a": ["b"], "red": ["blue"], "round": ["square"]
    }  # fmt: skip
    skipped = Dialect(comment="", skip_lines=comment.count("\n"))
    assert read(file(f"{comment}\n{words}"), dialect=skipped).num_rows == 2
    for clear in ("# by Smith, J., May\nid,n,shape\na,1,x\nb,2,y\n", "# by hand\nid,color,shape\na,red,x\n"):
        assert read(file(clear)).column_names[0] == "id"


def test_logs_of_zeek_and_of_web_servers(file):
    zeek = "#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tdur\n#types\ttime\tstring\tinterval\n"
    rows = "1.5\tCx\t-\n2.5\tCy\t0.5\n#close\t2024-01-01\n"
    assert read(file(zeek + rows)).to_pydict() == {"ts": ["1.5", "2.5"], "uid": ["Cx", "Cy"], "dur": [None, "0.5"]}
    web = "#Version: 1.0\n#Fields: time cs-method\n10:00:00 GET\n10:00:01 -\n"
    assert read(file(web)).to_pydict() == {"time": ["10:00:00", "10:00:01"], "cs-method": ["GET", None]}


def test_a_row_that_begins_like_a_comment_is_not_lost(file):
    assert read(file("tag,n\n#foo,1\n#bar,2\n"))["tag"].to_pylist() == ["#foo", "#bar"]
    both = file("# export\ntag,n\n#foo,1\nbar,2\n")
    with pytest.raises(InputError, match=r"line 3: begins with '#' as the comments.*--comment"):
        read(both)
    assert read(both, dialect=Dialect(comment="#"))["tag"].to_pylist() == ["bar"]
    assert read(both, dialect=Dialect(comment="", skip_lines=1))["tag"].to_pylist() == ["#foo", "bar"]


def test_a_comment_mark_inside_of_a_quoted_value_is_text(file):
    assert read(file('# x\na,b\n1,"x\n#y"\n'))["b"].to_pylist() == ["x\n#y"]


def test_lines_are_skipped_as_said(file):
    assert read(file("x,y,z\nq\na,b,c\n1,2,3\n4,5,6\n"), dialect=Dialect(skip_lines=2)).to_pydict() == PLAIN
    with pytest.raises(InputError, match="empty"):
        read(file("a\n1\n"), dialect=Dialect(skip_lines=5))


def test_blank_lines_are_no_rows_but_in_a_single_column(file):
    assert read(file("\na,b,c\n1,2,3\n  \n\n4,5,6\n\n")).to_pydict() == PLAIN
    assert read(file("a\tb\n\t\n")).num_rows == 1
    assert read(file("\na\n\n1\n\n"))["a"].to_pylist() == [None, "1", None]


# ----------------------------------------------------------------------------------------------------- header


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n", "1\n2\n", "1,,3\n4,5,6\n", "0,1,2\n3,4,5\n", "2024-01-01,1.5\n2024-01-02,1.7\n",
        "5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n4.7,3.2,other\n",
        "39, State-gov, 77516, Male\n50, Self-emp, 83311, Male\n38, State-gov, 215646, Male\n",
        "p,x,s\ne,x,s\np,b,s\ne,x,n\n", "a b\n1,2,3,4\n1,2,3,4\n",
    ],
)  # fmt: skip
def test_a_row_is_not_taken_for_the_header(file, text):
    with pytest.raises(InputError, match=r"line [12]: expected .*(--no-header|--skip-lines|--delimiter)"):
        read(file(text))


@pytest.mark.parametrize(
    "header",
    ["name,2019,2020,2021", ",0,1,2", "a,b,c,d", "Q1,Q2,Q3,Q4", "x 1,x 2,x 3,1", "a,1,b,2"],
)
def test_names_may_look_odd(file, header):
    names = header.split(",")
    expected = [name or "column_1" for name in names]
    assert read(file(f"{header}\nr1,1.5,2,3\nr2,2.5,3,4\n")).column_names == expected


def test_numbered_names_above_fractions_are_those_of_pandas(file):
    assert read(file("0,1,2\n1.5,2.5,3\n")).column_names == ["0", "1", "2"]


def test_the_header_can_be_said(file):
    text = "1,2,3\n4,5,6\n"
    assert read(file(text), dialect=Dialect(header=True)).to_pydict() == {"1": ["4"], "2": ["5"], "3": ["6"]}
    assert read(file(text), dialect=Dialect(header=False)).to_pydict() == {
        "x0": ["1", "4"], "x1": ["2", "5"], "x2": ["3", "6"],
    }  # fmt: skip


def test_repeated_names_are_refused(file):
    with pytest.raises(InputError, match=r"header repeats 'a'.*--no-header"):
        read(file("a,b,a\n1,2,3\n"))


@pytest.mark.parametrize(
    ("text", "names", "note"),
    [
        ("a,b,,\n1,2,,\n3,4,,\n", ["a", "b"], "2 empty columns without a name at the end left out"),
        ("a,b,\n1,2,\n", ["a", "b"], "1 empty column without a name at the end left out"),
        ("a,b\n1,2,\n3,4,\n", ["a", "b"], "1 empty column without a name at the end left out"),
        ("a,b,\n1,2\n", ["a", "b"], None),
        ("a,b,\n1,2,\n3,4,5\n", ["a", "b", "column_3"], "columns without a name are called 'column_3'"),
        ("a,,c\n1,2,3\n", ["a", "column_2", "c"], "columns without a name are called 'column_2'"),
        ("a,b\n1,2,3\n4,5,6\n", ["index", "a", "b"], "the header names one column less"),
    ],
)
def test_names_that_lack(file, text, names, note):
    found = opened(file(text))
    assert found.table().column_names == names
    assert note is None or any(note in one for one in found.notes)


def test_decimal_commas_are_not_taken_for_names_of_rows(file):
    with pytest.raises(InputError, match=r"line 2: expected 2 values as in the header, got 3: '1,5,x'"):
        read(file("a,b\n1,5,x\n2,5,y\n1,7,z\n"))


def test_a_value_that_comes_late_in_a_column_without_a_name_is_not_lost(file):
    text = "a,b,\n" + "1,2,\n" * 30_000 + "1,2,x\n"
    with pytest.raises(InputError, match=r"line 30002: column 3 has no name .* holds 'x'"):
        read(file(text))


# -------------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,2,3\n4,5\n", r"line 3: expected 3 values as in the header, got 2: '4,5'. Complete the row"),
        ("1,2,3\n4,5,6,7\n", r"line 3: expected 3 values as in the header, got 4: '4,5,6,7'. Quote values"),
        ("1,2,3\nTotal,12\n", r"line 3: .*got 2: 'Total,12'. .*delete it if it is none, such as a total"),
        (ROWS + '"4,5,6\n' + ROWS, r"line 7: a quote opens there that never closes: '\"4,5,6'"),
        (ROWS + '1,"2,3\n' + ROWS * 20 + '4,5",6\n' + ROWS, r"lines 7 to 108: the quote that opens in line 7"),
        ('1,"2,3\n' + ROWS * 20 + '4,5",6\n' + ROWS, r"lines 2 to 103: the quote that opens in line 2"),
        ('1,2,3\n1,"2,3\n4,5",6\n', r"lines 3 to 4: the quote that opens in line 3"),
        (ROWS + '"4,5,6\n' + ROWS + '7,8",9\n', r"lines 7 to 13: expected 3 values .*got 2.*opens in line 7"),
        ('1,"x"y,3\n', r"line 2: a quoted value ends before its cell does"),
        ("1,2,\0\n", r"zero bytes"),
        (ROWS * 30_000 + "1,\0,3\n", r"line 150002: holds a zero byte"),
    ],
)
def test_a_row_that_cannot_be_is_named(file, rows, message):
    path = file("a,b,c\n" + rows)
    with pytest.raises(InputError, match=message):
        read(path)
    with pytest.raises(InputError, match=message):
        list(scan(path, batch_rows=7))


@pytest.mark.parametrize(
    "value",
    ['5" pipe', "-", "two\nlines", "well, I think\nit is, really, fine", "a,b\nc", 'x"\n,', "\r\n", "#", "'", "\\"],
)
def test_values_of_any_kind_survive(file, value):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "t", "n"], ["a1", "some text", "3"], ["b2", value, "4"], ["c3", value, ""]])
    assert read(file(text.getvalue())).to_pydict() == {
        "id": ["a1", "b2", "c3"], "t": ["some text", value, value], "n": ["3", "4", None],
    }  # fmt: skip


def test_a_quote_in_a_plain_cell_is_text(file):
    assert read(file('a,b\n5" pipe,6"\n'))["a"].to_pylist() == ['5" pipe']


def test_long_values_are_read_up_to_a_limit(file, monkeypatch):
    assert len(read(file(f"a,b\n{'x' * 300_000},1\n"))["a"][0].as_py()) == 300_000
    monkeypatch.setattr("expose.files.delimited.LONGEST", 1_000)
    with pytest.raises(InputError, match=r"line 3: is longer than 1,000 characters"):
        read(file(f"a,b\n1,2\n{'x' * 3_000},1\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("many", [9, 140_000])
def test_places_are_those_of_the_file(file, end, many):
    above = f"# made by me{end}a,b{end}" + f"1,2{end}" * many
    with pytest.raises(InputError, match=rf"line {many + 3}: expected 2 values"):
        read(file(f"{above}1,2,3{end}"))
    with pytest.raises(InputError, match=rf"line {many + 3}: byte 0xe9 is not valid UTF-8"):
        read(file(f"{above}1,é{end}".encode("latin-1")))


def test_byte_order_marks_say_the_encoding(file):
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        path = file("a;n\n1;José\n".encode(encoding))
        for said in (None, encoding, "utf-8"):
            assert read(path, dialect=Dialect(encoding=said)).to_pydict() == {"a": ["1"], "n": ["José"]}


def test_headers_longer_than_what_is_looked_at_first(file):
    names = [f"column number {place}" for place in range(20_000)]
    assert read(file(",".join(names) + "\n" + ",".join(["1"] * 20_000) + "\n")).column_names == names


# ------------------------------------------------------------------------------------------- chance and malice

DELIMITERS = (",", ";", "\t", "|", "~", " ", ":")


def some_cell(rng: random.Random, delimiter: str) -> str:
    numbers = [f"{rng.uniform(-99, 99):.{rng.randint(0, 3)}f}", str(rng.randint(0, 9))] * 3
    words = ["red", "New York", "id7", "2024-01-02", "10:30", '5" pipe', "#1", "-", "", 'say "hi"', "two\nlines"]
    return rng.choice([*numbers, *words, f"a{delimiter}b"])


def some_text(rng: random.Random, delimiter: str) -> str:
    text = io.StringIO(newline="")
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    out = csv.writer(text, delimiter=delimiter, lineterminator=rng.choice(["\n", "\r\n", "\r"]), quoting=quoting)
    width = rng.randint(1, 6)
    out.writerow([f"c{place}" for place in range(width)])
    out.writerows([some_cell(rng, delimiter) for _ in range(width)] for _ in range(rng.randint(1, 30)))
    return damaged(rng, text.getvalue(), delimiter)


def damaged(rng: random.Random, text: str, delimiter: str) -> str:
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(text) + 1)
        text = rng.choice(
            [
                text[:at] + rng.choice(['"', '"', '"', delimiter, "\n", "\r", "#", "="]) + text[at:],
                text[:at] + text[at + 1 :],
                text[:at],
                f"Title of it\n\n{text}",
                f"# made by me\n{text}",
                f"{text}Total{delimiter}5\n",
            ]
        )
    return text


def left_out(text: str, notes: tuple[str, ...]) -> int:
    """How many lines are left out by the notes."""
    found = sum(int(said[1]) for note in notes if (said := re.match(r"(\d+) lines? above", note)))
    if any("comments" in note for note in notes):
        found += sum(line.startswith("#") for line in io.StringIO(text, newline=""))
    return found - any("from a comment" in note for note in notes)


def test_never_fewer_rows_than_the_reference_without_an_error(file):
    rng, outcomes = random.Random(0), {"read": 0, "refused": 0}
    for _ in range(2_000):
        delimiter = rng.choice(DELIMITERS)
        text = some_text(rng, delimiter)
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        try:
            tables = opened(file(text), dialect=rng.choice([Dialect(), Dialect(delimiter=delimiter)]))
            table = tables.table()
        except InputError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        filled = [cells for cells in records if any(cell.strip(" ") for cell in cells) or len(cells) > 1]
        assert table.num_rows >= len(filled) - 1 - left_out(text, tables.notes), repr(text)
    assert min(outcomes.values()) > 500


def test_nothing_is_said_of_what_is_plain(file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = opened(file("a,b,c\n1,2,3\n4,5,6\n"))
        assert (found.table().to_pydict(), found.notes) == (PLAIN, ())
        assert found.schema == pa.schema([(name, pa.string()) for name in "abc"])
