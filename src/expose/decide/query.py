"""Which rows to look at next: few, suspicious, and most of them speaking for many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError


def choose_queries(
    scores: NDArray[np.float64], relatives: NDArray[np.int64], known: NDArray[np.int8], k: int
) -> NDArray[np.int64]:
    """Choose ``k`` unlabelled rows to be labelled: most speak for many, some are odd.

    A row covers itself, its nearest rows, and those that it is nearest to; labelled rows cover theirs already. The
    weight of a row is its score's rank. Rows are taken one after the other. Two of three are those that add most, the
    greedy rule for covering (Nemhauser et al., "An Analysis of Approximations for Maximizing Submodular Set Functions",
    1978): they find groups. Every third has the highest score of what is not covered yet. Those that cover most are
    hardly ever single anomalies, and whoever answers wants to find some.

    The aim, a few diverse rows that one person can label, is that of Li, Qiu, Kloft, Smyth, Mandt and Rudolph, "Deep
    Anomaly Detection under Labeling Budget Constraints", ICML 2023; they draw rows that lie far from each other, which
    on contaminated tables are mostly single odd rows (docs/few-labels.md).

    Parameters
    ----------
    scores : array of shape (n,)
        Anomaly scores, higher = more anomalous.
    relatives : array of shape (n, K)
        Numbers of the nearest rows of each row, itself left out.
    known : array of shape (n,)
        1 anomaly, 0 normal, -1 unlabelled.
    k : int
        From 1 to the number of unlabelled rows.

    Returns
    -------
    array of shape (k,)
        Row numbers, in the order in which to look at them.

    Raises
    ------
    InputError
        If there are fewer unlabelled rows.

    Examples
    --------
    >>> import numpy as np
    >>> relatives = np.array([[1], [0], [3], [2]])
    >>> choose_queries(np.array([1.0, 2.0, 3.0, 4.0]), relatives, np.array([-1, -1, -1, -1]), k=2).tolist()
    [2, 0]
    """
    n, free = len(scores), known == -1
    if not 1 <= k <= free.sum():
        raise InputError(f"k must be from 1 to the number of unlabelled rows, {int(free.sum())} here; got {k}.")
    covers = np.eye(n, dtype=bool)
    covers[np.arange(n)[:, None], relatives] = True
    covers |= covers.T
    weight = np.argsort(np.argsort(scores, kind="stable"), kind="stable") + 1.0  # (n,), from 1 to n
    weight[covers[~free].any(axis=0)] = 0.0
    chosen = np.empty(k, dtype=np.int64)
    for place in range(k):
        gain = np.where(free, weight if place % 3 == 2 else covers @ weight, -1.0)
        if gain.max() <= 0:  # all is covered: from now on by score
            order = np.lexsort((-scores, ~free))
            chosen[place:] = order[: k - place]
            break
        chosen[place] = best = int(gain.argmax())
        free = free & (np.arange(n) != best)
        weight[covers[best]] = 0.0
    return chosen
