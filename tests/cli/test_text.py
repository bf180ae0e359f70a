"""Text for people."""

from __future__ import annotations

import pytest

from expose.cli.reasons import in_words
from expose.cli.text import aligned, cell, count, indented, joined, percent


def test_columns_line_up() -> None:
    lines = aligned([{"id": "A7", "anomaly_score": 1.0}, {"id": "long name", "anomaly_score": 123.5}])
    assert len({len(line) for line in lines}) == 1
    assert lines[2].endswith("123.500")


def test_no_rows_no_lines() -> None:
    assert aligned([]) == []


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.0247, "2.5 %"), (0.25, "25.0 %"), (1, "100.0 %"), (0.00012, "0.012 %")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(1.23456, "1.235"), (1e9, "1e+09"), ("a\nb", "a b"), (None, "None")])
def test_cell(value: object, text: str) -> None:
    assert cell(value) == text


def test_long_text_is_cut() -> None:
    assert len(cell("x" * 100)) == 40


def test_count() -> None:
    assert (count(1, "row"), count(0, "row"), count(2000, "row")) == ("1 row", "0 rows", "2,000 rows")


def test_texts_stand_to_the_left_and_only_the_last_may_be_long() -> None:
    lines = aligned([{"id": "A7", "why": "x" * 80}, {"id": "long" * 20, "why": "amount"}])
    assert lines[0] == "  id" + " " * 41 + "why"
    assert [len(line) for line in lines[1:]] == [2 + 40 + 3 + 60, 2 + 40 + 3 + 6]


def test_a_number_and_its_sign_stay_on_one_line() -> None:
    lines = indented("about " * 3 + "1 % " * 40, 0, 4, 30)
    assert len(lines) > 5
    assert all(len(line) <= 30 for line in lines)
    assert not any(line.strip().startswith("%") for line in lines)


@pytest.mark.parametrize(("names", "text"), [([], ""), (["a"], "a"), (["x" * 90], "x" * 40)])
def test_names_in_one_line(names: list[str], text: str) -> None:
    assert joined(names) == text


def test_reasons_are_given_while_there_is_room() -> None:
    reasons = [{"column": "c" * 25, "value": None, "share": 0.5}, {"column": "d" * 25, "value": 1, "share": 0.2}]
    assert in_words(reasons) == "c" * 25 + " missing (50 %)"
    assert in_words(reasons[1:]) == "d" * 25 + " 1 (20 %)"
    assert in_words([]) == ""
