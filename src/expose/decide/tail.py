"""The threshold that extreme values of the scores suggest."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from expose.decide.conformal import check_rate

Floats = NDArray[np.float64]
PEAKS = 0.1  # share of the scores that counts as the tail
FEWEST = 10  # of them


class Tail:
    """Flags scores so high that a score of the same tail exceeds them at ``rate`` only.

    Peaks over a threshold: by how much the highest tenth of the scores exceed its lower end is described by a
    generalised Pareto distribution (Balkema and de Haan, 1974; Pickands, 1975), as in Siffer et al., "Anomaly detection
    in streams with extreme value theory", KDD 2017. It reaches beyond the highest score seen, where a share cannot.
    Anomalies among the scores are part of that tail and make it longer: then less is flagged.

    Parameters
    ----------
    rate : float, default=0.01
        Share of false alarms, in (0, 0.1).

    Examples
    --------
    >>> scores = np.random.default_rng(0).exponential(size=10_000)
    >>> bool(abs(Tail(rate=0.001).fit(scores).threshold_ - np.log(1000)) < 0.5)
    True
    """

    def __init__(self, rate: float = 0.01) -> None:
        self.rate = rate

    def fit(self, scores: Floats) -> Self:
        """Fit the tail; of fewer than ten different values none can be read, and the threshold is the highest score."""
        check_rate("rate", self.rate, PEAKS)
        self.threshold_ = float(scores.max())
        start = float(np.quantile(scores, 1 - PEAKS))
        excess = scores[scores > start] - start
        if len(np.unique(excess)) < FEWEST:
            return self
        from scipy.stats import genpareto

        unit = float(excess.mean())
        shape, _, scale = genpareto.fit(excess / unit, floc=0)
        beyond = math.log(len(excess) / (self.rate * len(scores)))  # > 0, or the start is the threshold
        growth = beyond if abs(shape) < 1e-9 else math.expm1(min(shape * beyond, 700.0)) / shape
        self.threshold_ = start + unit * float(scale) * max(0.0, growth)
        return self

    def predict(self, scores: Floats) -> NDArray[np.bool_]:
        """Whether each score lies above the threshold."""
        return scores > self.threshold_
