"""The protocol of outlier exposure: normal test rows against one source of outliers after another, five to one.

From each source as many outliers are drawn as make `ratio` times the normal rows, again and again; a metric is the
mean over these resamples of *one* trained model, with their spread as `resample_std`. Outliers are the positive class.

References
----------
D. Hendrycks, M. Mazeika, T. Dietterich, Deep anomaly detection with outlier exposure, ICLR 2019, section 4.1
(detection) and appendix G (calibration).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.decide import rms_calibration_error
from expose.errors import InputError
from expose.evaluation.calibration import mad_calibration_error, soft_f1
from expose.evaluation.metrics import auroc, average_precision, base_rate, fnr_at_tnr, fpr_at_tpr
from expose.evaluation.outlier_results import Measured, OutlierResults, Source, Values, over_resamples

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def outlier_detection(
    normal_scores: ArrayLike,
    outlier_scores: Mapping[str, ArrayLike],
    *,
    ratio: float = 0.2,
    level: float = 0.95,
    resamples: int = 10,
    seed: int = 0,
) -> OutlierResults:
    """How well scores tell outliers of each source from normal test rows, at one outlier for five normal rows.

    The share of outliers fixes what average precision a ranking by chance reaches (a sixth here), so it is the same
    for every source. A source with fewer outliers than that is used whole, against as many normal rows, drawn anew
    for each resample, as keep the share. Draws depend on `seed`, the name of the source and the numbers of rows: two
    scores of the same rows are judged on the same draws, and another source more changes none.

    Parameters
    ----------
    normal_scores : (n,) array of float
        Of normal test rows; higher is more anomalous.
    outlier_scores : mapping of str to (m,) array of float
        For each source of outliers, none of which was seen in training.
    ratio : float, default=0.2
        Outliers for each normal row, rounded down to whole outliers.
    level : float in (0, 1], default=0.95
        Recall for `fpr_at_tpr`, and share of normal rows kept for `fnr_at_tnr`. Hendrycks et al. 2019 take 0.95 for
        images and 0.9 for text.
    resamples : int, default=10
    seed : int, default=0

    Returns
    -------
    OutlierResults
        With the metrics fpr_at_tpr, fnr_at_tnr, auroc, average_precision and base_rate.

    Raises
    ------
    InputError
        If there is no source, a score is missing or not finite, or a parameter is out of range.

    Examples
    --------
    >>> result = outlier_detection(range(100), {"far": range(200, 260), "near": range(90, 150)})
    >>> result.sources["far"].measured.mean["auroc"], result.sources["far"].n_outliers
    (1.0, 20)
    >>> round(result.mean.mean["base_rate"], 3)
    0.167
    """
    normal = _numbers(normal_scores, "normal_scores")
    outliers = {name: _numbers(scores, f"the scores of {name!r}") for name, scores in outlier_scores.items()}

    def judge(kept: Ints, drawn: Ints, name: str) -> Values:
        scores = np.concatenate([normal[kept], outliers[name][drawn]])
        y = np.repeat([0, 1], [kept.size, drawn.size])
        return {
            "fpr_at_tpr": fpr_at_tpr(y, scores, level),
            "fnr_at_tnr": fnr_at_tnr(y, scores, level),
            "auroc": auroc(y, scores),
            "average_precision": average_precision(y, scores),
            "base_rate": base_rate(y),
        }

    draws = _Draws(normal.size, {name: rows.size for name, rows in outliers.items()}, ratio, resamples, seed)
    return _over_sources(judge, draws, Measured({}, {}), level)


def outlier_calibration(
    correct: ArrayLike,
    confidence: ArrayLike,
    outlier_confidence: Mapping[str, ArrayLike],
    *,
    ratio: float = 0.2,
    rows_per_bin: int = 100,
    resamples: int = 10,
    seed: int = 0,
) -> OutlierResults:
    """Calibration on normal rows alone, and on normal rows mixed with outliers, each of which counts as wrong.

    Both belong side by side: outlier exposure improves the second and may well harm the first. Hendrycks et al. 2019
    print the second only. Their text mixes equally many outliers (``ratio=1``), their code one for five normal rows
    (``ratio=0.2``), and their printed numbers come from the code.

    Parameters
    ----------
    correct : (n,) array of bool
        Whether the class predicted for a normal test row was right.
    confidence : (n,) array of float in [0, 1]
        Such as `softmax_confidence` at a temperature of `fit_temperature`.
    outlier_confidence : mapping of str to (m,) array of float in [0, 1]
        For each source of outliers, at the same temperature.
    ratio, resamples, seed
        As in `outlier_detection`, which draws the same rows.
    rows_per_bin : int, default=100
        As in `reliability`.

    Returns
    -------
    OutlierResults
        With the metrics rms, mad, soft_f1 and accuracy, mixed by source and their mean, and `normal_only`.

    Raises
    ------
    InputError
        If there is no source, a confidence is outside [0, 1], lengths differ, or a parameter is out of range.

    Examples
    --------
    >>> result = outlier_calibration([True] * 100, [1.0] * 100, {"noise": [0.0] * 20, "tricky": [1.0] * 20})
    >>> result.normal_only.mean["rms"], result.sources["noise"].measured.mean["rms"]
    (0.0, 0.0)
    >>> round(result.sources["tricky"].measured.mean["mad"], 3), result.sources["tricky"].measured.mean["soft_f1"]
    (0.167, 0.0)
    """
    right = np.asarray(correct)
    sure = _numbers(confidence, "confidence")
    outliers = {name: _numbers(each, f"the confidences of {name!r}") for name, each in outlier_confidence.items()}

    def judge_rows(right: NDArray[Any], sure: Floats) -> Values:
        return {
            "rms": rms_calibration_error(right, sure, rows_per_bin=rows_per_bin),
            "mad": mad_calibration_error(right, sure, rows_per_bin=rows_per_bin),
            "soft_f1": soft_f1(right, sure),
            "accuracy": float(right.mean()),
        }

    def judge(kept: Ints, drawn: Ints, name: str) -> Values:
        mixed = np.concatenate([right[kept], np.zeros(drawn.size, dtype=np.bool_)])
        return judge_rows(mixed, np.concatenate([sure[kept], outliers[name][drawn]]))

    alone = judge_rows(right, sure)
    draws = _Draws(sure.size, {name: rows.size for name, rows in outliers.items()}, ratio, resamples, seed)
    return _over_sources(judge, draws, Measured(alone, dict.fromkeys(alone, float("nan"))), float("nan"))


class _Draws(NamedTuple):
    """Which rows each resample takes."""

    n_normal: int
    available: dict[str, int]
    ratio: float
    resamples: int
    seed: int

    def sizes(self, name: str) -> tuple[int, int]:
        """Normal rows and outliers in a resample, of which the outliers are `ratio` times the normal rows."""
        wanted = int(self.ratio * self.n_normal + 1e-9)
        if wanted <= self.available[name]:
            return self.n_normal, wanted
        return min(self.n_normal, max(1, round(self.available[name] / self.ratio))), self.available[name]

    def rows(self, name: str) -> Iterator[tuple[Ints, Ints]]:
        """Rows of normal data and of the source, without any twice."""
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        kept, drawn = self.sizes(name)
        for _ in range(self.resamples):
            yield (
                np.sort(rng.choice(self.n_normal, kept, replace=False)),
                np.sort(rng.choice(self.available[name], drawn, replace=False)),
            )

    def check(self) -> None:
        if not self.available:
            raise InputError("Expected at least one source of outliers: {name: one number per outlier}; got none.")
        if not 0 < self.ratio < np.inf or int(self.ratio * self.n_normal + 1e-9) < 1:
            raise InputError(
                f"ratio is the number of outliers for each normal row; {self.ratio!r} of {self.n_normal} normal rows "
                "is not even one outlier. Give more normal rows, or a larger ratio."
            )
        if self.resamples < 1 or self.seed < 0:
            raise InputError(f"Expected resamples >= 1 and seed >= 0; got {self.resamples!r} and {self.seed!r}.")


def _over_sources(
    judge: Callable[[Ints, Ints, str], Values], draws: _Draws, normal_only: Measured, level: float
) -> OutlierResults:
    draws.check()
    sources, every = {}, []
    for name, available in draws.available.items():
        measured = [judge(kept, drawn, name) for kept, drawn in draws.rows(name)]
        sources[name] = Source(over_resamples(measured), *draws.sizes(name), available)
        every.append(measured)
    means = [
        {metric: float(np.mean([each[metric] for each in resample])) for metric in resample[0]}
        for resample in zip(*every, strict=True)
    ]
    return OutlierResults(
        sources, over_resamples(means), normal_only, draws.n_normal, level, draws.ratio, draws.resamples, draws.seed
    )


def _numbers(values: ArrayLike, what: str) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise InputError(f"Expected {what} as a list of finite numbers, one per row; got shape {numbers.shape}.")
    return numbers
