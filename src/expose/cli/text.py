"""Plain text for people: aligned tables, shares, row counts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any


def aligned(rows: Sequence[Mapping[str, Any]], indent: int = 2) -> list[str]:
    r"""Return the lines of a table, one per row and one of names above; every column as wide as it must be.

    Examples
    --------
    >>> print(*aligned([{"row": 7, "score": 1.5}, {"row": 12, "score": 0.25}]), sep="\n")
      row   score
        7   1.500
       12   0.250
    """
    if not rows:
        return []
    names = list(rows[0])
    cells = [names, *([cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return [
        " " * indent + "   ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells
    ]


def indented(text: str, by: int) -> list[str]:
    """Return text as lines of at most 90 characters, all indented alike."""
    return textwrap.wrap(text, 90, initial_indent=" " * by, subsequent_indent=" " * by)


def cell(value: Any) -> str:
    """Return one value as short text."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1e5 else f"{value:.3g}"
    return " ".join(str(value).split())[:40]


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage with the digits that matter.

    Examples
    --------
    >>> percent(0.0247), percent(0.000123), percent(0)
    ('2.5 %', '0.012 %', '0 %')
    """
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "row"), count(12345, "row")
    ('1 row', '12,345 rows')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
