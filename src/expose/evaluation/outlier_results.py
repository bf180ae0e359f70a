"""What came of a protocol with several sources of outliers: metrics with two spreads, as records and as a table.

`resample_std` is the spread over draws of outliers for *one* trained model. It says how much the draw matters and
nothing about training. What training does by chance needs several trained models: `over_seeds` takes the results of
each and gives `seed_std`.

All numbers are shares in [0, 1]; only `OutlierResults.table` prints percent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from expose.errors import InputError

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
    """What came of one source of outliers.

    Attributes
    ----------
    measured : Measured
    n_normal, n_outliers : int
        Rows in each resample.
    n_available : int
        Outliers the source has. Where these are too few, all are used and fewer normal rows are drawn.
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
        """The results as text, in percent, with the spread that is there: over trained seeds, else over resamples.

        Returns
        -------
        str
            A line of what is shown, a heading, a line for each record, and one for each source that was too small.
        """
        spread = "seed_std" if self.trained > 1 else "resample_std"
        over = (
            f"{self.trained} trained seeds" if self.trained > 1 else f"{self.resamples} resamples of one trained model"
        )
        heading = ["source", "normal", "outliers", *(self._label(name) for name in self.mean.mean)]
        lines = [heading]
        for record in self.records():
            counts = ["" if record[key] is None else str(record[key]) for key in ("n_normal", "n_outliers")]
            cells = [percent(record[name], record.get(f"{name}_{spread}", np.nan)) for name in self.mean.mean]
            lines.append([record["source"], *counts, *cells])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            f"percent; mean ± standard deviation over {over}; outliers positive, {self.ratio:g} for each normal row"
        ]
        text += ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
        return "\n".join([*text, *self._too_small()])

    def _label(self, metric: str) -> str:
        level = f"{100 * self.level:g}"
        return {"fpr_at_tpr": f"FPR at TPR {level}", "fnr_at_tnr": f"FNR at TNR {level}"}.get(
            metric, metric.replace("_", " ")
        )

    def _too_small(self) -> Iterator[str]:
        for name, source in self.sources.items():
            if source.n_normal < self.n_normal:
                yield (
                    f"{name}: {source.n_available} outliers are too few for {self.n_normal} normal rows; "
                    f"all of them with {source.n_normal} normal rows, drawn anew each time"
                )


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

    Raises
    ------
    InputError
        If there are fewer, one is such an average itself, or they differ in anything but what was measured.

    Examples
    --------
    >>> from expose.evaluation import outlier_detection
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
