"""From rows of results to cells and to a matrix of data sets by contenders, the form that statistics need.

A cell is all that a benchmark varies but the seed. Here its seeds become a mean and a spread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from expose.errors import InputError
from expose_lab.contenders import PLAIN

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = ("dataset", "protocol", "true_ratio", "assumed", "detector", "exposure", "settings")
CAPS = ("train_rows", "test_rows")


class Who(NamedTuple):
    """A contender by its names; as text without "as is", which says nothing."""

    detector: str
    exposure: str
    settings: str

    def __str__(self) -> str:
        return self.detector if self.exposure == "as is" else f"{self.detector} {self.exposure}"


@dataclass(frozen=True, order=True)
class CellMean:
    """One metric of one cell over its seeds.

    Attributes
    ----------
    dataset, protocol, assumed : str
    true_ratio : float
    who : Who
        The contender.
    mean : float
    std : float
        Standard deviation over the seeds, with n - 1; NaN for one seed.
    n_seeds : int
    """

    dataset: str
    protocol: str
    true_ratio: float
    assumed: str
    who: Who
    mean: float
    std: float
    n_seeds: int

    @property
    def assumes_nothing(self) -> bool:
        """Whether the contender was told that no row is anomalous."""
        return self.assumed in ("0", "0.0") or (self.assumed == "true" and self.true_ratio == 0)

    @property
    def assumes_truth(self) -> bool:
        """Whether the contender was told the true share."""
        return self.assumed == "true" or (self.assumed != "auto" and float(self.assumed) == self.true_ratio)


@dataclass(frozen=True)
class Matrix:
    """One number per data set and contender, no hole in it.

    Attributes
    ----------
    values : (n, k) array of float
    datasets : tuple of n str
    contenders : tuple of k Who
    left_out : dict
        Data sets that are not in it, each with the contenders whose result is missing.
    """

    values: NDArray[np.float64]
    datasets: tuple[str, ...]
    contenders: tuple[Who, ...]
    left_out: dict[str, tuple[Who, ...]]


def latest(table: pa.Table) -> pa.Table:
    """Of rows that differ in code, data or library versions only, the one finished last; in the given order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from expose_lab.grid import schema
    >>> rows = [{"dataset": "wine", "seed": 0, "auroc": 0.8, "finished": "2026-01-01"}]
    >>> rows += [{"dataset": "wine", "seed": 0, "auroc": 0.9, "finished": "2026-01-02"}]
    >>> latest(pa.Table.from_pylist(rows, schema=schema()))["auroc"].to_pylist()
    [0.9]
    """
    columns = [table[name].to_pylist() for name in (*NAMES, *CAPS, "seed")]
    finished = table["finished"].to_pylist()
    last: dict[tuple[object, ...], int] = {}
    for place, run in enumerate(zip(*columns, strict=True)):
        if run not in last or (finished[place] or "") >= (finished[last[run]] or ""):
            last[run] = place
    return table.take(sorted(last.values()))


def cells(table: pa.Table, metric: str) -> list[CellMean]:
    """Mean and spread of a metric over the seeds of each cell, in the order of their first rows.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of results, as of `read_results`, each seed of a cell once (`latest`).
    metric : str
        A column of numbers, such as "auroc" or "fit_seconds".

    Raises
    ------
    InputError
        If there is no such column, a value is missing or not finite, or a cell has a seed twice, as it has if runs with
        different caps on the rows lie in one table.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from expose_lab.grid import schema
    >>> rows = [{"dataset": "wine", "detector": "ntl", "seed": s, "auroc": v} for s, v in ((0, 0.8), (1, 0.9))]
    >>> [cell] = cells(pa.Table.from_pylist(rows, schema=schema()), "auroc")
    >>> round(cell.mean, 3), round(cell.std, 3), cell.n_seeds
    (0.85, 0.071, 2)
    """
    missing = {metric, *NAMES, "seed"} - set(table.column_names)
    if missing:
        raise InputError(f"The table has no column {sorted(missing)}. Its columns are {sorted(table.column_names)}.")
    columns = [table[name].to_pylist() for name in (*NAMES, "seed", metric)]
    found: dict[tuple[object, ...], dict[int, float]] = {}
    for *names, seed, value in zip(*columns, strict=True):
        seeds = found.setdefault(tuple(names), {})
        if not isinstance(value, int | float) or not np.isfinite(value):
            raise InputError(f"{metric} of {names}, seed {seed}, is {value!r}, not a finite number.")
        if seed in seeds:
            raise InputError(f"{names} has more than one row for seed {seed}. Keep one, such as by `latest`.")
        seeds[seed] = float(value)
    return [mean_of(*names, values=list(seeds.values())) for names, seeds in found.items()]  # type: ignore[arg-type]


def mean_of(
    dataset: str,
    protocol: str,
    true_ratio: float,
    assumed: str,
    detector: str,
    exposure: str,
    settings: str,
    *,
    values: list[float],
) -> CellMean:
    """Make a cell of the values of its seeds."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    who = Who(detector, exposure, settings)
    return CellMean(dataset, protocol, true_ratio, assumed, who, float(np.mean(values)), std, len(values))


