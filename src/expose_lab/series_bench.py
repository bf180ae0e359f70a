"""The benchmark on series: the default beside published detectors, by the cells of the study of series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from expose_lab.runner import check_place, run
from expose_lab.store import Row, Store
from expose_lab.studies.base import StudyCell
from expose_lab.studies.series import OURS, STUDY, cells

if TYPE_CHECKING:
    import pyarrow as pa

CONTENDERS: Mapping[str, str] = {  # as the command line has them
    "Sub-PCA": "Sub-PCA, whitened",
    "kNN": "kNN on windows",
    "IsolationForest": "isolation forest",
    "MatrixProfile": "matrix profile",
}
SHOWN = ("vus_pr", "vus_roc", "average_precision", "affiliation_f1", "range_f1", "seconds")


def bench_series(
    collections: Sequence[str],
    baselines: Iterable[str] = ("Sub-PCA", "kNN", "IsolationForest"),
    *,
    out: Path | None = None,
    protocols: Sequence[str] = ("whole", "later"),
    seeds: int = 1,
    data_dir: str = "",
    n_jobs: int = 1,
    backend: str = "loky",
    address: str | None = None,
    verbose: int = 0,
) -> pa.Table:
    """Measure the default and published detectors on series, unlabelled as an operator has them.

    Parameters
    ----------
    collections : sequence of {"nab", "msl", "smd", "smap"}
        See `expose_lab.datasets.series`.
    baselines : iterable of str
        Of `CONTENDERS`.
    protocols : sequence of {"whole", "later"}
        Series are judged by themselves, or their later half by a fit on the first, anomalies included.
    seeds : int
        How many, of detectors that have any.
    data_dir : str
        Folder of data sets, below which the collections lie in ``timeseries``.
    out, n_jobs, backend, address, verbose
        As of `expose_lab.bench`.

    Returns
    -------
    pyarrow.Table
        One row per detector, protocol, seed and series.
    """
    check_place(backend, n_jobs)
    who = [OURS, *(CONTENDERS[name] for name in baselines)]
    tasks = [
        StudyCell(STUDY.name, facts, STUDY.measure_of(facts), data_dir)
        for facts in cells(seeds, who, collections)
        if facts["protocol"] in protocols
    ]
    with Store(out) as store:
        return run(tasks, store, n_jobs=n_jobs, backend=backend, address=address, verbose=verbose)


def series_means(rows: Iterable[Row]) -> list[Row]:
    """Means over series, a line for each protocol and detector, the best VUS-PR first; more seeds do not count more."""
    return sorted(_means(list(rows)), key=lambda line: (line["protocol"], -line["vus_pr"]))


def _means(rows: list[Row]) -> Iterator[Row]:
    for protocol, detector in sorted({(row["protocol"], row["detector"]) for row in rows}):
        own = [row for row in rows if (row["protocol"], row["detector"]) == (protocol, detector)]
        each = [[row for row in own if row["series"] == name] for name in sorted({row["series"] for row in own})]
        means: dict[str, Any] = {name: fmean(fmean(row[name] for row in one) for one in each) for name in SHOWN}
        yield {"protocol": protocol, "detector": detector, **means, "series": len(each), "runs": len(own)}
