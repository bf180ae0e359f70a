"""Auxiliary outliers from tables: what the rows have in common is broken, or left behind.

Every maker takes ``X``, an array (n_rows, d), a list of rows or a data frame of numbers, texts, dates and missing
values; ``n``, how many outliers to make, one for each row if None; and ``random_state``, a seed, a generator or None.
It returns ``n`` rows in the form of X: whole columns stay whole, and no integer leaves its type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from expose.errors import InputError
from expose.outliers.cells import Floats, Numbers, checked_table, distinct_rows, gathered, numbers_of, with_numbers
from expose.outliers.nearest import nearest, own_nearest
from expose.outliers.rows import Indices, Seed, count, passes

NEIGHBOURS = 10
TYPICAL = 0.95  # quantile of the rows' distances to their nearest rows that the margin is a multiple of
GROWTH, PUSHES = 1.3, 90  # of the step, where one was not enough


def shuffle_columns(X: Any, n: int | None = None, *, columns: int | None = None, random_state: Seed = None) -> Any:
    """Rows whose values come from different rows: each column keeps its distribution, dependence between them goes.

    Where columns do not depend on each other, such rows are normal: then this maker teaches nothing. Where n is a
    multiple of n_rows, each column holds exactly the values of X, that many times. A row can equal one of X, where
    columns repeat values; `check_overlap` tells.

    Parameters
    ----------
    columns : int or None
        How many columns of each row are exchanged, sampled for each row anew; None exchanges all. The fewer, the nearer
        to the data.

    Raises
    ------
    InputError
        When there are fewer than two rows or columns, or ``columns`` is not between 1 and d.

    Examples
    --------
    >>> X = np.array([[1, 10], [2, 20], [3, 30]])
    >>> made = shuffle_columns(X, random_state=0)
    >>> sorted(made[:, 0].tolist()), sorted(made[:, 1].tolist()), bool((made[:, 1] == 10 * made[:, 0]).any())
    ([1, 2, 3], [10, 20, 30], False)
    """
    X = checked_table(X)
    n_rows, d = X.shape
    chosen = d if columns is None else columns
    if n_rows < 2 or d < 2:
        raise InputError(f"shuffle_columns needs at least two rows and two columns; got {n_rows} and {d}.")
    if not 1 <= chosen <= d:
        raise InputError(f"columns must be between 1 and the {d} columns of X, or None; got {columns}.")
    n = count(n, n_rows)
    generator = np.random.default_rng(random_state)
    rounds = [_exchanged(n_rows, d, chosen, generator) for _ in range(-(-n // n_rows))]
    return gathered(X, np.concatenate(rounds)[:n])


def _exchanged(n_rows: int, d: int, columns: int, generator: np.random.Generator) -> Indices:
    """Which row each value comes from, (n_rows, d): in each column every row once."""
    source = np.repeat(generator.permutation(n_rows)[:, None], d, axis=1)
    moved = generator.random((n_rows, d)).argsort(1) < columns
    if columns == d:
        moved[:, 0] = False  # all columns are separated as well when one of them stays
    for j in range(d):
        rows = generator.permutation(np.flatnonzero(moved[:, j]))
        if len(rows) == 1:  # nobody to exchange with: some other row takes part
            rows = np.append(rows, (rows + generator.integers(1, n_rows)) % n_rows)
        source[rows, j] = source[np.roll(rows, 1), j]  # along a circle, so that none keeps its own
    return source


def uniform_box(X: Any, n: int | None = None, *, widen: float = 0.1, random_state: Seed = None) -> Any:
    """Rows spread evenly over the box that the columns span: numbers over their range, the rest over its values.

    A value is missing as often as in X.

    Parameters
    ----------
    widen : float, default=0.1
        By how much of its length each range grows on either side, at least 0.

    Raises
    ------
    InputError
        When X has no rows, or ``widen`` is negative.

    Examples
    --------
    >>> made = uniform_box([[0.0, 5.0], [10.0, 7.0]], 1000, widen=0.5, random_state=0)
    >>> made.min(0).tolist(), made.max(0).tolist()
    ([-5.0, 4.0], [15.0, 8.0])
    """
    if widen < 0:
        raise InputError(f"widen must be at least 0; got {widen}.")
    X = checked_table(X)
    n_rows, d = X.shape
    n = count(n, n_rows)
    generator = np.random.default_rng(random_state)
    numbers = numbers_of(X)
    rows = passes(n_rows, n, generator)
    source = np.repeat(rows[:, None], d, axis=1)
    for j in sorted(set(range(d)) - set(numbers.places.tolist())):
        source[:, j] = generator.choice(distinct_rows(X, j), n)
    made = gathered(X, source)
    if not len(numbers.places):
        return made
    low, high = np.nanmin(numbers.values, 0), np.nanmax(numbers.values, 0)
    sampled = generator.uniform(low - widen * (high - low), high + widen * (high - low), size=(n, len(low)))
    sampled[np.isnan(numbers.values[rows])] = np.nan
    return with_numbers(made, numbers.places, numbers.stored(sampled))


def extrapolate_rows(
    X: Any,
    n: int | None = None,
    *,
    away_from: str = "neighbours",
    margin: float = 1.0,
    random_state: Seed = None,
) -> Any:
    """Rows just beyond the boundary of the data: rows of X pushed away until they are far from every row of X.

    Each begins as a row of X and moves along a line, in columns scaled to unit standard deviation: away from the mean
    of its nearest rows, which leaves the data by the shortest way and fills holes between clusters too, or away from
    the median of all. It stops when no row of X is nearer than the margin. Only columns of numbers with more than two
    different values move; the others keep the values of their row, and what is missing stays missing.

    Parameters
    ----------
    away_from : {"neighbours", "centre"}
    margin : float, default=1.0
        The least distance from all rows of X, as a multiple of the distance that 95 % of the rows of X have to their
        nearest row at most.

    Raises
    ------
    InputError
        When there are fewer than two rows or no column that can move, when a parameter is out of range, or when an
        integer type ends before the margin.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> made = extrapolate_rows(X, 100, random_state=0)
    >>> gaps = np.linalg.norm(made[:, None] - X[None], axis=-1).min(1)
    >>> bool(gaps.min() > 0.1)
    True
    """
    if away_from not in ("neighbours", "centre"):
        raise InputError(f"away_from must be 'neighbours' or 'centre'; got {away_from!r}.")
    if not margin > 0:
        raise InputError(f"margin must be above 0; got {margin}.")
    X = checked_table(X)
    numbers = numbers_of(X).moving()
    if X.shape[0] < 2 or not len(numbers.places):
        raise InputError(
            "extrapolate_rows needs at least two rows and a column of numbers with more than two different values. "
            "For columns of categories use shuffle_columns."
        )
    generator = np.random.default_rng(random_state)
    rows = passes(X.shape[0], count(n, X.shape[0]), generator)
    values = _pushed(numbers, rows, away_from, margin, generator)
    return with_numbers(gathered(X, np.repeat(rows[:, None], X.shape[1], axis=1)), numbers.places, values)


def _pushed(numbers: Numbers, rows: Indices, away_from: str, margin: float, generator: np.random.Generator) -> Floats:
    """Values of the columns that move, (n, k), each row far enough from all."""
    spread = np.nanstd(numbers.values, 0)
    known = np.where(np.isnan(numbers.values), np.nanmedian(numbers.values, 0), numbers.values) / spread
    distances, places = own_nearest(known, NEIGHBOURS)
    least = margin * (float(np.quantile(distances[:, 0], TYPICAL)) or float(distances[:, 0].max()) or 1.0)
    away = known[rows] - (np.median(known, 0) if away_from == "centre" else known[places[rows]].mean(1))
    lost = np.linalg.norm(away, axis=1) == 0  # it lies in the middle of its neighbours: any way is as good
    away[lost] = generator.normal(size=(int(lost.sum()), away.shape[1]))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    steps = least * generator.uniform(1, 2, size=len(rows))
    missing = np.isnan(numbers.values[rows])
    inside = np.arange(len(rows))
    values: Floats = np.empty_like(away)
    for _ in range(PUSHES):
        values[inside] = numbers.stored((known[rows[inside]] + steps[inside, None] * away[inside]) * spread)
        inside = inside[nearest(values[inside] / spread, known)[0][:, 0] < least]
        if not len(inside):
            values[missing] = np.nan
            return values
        steps[inside] *= GROWTH
    raise InputError(
        f"{len(inside)} rows cannot be pushed beyond the data within the integer type of their columns. "
        "Give X as floating-point numbers."
    )


TABLE_MAKERS: dict[str, Callable[..., Any]] = {
    "shuffle_columns": shuffle_columns,
    "extrapolate_rows": extrapolate_rows,
    "uniform_box": uniform_box,
}
