"""What makes samples as anomalous as they are: one signature for columns, pixels and time steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expose.explain.attribution import attribute, most_anomalous_parts
from expose.model import Fitted
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

    See `expose.explain.attribution` for how. It compares with typical training parts that the model keeps, so one
    sample is explained as well as many, up to the number of typical parts averaged over: 16 for few, 4 for thousands.
    Some 100 scores are computed for each of 1,000 samples, more where they are fewer.
    """
    return explain_parts(scorer.fitted, scorer.encode(X))


def explain_parts(fitted: Fitted, parts: NDArray[np.float32]) -> Explanation:
    """The same for encoded samples, ``(n, D)`` or ``(n, P, D)``; of P parts the most anomalous is explained."""
    rows = most_anomalous_parts(fitted.scores, parts)
    groups = fitted.encoder.groups
    found = attribute(fitted.scores, rows, fitted.typical, groups)
    effects = np.zeros((len(rows), len(groups)))
    np.put_along_axis(effects, found.columns, found.effects, axis=1)
    return Explanation(tuple(name for name, _ in groups), effects, found.excess)
