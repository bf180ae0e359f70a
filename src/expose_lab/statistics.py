"""Comparing contenders over many data sets, after Demsar 2006, on SciPy's tests.

Everywhere `matrix` is an ``(n, k)`` array with one finite number for each of n data sets and k contenders, and higher
is better; hand in the negative of a metric of which less is better. What does not fit raises `InputError`.

References
----------
J. Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7:1-30, 2006.
S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6:65-70, 1979.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]


class Friedman(NamedTuple):
    """Friedman's statistic, and Iman and Davenport's sharper one made of it, with their p-values."""

    chi_square: float
    p_chi_square: float
    f: float
    p_f: float


class Pairs(NamedTuple):
    """p-values of all pairs of contenders, each ``(k, k)``, symmetric, 1 on the diagonal."""

    p: Floats
    adjusted: Floats


def mean_ranks(matrix: ArrayLike) -> Floats:
    """Rank of each contender, averaged over the data sets: 1 is the best, ties share the average rank.

    Examples
    --------
    >>> mean_ranks([[0.9, 0.8, 0.7], [0.5, 0.5, 0.4]]).tolist()
    [1.25, 1.75, 3.0]
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(-checked(matrix, sets=1), axis=1).mean(axis=0), dtype=np.float64)


def friedman(matrix: ArrayLike) -> Friedman:
    """Test whether all contenders are alike; only if not, a look at pairs is worth while (Demsar 2006, section 3.2.2).

    Corrected for ties. Wants two data sets and three contenders; for two there is `wilcoxon_pairs`.

    Examples
    --------
    >>> round(friedman([[3, 2, 1], [3, 2, 1], [3, 2, 1], [3, 1, 2]]).chi_square, 3)
    6.5
    """
    from scipy.stats import f as f_distribution
    from scipy.stats import friedmanchisquare

    values = checked(matrix, sets=2, contenders=3)
    n, k = values.shape
    if np.all(values == values[:, :1]):
        return Friedman(0.0, 1.0, 0.0, 1.0)
    chi_square, p = map(float, friedmanchisquare(*values.T))
    rest = n * (k - 1) - chi_square
    f = (n - 1) * chi_square / rest if rest > 1e-9 else math.inf
    return Friedman(chi_square, p, f, float(f_distribution.sf(f, k - 1, (k - 1) * (n - 1))))


