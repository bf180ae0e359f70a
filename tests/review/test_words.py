"""Texts with their telling words marked: cut at the right places, bounded, without what misleads."""

from __future__ import annotations

import pytest

from expose.kinds.text_pieces import pieces_of
from expose.review.words import LONGEST, marked


@pytest.mark.parametrize(
    ("text", "piece", "found"),
    [
        ("Win CASH! Win it now.", '"Win"', ["Win", "Win"]),
        ("a (cash) b", '"cash"', ["(cash)"]),
        ("one  two\n\tthree", '"two"', ["two"]),
        ("same same other", '"same"', ["same same"]),
        ("<script>alert(1)</script> x", '"script>alert(1)</script"', ["<script>alert(1)</script>"]),
        ("only", '"only"', ["only"]),
        (
            "Here it is. " * 12 + "Take the money now! " + "Here it is. " * 3,
            '"Take the money now!"',
            ["Take the money now!"],
        ),
    ],
)
def test_what_is_marked_is_what_a_text_was_left_without(text: str, piece: str, found: list[str]) -> None:
    pieces = marked(text, [(pieces_of(text)[piece], 0.5)])
    assert [words for words, share in pieces if share] == found
    assert "".join(words for words, _ in pieces) == text.replace("\t", " ")


def test_a_long_text_is_cut_and_controls_are_not_shown() -> None:
    pieces = marked("good " * 2_000, [("", 0.5)])
    assert len("".join(words for words, _ in pieces)) <= LONGEST + 1
    assert pieces[-1][0].endswith("…")
    assert "".join(words for words, _ in marked("a\0b \u202ec", [])) == "a b  c"
    assert marked("", []) == []
