"""What a request may ask for, so that none can take the service from the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from expose.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes
    ----------
    body : int
        Bytes of a body: as it is sent, and unpacked again.
    rows : int
        Samples of a request.
    columns : int
        Of a table; each costs time, looked at or not.
    cells : int
        Rows times columns of a table.
    files : int
        Files of a request.
    pixels : int
        Of all its photos, unpacked: a few kilobytes can hold millions.
    seconds : float
        From the first byte of a request to its answer.
    waiting : int
        Requests that are read or wait for their scores. Further ones are turned away until there is room.
    together : int
        Rows of concurrent requests that are scored together.
    gather : float
        Seconds for which rows wait for those of a request that is being received. A lone request never waits.

    Raises
    ------
    InputError
        When one is no positive number.

    Examples
    --------
    >>> Limits(rows=10).rows
    10
    """

    body: int = 64 * 2**20
    rows: int = 100_000
    columns: int = 10_000
    cells: int = 10_000_000
    files: int = 1_000
    pixels: int = 2_000_000_000
    seconds: float = 60.0
    waiting: int = 256
    together: int = 1_024
    gather: float = 0.002

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            least = 0 if one.name == "gather" else 1e-3
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
                raise InputError(f"{one.name} must be a positive number; got {value!r}.")