def fill_plain(found: Iterable[CellMean]) -> list[CellMean]:
    """Add, behind the given cells, those that were not run because a plain contender stands for them.

    Where nothing is assumed to be anomalous every exposure is blind and trimming drops nothing, so only the exposures
    "blind" and "as is" are run there. This copies their results to the other exposures of the same detector and
    settings that occur elsewhere.

    Examples
    --------
    >>> blind, soft = Who("ntl", "blind", "brief"), Who("ntl", "soft", "brief")
    >>> clean = CellMean("wine", "disjoint", 0.0, "true", blind, 0.9, 0.01, 3)
    >>> mixed = CellMean("wine", "disjoint", 0.1, "true", soft, 0.8, 0.01, 3)
    >>> [(cell.who.exposure, cell.true_ratio, cell.mean) for cell in fill_plain([clean, mixed])]
    [('blind', 0.0, 0.9), ('soft', 0.1, 0.8), ('soft', 0.0, 0.9)]
    """
    cells_ = list(found)
    there = {place_of(cell) for cell in cells_}
    kinds = dict.fromkeys(cell.who for cell in cells_)
    added = [
        replace(cell, who=other)
        for cell in cells_
        if cell.assumes_nothing and cell.who.exposure in PLAIN
        for other in kinds
        if (other.detector, other.settings) == (cell.who.detector, cell.who.settings) and other != cell.who
    ]
    return cells_ + [cell for cell in added if place_of(cell) not in there]


def place_of(cell: CellMean) -> tuple[object, ...]:
    """All names of a cell."""
    return (cell.dataset, cell.protocol, cell.true_ratio, cell.assumed, cell.who)


def pivot(found: Iterable[CellMean], contenders: Iterable[Who] | None = None) -> Matrix:
    """Means as a matrix of data sets by contenders; data sets without a result of each contender are left out.

    Parameters
    ----------
    found : iterable of CellMean
        Of one protocol, true ratio and assumed ratio.
    contenders : iterable of Who, optional
        The columns; by default all contenders that occur, in the order met.

    Raises
    ------
    InputError
        If a contender has two cells on one data set, or no data set is complete.

    Examples
    --------
    >>> a, b = Who("ntl", "blind", "brief"), Who("ntl", "soft", "brief")
    >>> def cell(dataset, who, mean):
    ...     return CellMean(dataset, "disjoint", 0.1, "true", who, mean, 0.01, 3)
    >>> matrix = pivot([cell("wine", a, 0.8), cell("wine", b, 0.9), cell("musk", a, 0.7)])
    >>> matrix.values.tolist(), matrix.datasets, {k: [str(w) for w in v] for k, v in matrix.left_out.items()}
    ([[0.8, 0.9]], ('wine',), {'musk': ['ntl soft']})
    """
    means: dict[tuple[str, Who], float] = {}
    for cell in found:
        key = (cell.dataset, cell.who)
        if key in means:
            raise InputError(
                f"{cell.who} has more than one cell on {cell.dataset!r}. Keep those of one protocol, true and assumed "
                "ratio."
            )
        means[key] = cell.mean
    columns = tuple(dict.fromkeys(who for _, who in means) if contenders is None else contenders)
    sets = sorted({dataset for dataset, _ in means})
    holes = {name: tuple(who for who in columns if (name, who) not in means) for name in sets}
    complete = tuple(name for name in sets if not holes[name])
    if not complete or not columns:
        raise InputError(
            f"None of {len(sets)} data sets has a result of each of {len(columns)} contenders. Leave some out."
        )
    values = np.array([[means[name, who] for who in columns] for name in complete])  # (n, k)
    return Matrix(values, complete, columns, {name: who for name, who in holes.items() if who})
