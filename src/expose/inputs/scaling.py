"""From raw numbers to numbers a network can use, without outliers among the training rows setting the scale.

Every scaling is z = (2**p x - center) / spread per column, then a treatment of large |z|:

=========  ==============  ==========================================  =====================================
scaling    center          spread                                      large |z|
=========  ==============  ==========================================  =====================================
quantile   median          quantile spread                             logarithmic beyond 3
robust     median          quantile spread                             cut at 1e6
standard   mean            standard deviation                          cut at 1e6
none       0               1                                           cut at 1e15
=========  ==============  ==========================================  =====================================

The quantile spread is the width between the quartiles, divided by that of a standard normal distribution.
Where it is 0 (more than half of the rows are equal) the next wider pair of quantiles takes its place, and at
last the standard deviation. 2**p is 1 except where squares would leave the range of float64.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError

Floats = NDArray[np.float64]

SCALINGS: Final = ("quantile", "robust", "standard", "none")
DEFAULT_SCALING: Final = "quantile"

KNEE: Final = 3.0  # quantile: where the logarithm takes over, with slope 1
LARGEST_SCALED: Final = 1e6  # squares and their sums stay far inside float32
LARGEST_RAW: Final = 1e15
SAMPLE_ROWS: Final = 100_000  # rows the quantiles are taken from

# lower quantile of a pair, and how far apart the two are in a standard normal distribution
_PAIRS: Final = ((0.25, 1.3490), (0.1, 2.5631), (0.05, 3.2897), (0.01, 4.6527))
_HUGE: Final = 1e140
_SHIFT: Final = 2.0**600


def check_scaling(scaling: str) -> str:
    """Return the name if it is a scaling."""
    if scaling not in SCALINGS:
        raise InputError(f"scaling must be one of {', '.join(map(repr, SCALINGS))}; got {scaling!r}")
    return scaling


def fit_scaling(sample: Floats, scaling: str) -> tuple[Floats, Floats, Floats]:
    """Measure factor, center and spread of every column.

    Parameters
    ----------
    sample : ndarray, (n, k)
        Numbers with NaN where missing, at least one value in every column. Changed in place.
    scaling : str
        One of `SCALINGS`.

    Returns
    -------
    factor, center, spread : ndarray, (k,)
        z = (factor * x - center) / spread; factor is a power of two, spread is positive.
    """
    k = sample.shape[1]
    if scaling == "none":
        return np.ones(k), np.zeros(k), np.ones(k)
    factor = _factor(sample)
    sample *= factor
    if scaling == "standard":
        return factor, np.nanmean(sample, axis=0), _positive(np.nanstd(sample, axis=0))
    ordered = np.sort(sample.T, axis=1)  # (k, n), NaN last
    counts = np.sum(~np.isnan(ordered), axis=1)
    return factor, _quantile(ordered, counts, 0.5), _spread(ordered, counts)


def _factor(sample: Floats) -> Floats:
    """Return the power of two that brings extreme columns where their squares are finite and not 0."""
    largest = np.nanmax(np.abs(sample), axis=0)
    tiny = (largest > 0) & (largest < 1 / _HUGE)
    factor: Floats = np.where(largest > _HUGE, 1 / _SHIFT, np.where(tiny, _SHIFT, 1.0))
    return factor


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


def _spread(ordered: Floats, counts: NDArray[np.int64]) -> Floats:
    spread = np.zeros(len(ordered))
    for low, width in _PAIRS:
        open_ = spread == 0
        if not open_.any():
            return spread
        rows, n = ordered[open_], counts[open_]
        spread[open_] = (_quantile(rows, n, 1 - low) - _quantile(rows, n, low)) / width
    open_ = spread == 0
    spread[open_] = np.nanstd(ordered[open_], axis=1)
    return _positive(spread)


def apply_scaling(numbers: Floats, scaling: str, factor: Floats, center: Floats, spread: Floats) -> None:
    """Scale columns (n, k) in place; finite numbers stay finite, NaN stays NaN."""
    if scaling == "none":
        np.clip(numbers, -LARGEST_RAW, LARGEST_RAW, out=numbers)
        return
    if (factor != 1).any():
        numbers *= factor
    numbers -= center
    numbers /= spread
    if scaling == "quantile":
        compress(numbers)
    else:
        np.clip(numbers, -LARGEST_SCALED, LARGEST_SCALED, out=numbers)


def compress(scaled: Floats) -> None:
    """Replace |z| > 3 by 3 (1 + log(|z| / 3)) in place: far stays farther than near, but drowns no other."""
    far = (scaled > KNEE) | (scaled < -KNEE)
    if far.any():
        values = scaled[far]
        size = np.minimum(np.abs(values), np.finfo(np.float64).max)
        scaled[far] = np.copysign(KNEE * (1 + np.log(size / KNEE)), values)