def critical_difference(k: int, n: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of k contenders on n data sets: mean ranks further apart differ significantly.

    Demsar 2006, table 5. `alpha` is the chance that any pair of k equal contenders is called different.

    Examples
    --------
    >>> round(critical_difference(4, 14), 2)  # the example of Demsar 2006, section 3.2.2
    1.25
    """
    from scipy.stats import studentized_range

    if k < 2 or n < 2 or not 0 < alpha < 1:
        raise InputError(
            f"Expected at least 2 contenders, 2 data sets and alpha in (0, 1); got k={k}, n={n}, alpha={alpha}."
        )
    q = float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def wilcoxon_pairs(matrix: ArrayLike) -> Pairs:
    """Wilcoxon's signed-rank test of each pair over the data sets, and Holm's correction over all pairs.

    Examples
    --------
    >>> better = [[0.1 * i + 0.01 * i, 0.1 * i] for i in range(1, 7)]
    >>> wilcoxon_pairs(better).p[0, 1].item()  # all six signs agree: 2 / 2**6
    0.03125
    """
    values = checked(matrix, sets=2)
    k = values.shape[1]
    above = np.triu_indices(k, 1)
    p = np.array([signed_rank(values[:, i] - values[:, j]) for i, j in zip(*above, strict=True)])
    full = [np.ones((k, k)), np.ones((k, k))]
    for square, found in zip(full, (p, holm(p)), strict=True):
        square[above] = found
        square.T[above] = found
    return Pairs(*full)


def signed_rank(differences: ArrayLike) -> float:
    """p-value of Wilcoxon's two-sided signed-rank test of ``(n,)`` differences, one for each data set.

    Differences of zero are left out, as Wilcoxon did. Exact for up to 50 others, else by the normal approximation; 1 if
    all are zero.

    Examples
    --------
    >>> signed_rank([-1.0, 2.0, 3.0, 4.0])  # 4 of 16 choices of signs are as one-sided
    0.25
    """
    from scipy.stats import wilcoxon

    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"differences must be a list of finite numbers; got {differences!r}.")
    return float(wilcoxon(values[values != 0]).pvalue) if values.any() else 1.0


def holm(p_values: ArrayLike) -> Floats:
    """p-values of one family adjusted by Holm 1979: below alpha where his procedure rejects at alpha.

    The smallest of m is multiplied by m, the next by m - 1 and so on; none may become smaller than one before it, or
    larger than 1.

    Examples
    --------
    >>> holm([0.04, 0.01, 0.03]).round(3).tolist()
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise InputError(f"p_values must be a list of numbers in [0, 1]; got {p_values!r}.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)))
    return adjusted


def win_tie_loss(matrix: ArrayLike, *, tie: float) -> NDArray[np.int64]:
    """On how many data sets each contender is better than, as good as and worse than each other one.

    Parameters
    ----------
    matrix : (n, k) array of float
    tie : float
        Differences up to this one are a tie, in the unit of the matrix; 0 counts equal numbers only.

    Returns
    -------
    (k, k, 3) array of int
        ``[i, j]`` holds the wins, ties and losses of i against j; their sum is n.

    Examples
    --------
    >>> win_tie_loss([[0.90, 0.80], [0.70, 0.71], [0.50, 0.60]], tie=0.01)[0, 1].tolist()
    [1, 1, 1]
    """
    values = checked(matrix, sets=1)
    if not 0 <= tie < math.inf:
        raise InputError(f"tie must be a difference of at least 0; got {tie!r}.")
    margin = tie + 1e-12  # 0.71 - 0.70 is a little more than 0.01 in floating point
    gaps = values[:, :, None] - values[:, None, :]  # (n, k, k)
    return np.stack([(gaps > margin).sum(0), (np.abs(gaps) <= margin).sum(0), (gaps < -margin).sum(0)], axis=-1)


def cliques(ranks: ArrayLike, different: ArrayLike) -> list[tuple[int, ...]]:
    """Groups for the bars of a critical-difference diagram: neighbors by rank of which no two differ significantly.

    Parameters
    ----------
    ranks : (k,) array of float
        Mean ranks.
    different : (k, k) array of bool
        Whether a pair differs: ``abs(ranks[:, None] - ranks) > critical_difference(k, n)``, or
        ``wilcoxon_pairs(matrix).adjusted < 0.05``.

    Returns
    -------
    list of tuple of int
        Contenders of each group, best first; groups of one and groups within others are left out.

    Examples
    --------
    >>> import numpy as np
    >>> ranks = np.array([1.0, 3.0, 1.8, 2.6])
    >>> cliques(ranks, abs(ranks[:, None] - ranks) > 1)
    [(0, 2), (2, 3), (3, 1)]
    """
    places, differ = np.asarray(ranks, dtype=np.float64), np.asarray(different, dtype=bool)
    if places.ndim != 1 or differ.shape != (places.size, places.size):
        raise InputError(f"Expected (k,) ranks and (k, k) differences; got {places.shape} and {differ.shape}.")
    order = np.argsort(places, kind="stable")
    found: list[tuple[int, ...]] = []
    reached = 0
    for first in range(order.size):
        end = first + 1
        while end < order.size and not differ[np.ix_(order[first : end + 1], order[first : end + 1])].any():
            end += 1
        if end - first > 1 and end > reached:
            found.append(tuple(map(int, order[first:end])))
        reached = max(reached, end)
    return found


def checked(matrix: ArrayLike, *, sets: int, contenders: int = 2) -> Floats:
    """Return the matrix as an array, if it is one that can be compared."""
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < sets or values.shape[1] < contenders:
        raise InputError(
            f"Expected a matrix of at least {sets} data sets by {contenders} contenders; got shape {values.shape}."
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"The value in row {row}, column {column} is {values[row, column]}, not a finite number. Leave out that "
            "data set or that contender, as `pivot` does."
        )
    return values
