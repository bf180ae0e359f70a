"""`TableEncoder`: columns of numbers in one or several scalings, indicators of what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expose.encoders.scaling import KNEE, LARGEST_RAW, LARGEST_SCALED
from expose.encoders.schema import NumberColumn, described
from expose.encoders.table import TableEncoder
from expose.errors import InputError
from expose.exporting.base import Input, exports_encoder
from expose.exporting.graph import DOUBLE, Value, op, rows_in, side_by_side, where
from expose.files.names import listing
from expose.kinds.understood import numbers_for_nothing

Floats = NDArray[np.float64]
FAR = (1e3, 1e9, 1e30, -1e30)  # spreads and values that examples have, beside usual ones


@exports_encoder(TableEncoder)
def table(encoder: TableEncoder) -> Input:
    """Columns of text that nothing is made of are left out of X; constant ones stay, and are not looked at.

    Raises
    ------
    InputError
        If a column of names or dates is looked at.
    """
    refuse_other_columns(encoder)
    numbers = [column for column in encoder.columns if isinstance(column, NumberColumn)]
    if not numbers:
        raise InputError("An ONNX file takes columns of numbers, and this model was trained on none.")
    scales = encoder.state().arrays["scales"]  # (V, 4, k), of those that are used
    used = np.array([place for place, column in enumerate(numbers) if column.used], dtype=np.int64)
    names = [column.name for column in numbers]

    def both(n: int) -> tuple[Floats, pa.Table]:
        X = examples(scales[0], used, len(numbers), n)
        return X, as_table(X, names, [name for name, _ in encoder.groups])

    return Input("X", DOUBLE, (len(names),), names, lambda X: encoded(encoder, numbers, used, X), both)


def as_table(X: Floats, names: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """Rows as a table of all columns that were trained on; of those that X has not, nothing."""
    given: dict[str, Any] = dict(zip(names, X.T, strict=True))
    nothing = pa.nulls(len(X))
    return pa.Table.from_arrays(
        [pa.array(given[name]) if name in given else nothing for name in columns], list(columns)
    )


def refuse_other_columns(encoder: TableEncoder) -> None:
    """Raise InputError that names the columns which are no numbers and are looked at."""
    others = [column for column in encoder.columns if column.used and not isinstance(column, NumberColumn)]
    if not others:
        return
    named = "; ".join(f"{column.name!r} is a {described(column)[0]}" for column in others[:5])
    more = f"; and {len(others) - 5:,} more" if len(others) > 5 else ""
    raise InputError(
        f"An ONNX file takes numbers alone, and this model looks at other columns: {named}{more}. Train without "
        f"{'them' if len(others) > 1 else 'it'} (--ignore), or make numbers of {listing(c.name for c in others)} "
        "first; Scorer takes them as they are."
    )


def encoded(encoder: TableEncoder, numbers: Sequence[NumberColumn], used: NDArray[np.int64], X: Value) -> Value:
    """Raw columns ``(n, columns)`` as parts ``(n, D * V)``."""
    views = len(encoder.scalings)
    if not len(used):  # all rows are alike: one column of zeros
        shape = op("Concat", rows_in(X), np.array([encoder.layout.n_values]), axis=0)
        return op("Cast", op("ConstantOfShape", shape), to=DOUBLE)
    X = X.take(used, axis=1)  # (n, k)
    missing = op("IsNaN", X)
    for number in numbers_for_nothing(encoder.conventions):
        missing = missing | op("Equal", X, number)
    scales = encoder.state().arrays["scales"]
    scaled = [
        where(missing, scale[3], SCALINGS[scaling](X, *scale[:3]))
        for scaling, scale in zip(encoder.scalings, scales, strict=True)
    ]
    parts = op("Concat", *(op("Unsqueeze", one, np.array([2])) for one in scaled), axis=2)  # (n, k, V)
    gaps = np.array([place for place, at in enumerate(used) if numbers[at].indicator], dtype=np.int64)
    order = order_of(encoder)
    if len(gaps):
        flags = op("Cast", missing.take(gaps, axis=1), to=DOUBLE)  # (n, g)
        parts = side_by_side([parts, op("Expand", op("Unsqueeze", flags, np.array([2])), np.array([1, 1, views]))], 1)
    return parts.take(order, axis=1).reshape(-1, encoder.layout.n_values).rounded()


def order_of(encoder: TableEncoder) -> NDArray[np.int64]:
    """Which encoded column stands where, of all scaled ones followed by all indicators."""
    used = [column for column in encoder.columns if isinstance(column, NumberColumn) and column.used]
    order, gaps = [], len(used)
    for place, column in enumerate(used):
        order.append(place)
        if column.indicator:
            order.append(gaps)
            gaps += 1
    return np.array(order, dtype=np.int64)


def examples(scale: Floats, used: NDArray[np.int64], width: int, n: int) -> Floats:
    """Rows about as far spread as those of training, a tenth of the values missing, and some extreme."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, width))
    factor, center, spread = scale[:3]
    with np.errstate(over="ignore"):
        rows[:, used] = np.clip((center + spread * rng.normal(size=(n, len(used)))) / factor, -1e300, 1e300)
    extreme = rng.random(rows.shape) < 0.02
    rows[extreme] *= rng.choice(FAR, size=int(extreme.sum()))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


# ------------------------------------------------------------------------------------------- as `apply_scaling` does


def unscaled(X: Value, factor: Floats, center: Floats, spread: Floats) -> Value:
    """Cut at a very large number."""
    return X.clip(-LARGEST_RAW, LARGEST_RAW)


def linear(X: Value, factor: Floats, center: Floats, spread: Floats) -> Value:
    """Centred, in units of the spread, and cut."""
    return standard(X, factor, center, spread).clip(-LARGEST_SCALED, LARGEST_SCALED)


def quantile(X: Value, factor: Floats, center: Floats, spread: Floats) -> Value:
    """Centred, in units of the spread, and logarithmic where that is far."""
    scaled = standard(X, factor, center, spread)
    size = op("Abs", scaled).clip(None, np.finfo(np.float64).max)
    beyond = op("Sign", scaled) * (KNEE * (1.0 + (op("Max", size, KNEE) / KNEE).log()))
    return where(size > KNEE, beyond, scaled)


def bounded(X: Value, factor: Floats, center: Floats, spread: Floats) -> Value:
    """The same, in units of the column."""
    units = np.minimum(spread / factor, LARGEST_RAW)
    return (quantile(X, factor, center, spread) * units).clip(-LARGEST_RAW, LARGEST_RAW)


def standard(X: Value, factor: Floats, center: Floats, spread: Floats) -> Value:
    """Centred, in units of the spread."""
    return ((X if (factor == 1).all() else X * factor) - center) / spread


SCALINGS: dict[str, Callable[[Value, Floats, Floats, Floats], Value]] = {
    "quantile": quantile,
    "bounded": bounded,
    "robust": linear,
    "standard": linear,
    "unscaled": unscaled,
}
