"""From raw numbers to numbers a network can use, without outliers among the training rows setting the scale.

Every scaling is z = (2**p x - center) / spread per column, then a treatment of large |z|:

=========  ==============  ==========================================  =====================================
scaling    center          spread                                      large |z|
=========  ==============  ==========================================  =====================================
quantile   of the range    range from the 5 % to the 95 % quantile     logarithmic beyond 2
bounded    of the range    the same                                    the same, then in units of the column
robust     median          between the quartiles, over 1.349           cut at 1e6
standard   mean            standard deviation                          cut at 1e6
unscaled   0               1                                           cut at 1e15
=========  ==============  ==========================================  =====================================

The range of "quantile" reaches on either side of the median at most twice as far as the quartiles suggest for
a normal distribution, so that up to a quarter of outliers, however large, cannot squash the rest. Where a
range is 0, because most rows are equal, the next wider pair of quantiles takes its place, and at last the
standard deviation. "bounded" leaves columns their own weight, as "unscaled" does, but no value of one can drown all
others: what lies far out counts by its logarithm. 2**p is 1 except where squares would leave the range of float64.
`docs/notes/scaling.md` says why "quantile" is the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]

SCALINGS: Final = ("quantile", "bounded", "robust", "standard", "unscaled")

KNEE: Final = 2.0  # quantile: where the logarithm takes over, with slope 1
LARGEST_SCALED: Final = 1e6  # squares and their sums stay far inside float32
LARGEST_RAW: Final = 1e15
SAMPLE_ROWS: Final = 100_000  # rows the quantiles are taken from

# lower quantile of a pair, and how far apart the two are in a standard normal distribution
_PAIRS: Final = ((0.25, 1.3490), (0.1, 2.5631), (0.05, 3.2897), (0.01, 4.6527))
_RANGE: Final = (0.05, 3.2897)
_REACH: Final = 2 * _RANGE[1] / 2 / 1.3490  # how far from the median the range may go, in quartile distances
_HUGE: Final = 1e140
_SHIFT: Final = 2.0**600


def check_scalings(scalings: Sequence[str]) -> Sequence[str]:
    """Return the names, one at least, if each is a scaling."""
    wrong = [scaling for scaling in scalings if scaling not in SCALINGS]
    if wrong or not scalings:
        got = repr(wrong[0]) if wrong else "none"
        raise InputError(f"scalings must be one or several of {', '.join(map(repr, SCALINGS))}; got {got}.")
    return scalings


class Scale(NamedTuple):
    """How columns are scaled, (k,) each."""

    factor: Floats  # a power of two
    center: Floats
    spread: Floats  # positive
    median: Floats  # unscaled


def fit_scaling(sample: Floats, scaling: str) -> Scale:
    """Measure columns (n, k), NaN where missing and at least one value in each; changes the sample in place."""
    k = sample.shape[1]
    factor = np.ones(k) if scaling == "unscaled" else _factor(sample)
    sample *= factor
    ordered = np.sort(sample.T, axis=1)  # (k, n), NaN last
    counts = np.sum(~np.isnan(ordered), axis=1)
    median = _quantile(ordered, counts, 0.5)
    center, spread = np.zeros(k), np.ones(k)
    if scaling == "standard":
        center, spread = np.nanmean(sample, axis=0), _positive(np.nanstd(sample, axis=0))
    elif scaling == "robust":
        center, spread = median, _first_spread(ordered, counts, _PAIRS)
    elif scaling in ("quantile", "bounded"):
        center, spread = _range(ordered, counts, median)
    return Scale(factor, center, spread, median / factor)


def _range(ordered: Floats, counts: NDArray[np.int64], median: Floats) -> tuple[Floats, Floats]:
    """Return center and width of the range of each column that is not outliers."""
    quartiles = _quantile(ordered, counts, 0.75) - _quantile(ordered, counts, 0.25)
    reach = np.where(quartiles > 0, _REACH * quartiles, np.inf)
    low = np.maximum(_quantile(ordered, counts, _RANGE[0]), median - reach)
    high = np.minimum(_quantile(ordered, counts, 1 - _RANGE[0]), median + reach)
    wide = high > low
    rest = _RANGE[1] * _first_spread(ordered, counts, _PAIRS[3:])
    return np.where(wide, low + (high - low) / 2, median), np.where(wide, high - low, rest)


def _factor(sample: Floats) -> Floats:
    """Return the power of two by which the squares of extreme columns become finite and not 0."""
    largest = np.nanmax(np.abs(sample), axis=0)
    tiny = (largest > 0) & (largest < 1 / _HUGE)
    return np.where(largest > _HUGE, 1 / _SHIFT, np.where(tiny, _SHIFT, 1.0))


def _positive(spread: Floats) -> Floats:
    return np.where(spread > 0, spread, 1.0)


def _quantile(ordered: Floats, counts: NDArray[np.int64], q: float) -> Floats:
    """Quantile of every row of `ordered` (k, n), of which the first `counts` values exist."""
    position = q * (counts - 1)
    low = np.floor(position).astype(np.int64)
    rows = np.arange(len(ordered))
    below, above = ordered[rows, low], ordered[rows, np.minimum(low + 1, counts - 1)]
    between: Floats = below + (position - low) * (above - below)
    return between


def _first_spread(ordered: Floats, counts: NDArray[np.int64], pairs: Sequence[tuple[float, float]]) -> Floats:
    """Return the spread by the first pair of quantiles that differ, else the standard deviation, else 1."""
    spread = np.zeros(len(ordered))
    for low, width in pairs:
        unknown = spread == 0
        rows, n = ordered[unknown], counts[unknown]
        spread[unknown] = (_quantile(rows, n, 1 - low) - _quantile(rows, n, low)) / width
    unknown = spread == 0
    spread[unknown] = np.nanstd(ordered[unknown], axis=1)
    return _positive(spread)


def apply_scaling(numbers: Floats, scaling: str, factor: Floats, center: Floats, spread: Floats) -> None:
    """Scale columns (n, k) in place; finite numbers stay finite, NaN stays NaN."""
    if scaling == "unscaled":
        np.clip(numbers, -LARGEST_RAW, LARGEST_RAW, out=numbers)
        return
    if (factor != 1).any():
        numbers *= factor
    numbers -= center
    numbers /= spread
    if scaling in ("quantile", "bounded"):
        compress(numbers)
        if scaling == "bounded":
            numbers *= np.minimum(spread / factor, LARGEST_RAW)
            np.clip(numbers, -LARGEST_RAW, LARGEST_RAW, out=numbers)
    else:
        np.clip(numbers, -LARGEST_SCALED, LARGEST_SCALED, out=numbers)


def compress(scaled: Floats) -> None:
    """Replace |z| > 2 by 2 (1 + log(|z| / 2)) in place: far stays farther than near, but drowns no other."""
    far = (scaled > KNEE) | (scaled < -KNEE)
    if far.any():
        values = scaled[far]
        size = np.minimum(np.abs(values), np.finfo(np.float64).max)
        scaled[far] = np.copysign(KNEE * (1 + np.log(size / KNEE)), values)
