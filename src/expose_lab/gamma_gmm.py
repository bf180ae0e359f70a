"""The posterior of the share of anomalies by gamma-GMM: from the scores of ten detectors, without any label.

Scores of each detector are mapped to their logarithms and standardised. A Dirichlet-process mixture of Gaussians is
fitted to them (variational, at most 100 components; those of fewer than two rows are dropped). Components are ordered
by how high and how certain their scores are,

    r(k)  =  mean over the detectors of  E[ mean of k / (1 + standard deviation of k) ]

and component k, if all before it are, is anomalous with probability ``1 / (1 + exp(tau + delta r(k)))``. Two statements
settle delta and tau: no component is anomalous with probability 0.01, and more than 15 % of the rows are with
probability 0.01. The share is then, with the probability that exactly the first k components are anomalous, a draw of
the sum of their weights.

Source: Perini, Buerkner, Klami, "Estimating the Contamination Factor's Distribution in Unsupervised Anomaly
Detection", ICML 2023. Written from the paper; its autoencoder, one of ten detectors there, is left out, and the weights
are drawn from a Dirichlet distribution over the components that are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import beta, invwishart
from sklearn.mixture import BayesianGaussianMixture

from expose_lab.classical import pyod

Floats = NDArray[np.float64]
COMPONENTS, ITERATIONS, TRIALS = 100, 1_500, 3
CONCENTRATION, RIDGE = 0.01, 1e-4  # prior of the number of components; added to variances
FEWEST = 2  # rows of a component that is kept
NONE, HIGH, HIGH_SHARE = 0.01, 0.01, 0.15  # p_0, p_high, and the share that is high
DRAWS, STEEPEST, LARGEST = 1_000, 100.0, 0.5
DETECTORS = ("knn", "iforest", "lof", "ocsvm", "hbos", "loda", "copod", "ecod", "gmm", "kde")


class Component(NamedTuple):
    """How high the scores of its rows are, in draws, and how many rows there are, with the prior's part."""

    height: Floats  # (S,)
    weight: float


def gamma_posterior(X: Floats, seed: int) -> Floats:
    """Draws of the share of anomalies among rows ``(n, D)`` of standardised numbers.

    Parameters
    ----------
    X : array of shape (n, D)
    seed : int

    Returns
    -------
    array of shape (S,)
        In [0, 0.5].
    """
    scores = score_space(X, seed)
    for trial in range(TRIALS):
        found = components(scores, seed + trial)
        steepness, solved = calibrated([one.height.mean() for one in found], [one.weight for one in found])
        if solved:  # else by other components; the authors begin anew, too
            break
    return shares(found, steepness, np.random.default_rng(seed))


def score_space(X: Floats, seed: int) -> Floats:
    """Logarithms of the scores of ten detectors, of mean 0 and variance 1: ``(n, M)``."""
    return np.column_stack([standardised(scores_of(name, X, seed)) for name in DETECTORS])


def scores_of(name: str, X: Floats, seed: int) -> Floats:
    """Scores of the rows by a detector that was fitted on them."""
    parameters: dict[str, Any] = {"random_state": seed} if name in ("iforest", "loda", "gmm") else {}
    detector = pyod(name, {"knn": "KNN", "iforest": "IForest"}.get(name, name.upper()), **parameters)
    return np.asarray(detector.fit(X).decision_scores_, dtype=np.float64)


def standardised(scores: Floats) -> Floats:
    """Logarithms of how far scores lie above the least, of mean 0 and variance 1."""
    logs = np.log(np.nan_to_num(scores - scores.min(), posinf=1e12) + 0.01)
    return np.asarray((logs - logs.mean()) / max(float(logs.std()), 1e-12))


def components(scores: Floats, seed: int) -> list[Component]:
    """Those of a mixture with enough rows, the one of the highest scores first."""
    n, width = scores.shape
    rng = np.random.default_rng(seed)
    model = BayesianGaussianMixture(
        n_components=min(COMPONENTS, n - 1),
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=CONCENTRATION,
        reg_covar=RIDGE,
        max_iter=ITERATIONS,
        random_state=seed,
    ).fit(scores)
    rows = model.weight_concentration_[0]
    kept = np.flatnonzero(rows >= FEWEST)
    lost = (rows.sum() - rows[kept].sum()) / len(kept)
    found = []
    for k in kept:
        freedom = model.degrees_of_freedom_[k]
        drawn = invwishart.rvs(freedom, freedom * model.covariances_[k], size=DRAWS, random_state=rng)
        deviation = np.sqrt(np.diagonal(drawn, axis1=1, axis2=2))  # (S, M)
        mean = model.means_[k] + deviation * rng.normal(size=(DRAWS, width)) / np.sqrt(model.mean_precision_[k])
        found.append(Component((mean / (1 + deviation)).mean(axis=1), float(rows[k] + lost)))
    return sorted(found, key=lambda one: -one.height.mean())


def calibrated(heights: list[float], weights: list[float]) -> tuple[float, bool]:
    """By how much a component is less likely anomalous where it is lower, and whether both statements hold so."""

    def excess(steepness: float) -> float:
        exactly = joint(anomalous(np.array(heights), heights[0], steepness))
        return float((exactly * high).sum()) - HIGH

    inside = np.cumsum(weights)
    high = beta.sf(HIGH_SHARE, inside[:-1], inside[-1] - inside[:-1])  # the share of the first k is too high
    high = np.append(high, 1.0)
    if excess(STEEPEST) > 0:
        return STEEPEST, False
    return (float(brentq(excess, 0.0, STEEPEST)), True) if excess(0.0) > 0 else (0.0, False)


def anomalous(heights: Floats, highest: float, steepness: float) -> Floats:
    """Probability that each component is anomalous if those before it are; of the highest it is 1 - p_0."""
    return np.asarray(expit(logit(1 - NONE) - steepness * (highest - heights)))


def joint(each: Floats) -> Floats:
    """Probability that the first k components are anomalous, and no other: ``(..., K)``."""
    following = np.concatenate([each[..., 1:], np.zeros_like(each[..., :1])], axis=-1)
    return np.asarray(np.cumprod(each, axis=-1) * (1 - following))


def shares(found: list[Component], steepness: float, rng: np.random.Generator) -> Floats:
    """Draws of the share: weights of as many components as are anomalous in a draw of their parameters."""
    heights = np.column_stack([one.height for one in found])  # (S, K)
    all_of = np.cumprod(anomalous(heights, heights[:, 0].mean(), steepness), axis=1)  # the first k are anomalous
    number = (all_of > rng.random((len(heights), 1))).sum(axis=1)
    inside = np.cumsum(rng.dirichlet([one.weight for one in found], len(heights)), axis=1)
    share = np.where(number > 0, inside[np.arange(len(heights)), number - 1], 0.0)
    return np.asarray(share[share < LARGEST])
