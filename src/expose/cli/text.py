"""Plain text for people: aligned tables, shares, row counts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST, LONGEST_LAST = 40, 60  # characters of a cell, and of one in the last column
WIDTH = 90


def aligned(rows: Sequence[Mapping[str, Any]], indent: int = 2) -> list[str]:
    r"""Return the lines of a table, one per row and one of names above; every column as wide as it must be.

    Texts stand to the left, all else to the right.

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
    columns = []
    for name in names:
        longest = LONGEST_LAST if name == names[-1] else LONGEST
        cells = [cell(name), *(cell(row[name], longest) for row in rows)]
        width = max(map(len, cells))
        text = all(isinstance(row[name], str) for row in rows)
        columns.append([one.ljust(width) if text else one.rjust(width) for one in cells])
    return [(" " * indent + "   ".join(line)).rstrip() for line in zip(*columns, strict=True)]


def indented(text: str, by: int, then: int | None = None, width: int = WIDTH) -> list[str]:
    """Return text as lines that are no wider, indented alike, or all but the first in another way."""
    later = " " * (by if then is None else then)
    lines = textwrap.TextWrapper(width, initial_indent=" " * by, subsequent_indent=later, break_on_hyphens=False)
    together = text.replace(" %", "\N{NO-BREAK SPACE}%")  # a number and its sign stay on one line
    return [line.replace("\N{NO-BREAK SPACE}%", " %") for line in lines.wrap(together)]


def joined(names: Sequence[str], longest: int = WIDTH - 28) -> str:
    """Return names as one line, as many as there is room for.

    Examples
    --------
    >>> joined(["a", "b"]), joined([f"column {n}" for n in range(100)], 30)
    ('a, b', 'column 0, column 1 and 98 more')
    """
    texts = [cell(name) for name in names]
    n_fit = next((n for n in range(1, len(texts)) if len(", ".join(texts[: n + 1])) > longest - 12), len(texts))
    more = f" and {len(texts) - n_fit:,} more" if n_fit < len(texts) else ""
    return ", ".join(texts[:n_fit]) + more


def cell(value: Any, longest: int = LONGEST) -> str:
    """Return one value as short text."""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1e5 else f"{value:.3g}"
    return " ".join(str(value).split())[:longest]


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
