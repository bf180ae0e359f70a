"""Text for people."""

from __future__ import annotations

import pytest

from expose.cli.text import aligned, cell, count, percent


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
