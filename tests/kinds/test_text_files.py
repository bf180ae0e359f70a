"""Texts in files: a column of a table or the lines of a file, and what a text is made of."""

from __future__ import annotations

import pyarrow as pa
import pytest

from expose.errors import InputError
from expose.kinds import kind_named, kind_of_files
from expose.kinds.base import Reading
from expose.kinds.text_pieces import MOST, pieces_of

KIND = kind_named("text")
ROWS = "id,message,price,kind\n1,Where is my parcel?,5,ham\n2,,6,ham\n3,Where is my parcel?,7,spam\n4,Win now!,8,ham\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "messages.csv"
    path.write_text(ROWS)
    return str(path)


def test_a_column_is_read_with_what_names_and_labels_it_and_the_rest_is_told(table):
    batch = KIND.read([table], Reading(text="message", id=("id",), label="kind"))
    assert batch.samples.values == ("Where is my parcel?", "", "Where is my parcel?", "Win now!")
    assert batch.samples.n_missing == 1
    assert batch.ids.to_pydict() == {"id": ["1", "2", "3", "4"]}
    assert batch.label.to_pylist() == ["ham", "ham", "spam", "ham"]
    left, repeated = batch.notes
    assert left == "Not looked at: 'price', beside the texts in 'message'. --id NAME keeps one beside the score."
    assert repeated.startswith("1 of 4 texts are the same as an earlier one, most often, 2 times: 'Where is")
    assert KIND.measure(batch.samples) == "3 words at the median"


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        (Reading(text="mesage"), r"text: there is no column 'mesage'; .* Did you mean 'message'\?"),
        (
            Reading(text="price"),
            "'price' holds no texts, but values that read as a number, such as '5'",
        ),
        (Reading(text="message", label="message"), "only one role"),
        (Reading(text="message", ignore=("message",)), "only one role"),
        (Reading(text="message", id=("nr",)), "id: there is no column 'nr'"),
        (Reading(text="message", label="nr"), "label: there is no column 'nr'"),
        (Reading(), "Name the column that holds them, --text COLUMN; or, if each line is a text, --text lines"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(table, reading, says):
    with pytest.raises(InputError, match=says):
        KIND.read([table], reading)


@pytest.mark.parametrize("values", [["", ""], [" ", "NA"]])
def test_a_column_without_a_text_is_refused(tmp_path, values):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{value},1\n" for value in values))
    with pytest.raises(InputError, match="the column 'x' holds no text; all 2 are missing"):
        KIND.read([str(tmp_path / "a.csv")], Reading(text="x"))


def test_typed_columns_are_taken_as_they_are():
    words = pa.array(["so it goes", None, "so it goes"]).dictionary_encode()
    table = pa.table({"x": words, "n": [1, 2, 3], "big": pa.array(["a b", "c d", ""], pa.large_string())})
    assert KIND.split(table, Reading(text="x")).samples.values == ("so it goes", "", "so it goes")
    assert KIND.split(table, Reading(text="big", id=("n",))).ids["n"].to_pylist() == [1, 2, 3]
    with pytest.raises(InputError, match="'n' holds values of type int64, no texts"):
        KIND.split(table, Reading(text="n"))


def test_later_samples_need_no_more_than_their_texts(tmp_path, table):
    path = tmp_path / "new.csv"
    path.write_text("message\n42\n17\n")  # numbers, but nothing is learned from them
    later = Reading(text="message", id=("id",), label="kind", ignore=("price",), later=True)
    [batch] = KIND.scan([str(path)], later)
    assert (batch.samples.values, batch.ids, batch.label) == (("42", "17"), None, None)
    lines = tmp_path / "new.txt"
    lines.write_text("What is it that you want?\nIt is late, and we are tired.\n")
    assert len(KIND.read([str(lines)], later).samples) == 2
    assert KIND.read([table], Reading(text="lines")).samples.values[0] == "id,message,price,kind"


def test_files_of_prose_and_named_columns_are_texts_and_tables_are_not(tmp_path, table):
    prose, numbers = tmp_path / "prose.txt", tmp_path / "numbers.txt"
    prose.write_text("Are you coming tonight?\nNo, sorry, I have to work.\n")
    numbers.write_text("1 2 3\n4 5 6\n")
    assert kind_of_files([str(prose)]).name == "text"
    assert kind_of_files([str(numbers)]).name == kind_of_files([str(prose), str(numbers)]).name == "table"
    assert kind_of_files([table]).name == kind_of_files([str(tmp_path)]).name == "table"
    assert kind_of_files([table], Reading(text="message")).name == "text"


# ------------------------------------------------------------------------------------------------------ pieces


def test_a_word_that_comes_twice_is_left_out_twice():
    assert pieces_of("Free, FREE gift!") == {'"Free"': "gift!", '"gift"': "Free, FREE"}
    assert pieces_of("!!! ?") == {'"!!!"': "?", '"?"': "!!!"}
    assert pieces_of("") == pieces_of("  ") == {}


def test_long_texts_are_cut_into_sentences_or_stretches():
    sentences = [f"This is sentence number {n} of some." for n in range(5)]
    assert next(iter(pieces_of(" ".join(sentences)).values())) == " ".join(sentences[1:])
    many = pieces_of(" ".join(f"word{n}" for n in range(1000)))
    assert len(many) <= MOST
    assert all(len(name) < 50 for name in many)


def test_the_kind_leaves_out_each():
    names, without = KIND.without_each(KIND.samples(["one two"]), 0)
    assert (names, without.values) == (('"one"', '"two"'), ("two", "one"))
