"""What makes samples as anomalous as they are: one signature for columns, pixels and time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.explain.attribution import attribute
from expose.scoring import Scorer

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """Parts of the anomaly scores of n samples.

    Attributes
    ----------
    names : tuple of K str
        What is distinguished: the columns of a table.
    effects : (n, K) array of float
        Change of the anomaly score due to each, in its units; 0 for what was not examined.
    excess : (n,) array of float
        Anomaly score of each sample minus the mean score of typical training samples.
    """

    names: tuple[str, ...]
    effects: Floats
    excess: Floats

    def top(self, row: int, count: int = 3) -> list[tuple[str, float]]:
        """The names that make a sample most anomalous, with their share of its excess score."""
        best = np.argsort(-self.effects[row], kind="stable")[:count]
        excess = self.excess[row] if self.excess[row] > 0 else np.inf
        return [(self.names[k], float(max(self.effects[row, k], 0.0) / excess)) for k in best]


def explain(scorer: Scorer, X: Any) -> Explanation:
    """Attribute the anomaly score of each sample to the columns, or whatever the encoder distinguishes.

    See `expose.explain.attribution` for how.
    """
    fitted = scorer.fitted
    parts = scorer.encode(X)
    rows = parts if parts.ndim == 2 else parts.mean(axis=1)
    groups = fitted.encoder.groups
    found = attribute(fitted.scores, rows, fitted.typical, groups)
    effects = np.zeros((len(rows), len(groups)))
    np.put_along_axis(effects, found.columns, found.effects, axis=1)
    return Explanation(tuple(name for name, _ in groups), effects, found.excess)
