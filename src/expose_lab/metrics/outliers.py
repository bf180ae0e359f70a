"""The protocol of outlier exposure: normal test rows against one source of outliers after another, five to one.

From each source as many outliers are drawn as make `ratio` times the normal rows, again and again; a metric is the
mean over these resamples of *one* trained model, with their spread as `resample_std`, which says nothing of training.
What training does by chance needs several trained models: `over_seeds` takes the results of each and gives `seed_std`.
Outliers are the positive class. All numbers are shares in [0, 1]; only `OutlierResults.table` prints percent.

References
----------
D. Hendrycks, M. Mazeika, T. Dietterich, Deep anomaly detection with outlier exposure, ICLR 2019, section 4.1
(detection) and appendix G (calibration).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expose.decide import rms_calibration_error
from expose.errors import InputError
from expose_lab.metrics.calibration import mad_calibration_error, soft_f1
from expose_lab.metrics.ranking import auroc, average_precision, base_rate, fnr_at_tnr, fpr_at_tpr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """Metrics by name, with two spreads that must not be confused; NaN where one number has no spread.

    Attributes
    ----------
    mean : dict of str to float
        Over resamples, and over trained seeds where there are several.
    resample_std : dict of str to float
        Standard deviation over the resamples of one trained model, the mean of that over seeds.
    seed_std : dict of str to float
        Standard deviation over trained seeds; empty for a single trained model.
    """

    mean: Values
    resample_std: Values
    seed_std: Values = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What came of one source of outliers: `n_normal` and `n_outliers` rows in each resample, of `n_available`.

    Where the outliers there are are too few, all are used and fewer normal rows are drawn.
    """

    measured: Measured
    n_normal: int
    n_outliers: int
    n_available: int


@dataclass(frozen=True)
class OutlierResults:
    """One protocol over several sources.

    Attributes
    ----------
    sources : dict of str to Source
    mean : Measured
        Over the sources, each with the same weight; its spread is that of this mean.
    normal_only : Measured
        The same metrics on all normal rows without any outlier; empty for detection, which needs both.
    n_normal : int
        Normal rows there are.
    level : float
        N of FPR at N; NaN for calibration.
    ratio : float
        Outliers for each normal row.
    resamples, seed, trained : int
        Draws for each source, what chose them, and of how many trained models these are the means.
    """

    sources: dict[str, Source]
    mean: Measured
    normal_only: Measured
    n_normal: int
    level: float
    ratio: float
    resamples: int
    seed: int
    trained: int = 1

    def records(self) -> list[dict[str, Any]]:
        """One flat record for each source, then "mean", then "normal only" where that was measured.

        Returns
        -------
        list of dict
            Keys: source, n_normal, n_outliers (the counts None for the mean), each metric under its name, and with
            `_resample_std` and, for several trained models, `_seed_std` behind it; a spread of one number is left out.
        """
        rows: list[tuple[str, int | None, int | None, Measured]] = [
            (name, each.n_normal, each.n_outliers, each.measured) for name, each in self.sources.items()
        ]
        rows.append(("mean", None, None, self.mean))
        if self.normal_only.mean:
            rows.append(("normal only", self.n_normal, 0, self.normal_only))
        return [
            {"source": name, "n_normal": n_normal, "n_outliers": n_outliers, **flat(measured)}
            for name, n_normal, n_outliers, measured in rows
        ]

    def table(self) -> str:
        """The results as text, in percent, with the spread that is there: over trained seeds, else over resamples."""
        spread = "seed_std" if self.trained > 1 else "resample_std"
        over = (
            f"{self.trained} trained seeds" if self.trained > 1 else f"{self.resamples} resamples of one trained model"
        )
        lines = [["source", "normal", "outliers", *(self._label(name) for name in self.mean.mean)]]
        for record in self.records():
            counts = ["" if record[key] is None else str(record[key]) for key in ("n_normal", "n_outliers")]
            cells = [percent(record[name], record.get(f"{name}_{spread}", np.nan)) for name in self.mean.mean]
            lines.append([record["source"], *counts, *cells])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        head = f"percent; mean ± standard deviation over {over}; outliers positive, {self.ratio:g} for each normal row"
        text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
        return "\n".join([head, *text, *self._too_small()])

    def _label(self, metric: str) -> str:
        level = f"{100 * self.level:g}"
        names = {"fpr_at_tpr": f"FPR at TPR {level}", "fnr_at_tnr": f"FNR at TNR {level}"}
        return names.get(metric, metric.replace("_", " "))

    def _too_small(self) -> Iterator[str]:
        for name, source in self.sources.items():
            if source.n_normal < self.n_normal:
                yield (
                    f"{name}: {source.n_available} outliers are too few for {self.n_normal} normal rows; "
                    f"all of them with {source.n_normal} normal rows, drawn anew each time"
                )


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
        Such as `softmax_confidence` at a temperature of `expose.decide.fit_temperature`.
    outlier_confidence : mapping of str to (m,) array of float in [0, 1]
        For each source of outliers, at the same temperature.
    ratio, resamples, seed
        As in `outlier_detection`, which draws the same rows.
    rows_per_bin : int, default=100
        As in `expose.decide.reliability`.

    Returns
    -------
    OutlierResults
        With the metrics rms, mad, soft_f1 and accuracy, mixed by source and their mean, and `normal_only`.

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


