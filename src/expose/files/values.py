"""Single values: which stand for nothing, and under which name one counts."""

from __future__ import annotations

import decimal
import math

import numpy as np


def is_missing(value: object) -> bool:
    """Tell whether a value stands for nothing: None, NaN, NaT, pandas' NA."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating | decimal.Decimal) and math.isnan(value)


def is_empty(value: object) -> bool:
    """Tell whether a cell of a label column says nothing: it is missing, or an empty text."""
    return is_missing(value) or (isinstance(value, str) and not value)


def key_of(value: object) -> str:
    """Return the name under which a value counts as a category; the same for 1, 1.0 and "1".

    >>> key_of(1.0), key_of("1"), key_of(True), key_of(2.5)
    ('1', '1', 'true', '2.5')
    >>> key_of(np.datetime64("2025-01-31T00:00")), key_of(np.datetime64("2025-01-31T09:30"))
    ('2025-01-31', '2025-01-31 09:30:00')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64):
        return str(int(value))
    if isinstance(value, float | np.floating | decimal.Decimal):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return _moment_in_words(value) if isinstance(value, np.datetime64) else str(value)


def _moment_in_words(moment: np.datetime64) -> str:
    """A moment as briefly as it can be written: midnight is its day."""
    units = ("D", "s", "us")
    unit = next((unit for unit in units if moment == moment.astype(f"datetime64[{unit}]")), units[-1])
    return str(moment.astype(f"datetime64[{unit}]")).replace("T", " ")
