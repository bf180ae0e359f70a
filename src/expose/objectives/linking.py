"""At which distance a row's cluster grows to a given share of all rows: single linkage, made robust to single rows.

Two rows are linked at their mutual reachability: the largest of their distance and both rows' distances to their near
neighbour (Campello, Moulavi and Sander, "Density-Based Clustering Based on Hierarchical Density Estimates", PAKDD
2013). Lone rows between two clusters do not join them, then. Where `Neighbours` uses it, a small cluster far from all
others is as odd as a lone row: its rows are joined with many others only across the gap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform


def joining_heights(distance: NDArray[np.float64], core: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """For each row, the linkage distance at which its cluster first holds a share of all rows.

    Parameters
    ----------
    distance : array of shape (n, n)
        Symmetric.
    core : array of shape (n,)
        Each row's distance to its near neighbour; no link of it is shorter.
    share : float in (0, 1]

    Examples
    --------
    >>> line = np.array([0.0, 1.0, 2.0, 3.0, 10.0, 11.0])
    >>> joining_heights(np.abs(line[:, None] - line), np.zeros(6), share=0.5)
    array([1., 1., 1., 1., 7., 7.])
    """
    n = len(distance)
    if n < 2:
        return np.zeros(n)
    reach = np.maximum(distance, core[:, None])
    np.maximum(reach, core, out=reach)
    merges = linkage(squareform(reach, checks=False), "single")  # (n - 1, 4): two clusters, height, size
    parent = np.full(2 * n - 1, 2 * n - 2)
    for side in (0, 1):
        parent[merges[:, side].astype(int)] = np.arange(n, 2 * n - 1)
    size = np.concatenate([np.ones(n), merges[:, 3]])
    height = np.concatenate([np.zeros(n), merges[:, 2]])
    enough = size >= max(2, np.ceil(share * n))
    for cluster in range(2 * n - 3, -1, -1):  # a parent's number is higher than its children's
        if not enough[cluster]:
            height[cluster] = height[parent[cluster]]
    return height[:n]
