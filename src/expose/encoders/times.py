"""Points in time as features: how late, and where in the day, the week and the year."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from expose.encoders.scaling import SAMPLE_ROWS, apply_scaling, fit_scaling
from expose.encoders.schema import TimeColumn
from expose.kinds.columns import Times

DAY: Final = 86_400.0
PERIODS: Final = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}  # seconds
_ENOUGH: Final = 2  # a period counts if the training rows span it this often


def _seconds(moments: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return seconds since 1970, NaN where missing, (n,)."""
    microseconds = moments.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(moments), np.nan, microseconds / 1e6)


def fit_times(column: Times, name: str) -> TimeColumn:
    """Learn span, periods and gaps of a column of times."""
    seconds = _seconds(column.moments)
    present = seconds[~np.isnan(seconds)]
    gaps = 0 < len(present) < len(seconds)
    if len(present) == 0 or (present.min() == present.max() and not gaps):
        return TimeColumn(name, used=False, indicator=False)
    span = float(present.max() - present.min())
    periods = tuple(
        period for period, length in PERIODS.items() if span >= _ENOUGH * length and _varies(present, period)
    )
    step = -(-len(present) // SAMPLE_ROWS)
    scale = fit_scaling(present[::step, None].copy(), "quantile")
    return TimeColumn(name, True, gaps, periods, float(scale.center[0]), float(scale.spread[0]))


def _varies(seconds: NDArray[np.float64], period: str) -> bool:
    """Tell whether times differ within a period, by more than the finer period's share of it."""
    phase = np.mod(seconds, DAY) if period == "day" else np.floor(np.mod(seconds, PERIODS[period]) / DAY)
    return bool(phase.min() != phase.max())


def encode_times(column: Times, schema: TimeColumn, out: NDArray[Any]) -> None:
    """Write the encoded columns (n, width) of a column of times; they are 0 where it is missing."""
    if not schema.width:
        return
    seconds = _seconds(column.moments)
    missing = np.isnan(seconds)
    scaled = seconds[:, None].copy()
    one = np.ones(1)
    apply_scaling(scaled, "quantile", one, schema.center * one, schema.spread * one)
    parts = [scaled[:, 0]]
    for period in schema.periods:
        angle = 2 * np.pi * np.mod(seconds, PERIODS[period]) / PERIODS[period]
        parts += [np.sin(angle), np.cos(angle)]
    for i, part in enumerate(parts):
        out[:, i] = np.where(missing, 0.0, part)
    if schema.indicator:
        out[:, -1] = missing