def over_seeds(results: Sequence[OutlierResults]) -> OutlierResults:
    """Average the results of several trained models, with the spread over them as `seed_std`.

    Parameters
    ----------
    results : sequence of OutlierResults
        At least two, one for each trained model, of the same protocol, sources and numbers of rows.

    Returns
    -------
    OutlierResults
        `mean` over the models, `seed_std` the standard deviation over them (of the sample, ``n - 1``), and
        `resample_std` the mean of theirs.

    Examples
    --------
    >>> first, second = (outlier_detection(range(10), {"far": [high, 20]}) for high in (9.5, 4.5))
    >>> both = over_seeds([first, second])
    >>> both.trained, both.mean.seed_std["auroc"] > 0
    (2, True)
    """
    if len(results) < 2 or any(each.trained > 1 for each in results):
        raise InputError(f"Expected the results of two or more trained models, one each; got {len(results)}.")
    first = results[0]
    for each in results[1:]:
        if _frame(each) != _frame(first):
            raise InputError(
                "The results are not of the same protocol. Expected the same sources, rows, ratio, level and "
                f"resamples; got {_frame(first)} and {_frame(each)}."
            )
    sources = {
        name: replace(source, measured=_averaged([each.sources[name].measured for each in results]))
        for name, source in first.sources.items()
    }
    mean = _averaged([each.mean for each in results])
    alone = _averaged([each.normal_only for each in results])
    return replace(first, sources=sources, mean=mean, normal_only=alone, trained=len(results))


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


def flat(measured: Measured) -> Values:
    """Metrics under their names, with `_resample_std` and `_seed_std` behind the name for the spreads there are.

    Examples
    --------
    >>> flat(Measured({"auroc": 0.9}, {"auroc": float("nan")}, {"auroc": 0.01}))
    {'auroc': 0.9, 'auroc_seed_std': 0.01}
    """
    spreads = (("resample_std", measured.resample_std), ("seed_std", measured.seed_std))
    found = {f"{name}_{kind}": value for kind, values in spreads for name, value in values.items()}
    return measured.mean | {name: value for name, value in found.items() if not np.isnan(value)}


def percent(value: float, spread: float) -> str:
    """A share as percent, with its spread if it has one.

    Examples
    --------
    >>> percent(0.5, 0.0123), percent(0.5, float("nan"))
    ('50.00 ± 1.23', '50.00')
    """
    return f"{100 * value:.2f}" + ("" if np.isnan(spread) else f" ± {100 * spread:.2f}")


def over_resamples(resamples: Sequence[Values]) -> Measured:
    """Mean and spread over the resamples of one trained model.

    Examples
    --------
    >>> over_resamples([{"auroc": 0.5}, {"auroc": 1.0}]).mean
    {'auroc': 0.75}
    """
    columns = {metric: [each[metric] for each in resamples] for metric in resamples[0]}
    return Measured(_mean(columns), _std(columns))


def _averaged(trained: Sequence[Measured]) -> Measured:
    means = {metric: [each.mean[metric] for each in trained] for metric in trained[0].mean}
    within = {metric: [each.resample_std[metric] for each in trained] for metric in means}
    return Measured(_mean(means), _mean(within), _std(means))


def _mean(columns: Mapping[str, Sequence[float]]) -> Values:
    return {metric: float(np.mean(values)) for metric, values in columns.items()}


def _std(columns: Mapping[str, Sequence[float]]) -> Values:
    """Of the sample; one number has none, and equal numbers exactly 0, despite rounding."""
    return {
        metric: float(np.std(values, ddof=1) * (np.ptp(values) > 0)) if len(values) > 1 else float("nan")
        for metric, values in columns.items()
    }


def _frame(results: OutlierResults) -> tuple[Any, ...]:
    """All that must agree between trained models."""
    sizes = {name: (each.n_normal, each.n_outliers) for name, each in results.sources.items()}
    settings = (results.ratio, None if np.isnan(results.level) else results.level, results.resamples, results.seed)
    return sizes, results.n_normal, *settings, tuple(results.mean.mean)
