"""Published detectors of anomalies in series, written plainly on windows: who stands beside ours in the study.

Each takes the steps that it is fitted on and the steps that it judges, both ``(T, C)`` and standardised by the first,
which are the same object where a series is judged by itself, and gives one score for each step judged: the mean over
the windows that cover it. Windows are of all channels, but for the matrix profile, which is of one channel each.

References
----------
Q. Liu, J. Paparrizos, The elephant in the room: towards a reliable time-series anomaly detection benchmark, NeurIPS
2024 (Sub-PCA, Sub-KNN, isolation forest of windows; the window by the period).
C.-C. M. Yeh et al., Matrix profile I, ICDM 2016.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from expose.errors import MissingExtraError

Floats = NDArray[np.floating[Any]]
LAGS, FIRST_LAG, USUAL = 400, 3, 125  # of the period, as TSB-AD has them; the last where there is none
SHORTEST, LONGEST = 6, 303
NUMBERS = 500  # most of one window: with many channels it has fewer steps, so that neighbours can be computed
NEIGHBOURS = 10
KEPT = 0.9  # of the variance, by the components whose remainder is the residual
NOISE = 1e-7  # components below this part of the largest variance are rounding of float32


class Given(NamedTuple):
    """What a contender is given: steps to fit on and steps to judge, the period in steps, and a seed."""

    training: Floats
    judged: Floats
    period: int
    seed: int

    @property
    def alone(self) -> bool:
        """Whether the series is judged by itself."""
        return self.judged is self.training

    @property
    def window(self) -> int:
        """Steps of a window of all channels."""
        return max(1, min(self.period, NUMBERS // len(self.judged[0])))

    def windows(self) -> tuple[Floats, Floats]:
        """To fit on and to judge."""
        training = cut(self.training, self.window)
        return training, training if self.alone else cut(self.judged, self.window)


def period(values: Floats) -> int:
    """Length of a period in steps: the highest local maximum of the autocorrelation, by the rule of TSB-AD.

    Lags from 3 to 400 of the first 20,000 steps of one channel; 125 where there is no maximum from 6 to 303.

    Examples
    --------
    >>> period(np.sin(np.arange(1000) * 2 * np.pi / 24)), period(np.arange(100.0))
    (24, 125)
    """
    found = autocorrelation(np.asarray(values, np.float64)[:20000])[FIRST_LAG : LAGS + 1]
    inner = found[1:-1]
    peaks = 1 + np.flatnonzero((inner > found[:-2]) & (inner > found[2:]))
    if not len(peaks):
        return USUAL
    best = int(peaks[np.argmax(found[peaks])]) + FIRST_LAG
    return best if SHORTEST <= best <= LONGEST else USUAL


def autocorrelation(values: Floats) -> Floats:
    """Of all lags, by the spectrum."""
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    found: Floats = np.fft.irfft(np.abs(spectrum) ** 2)[: len(centred)]
    found /= max(found[0], np.finfo(np.float64).tiny)
    return found


def cut(values: Floats, window: int) -> Floats:
    """All windows as rows, ``(T - window + 1, window * C)``."""
    return sliding_window_view(values, window, axis=0).reshape(len(values) - window + 1, -1).astype(np.float32)


def to_steps(scores: Floats, window: int) -> Floats:
    """Scores of windows to scores of steps: the mean over those that cover a step.

    Examples
    --------
    >>> to_steps(np.array([1.0, 3.0]), window=2).tolist()
    [1.0, 2.0, 3.0]
    """
    total, count = (np.convolve(values, np.ones(window)) for values in (scores, np.ones(len(scores))))
    mean: Floats = total / count
    return mean


# -------------------------------------------------------------------------------------------------------- contenders


class Rotated(NamedTuple):
    """Windows to be judged: standardised, along the components of those fitted on, and the variance along each."""

    windows: Floats
    along: Floats
    variance: Floats


def sub_pca(given: Given) -> Floats:
    """Whitened: the squared length along all components, each in units of its own spread."""
    judged = rotated(given)
    return to_steps((judged.along**2 / judged.variance).sum(axis=1), given.window)


def sub_pca_residual(given: Given) -> Floats:
    """What the components of most of the variance leave over, squared."""
    judged = rotated(given)
    kept = 1 + int(np.searchsorted(np.cumsum(judged.variance) / judged.variance.sum(), KEPT))
    return to_steps((judged.windows**2).sum(axis=1) - (judged.along[:, :kept] ** 2).sum(axis=1), given.window)


def rotated(given: Given) -> Rotated:
    """Principal components of the windows fitted on, standardised; what never varies there stays as it is."""
    training, judged = (rows.astype(np.float64) for rows in given.windows())
    mean, spread = training.mean(axis=0), training.std(axis=0)
    training, judged = ((rows - mean) / np.where(spread > 0, spread, 1) for rows in (training, judged))
    pca = PCA(svd_solver="covariance_eigh").fit(training)
    real = pca.explained_variance_ > NOISE * pca.explained_variance_[0]
    return Rotated(judged, judged @ pca.components_[real].T, pca.explained_variance_[real])


def sub_knn(given: Given) -> Floats:
    """Distance to the tenth nearest window that was fitted on; of a series by itself the same window is left out."""
    training, judged = given.windows()
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(training) - 1), algorithm="brute", n_jobs=1).fit(training)
    distances, _ = near.kneighbors(None if given.alone else judged)
    return to_steps(distances[:, -1], given.window)


def forest(given: Given) -> Floats:
    """Isolation forest of windows."""
    training, judged = given.windows()
    trees = IsolationForest(random_state=given.seed, n_jobs=1).fit(training)
    return to_steps(-trees.score_samples(judged), given.window)


def matrix_profile(given: Given) -> Floats:
    """Distance of each normalised window to its nearest one, the mean over channels that take more than two values."""
    stump = compiled()
    length = max(FIRST_LAG, given.period)
    many = [i for i in range(given.judged.shape[1]) if len(np.unique(given.training[:, i])) > 2] or [0]
    profiles = [stump(given.judged[:, i], given.training[:, i], length, given.alone) for i in many]
    return to_steps(np.mean(profiles, axis=0), length)


def random(given: Given) -> Floats:
    """Chance."""
    return np.random.default_rng(given.seed).random(len(given.judged))


@cache
def compiled() -> Callable[[Floats, Floats, int, bool], Floats]:
    """The matrix profile of stumpy, on one thread, compiled before anything is timed."""
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    try:
        import stumpy
    except ImportError as error:
        raise MissingExtraError("The matrix profile needs stumpy: pip install 'expose[bench]'") from error

    def profile(judged: Floats, training: Floats, length: int, alone: bool) -> Floats:
        one, other = judged.astype(np.float64), training.astype(np.float64)
        found = stumpy.stump(one, length) if alone else stumpy.stump(one, length, T_B=other, ignore_trivial=False)
        distances: Floats = found[:, 0].astype(np.float64)
        distances[~np.isfinite(distances)] = np.sqrt(2 * length)  # no neighbour at all: about as far as one can be
        return distances

    tiny = np.random.default_rng(0).normal(size=64)
    for alone in (True, False):
        profile(tiny, tiny, 8, alone)
    return profile


class Contender(NamedTuple):
    """A detector of series, and whether it has seeds."""

    score: Callable[[Given], Floats]
    seeded: bool = False


CONTENDERS: Mapping[str, Contender] = {
    "Sub-PCA, whitened": Contender(sub_pca),
    "Sub-PCA, residual": Contender(sub_pca_residual),
    "kNN on windows": Contender(sub_knn),
    "matrix profile": Contender(matrix_profile),
    "isolation forest": Contender(forest, seeded=True),
    "random": Contender(random, seeded=True),
}
