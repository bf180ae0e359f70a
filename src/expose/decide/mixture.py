"""The threshold between two groups of scores."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST = 200  # scores; of 100 clean ones, one set in five was found to be two groups
SEPARATION = 2.0  # Ashman's D, in standard deviations: below, two normal groups have one common hump
TRIES = 3  # starts of the iteration


class Mixture:
    """Flags scores that more likely belong to the upper of two groups than to the lower.

    Scores are described by one and by two normal distributions. Two count only if the Bayesian information criterion
    prefers them, if they are separate (Ashman, Bird and Zepf, Astronomical Journal 1994), and if the upper one is the
    smaller. Otherwise the scores are one group, and none of them is flagged. Scores are taken as they are: made
    symmetric first, by a power or a logarithm, the groups merged or normal rows were split.

    Examples
    --------
    >>> scores = np.concatenate([np.random.default_rng(0).normal(size=950), np.full(50, 9.0) + np.arange(50) / 50])
    >>> int(Mixture().fit(scores).predict(scores).sum())
    50
    """

    def fit(self, scores: Floats) -> Self:
        """Find the score where the two groups are equally likely; the highest score where there is one group."""
        self.threshold_ = float(scores.max())
        if len(scores) < FEWEST or np.ptp(scores) == 0:
            return self
        from sklearn.mixture import GaussianMixture

        centre, unit = scores.mean(), scores.std()
        standard = ((scores - centre) / unit)[:, None]  # (n, 1)
        one, two = (GaussianMixture(k, n_init=TRIES, random_state=0).fit(standard) for k in (1, 2))
        means = two.means_.ravel()
        lower, upper = np.argsort(means)
        distance = (means[upper] - means[lower]) / np.sqrt(two.covariances_.mean())
        if two.bic(standard) < one.bic(standard) and distance > SEPARATION and two.weights_[upper] < 0.5:
            places = np.linspace(means[lower], means[upper], 1001)[:, None]  # from one group's middle to the other's
            likely = two.predict_proba(places)[:, upper] > 0.5
            self.threshold_ = float(places[max(0, int(np.argmax(likely)) - 1), 0] * unit + centre)
        return self

    def predict(self, scores: Floats) -> NDArray[np.bool_]:
        """Whether each score lies above the threshold."""
        return scores > self.threshold_
