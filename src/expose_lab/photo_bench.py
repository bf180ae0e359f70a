"""The benchmark on folders of photos, laid out as those of MVTec AD: one row for each detector, share and seed.

It stands beside `grid` and shares its contenders, runner and store. What is another: photos are read when they are
asked for, a folder says itself which photos are for training, and heat maps are judged where there are masks.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import time
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from expose import AnomalyDetector
from expose.errors import InputError
from expose.kinds import kind_named
from expose.objectives import OBJECTIVES
from expose_lab.contenders import Contender, assume, assumed_by, judge, own_modules, parameters_of
from expose_lab.datasets.photos import PhotoSet, photo_folder
from expose_lab.metrics import pixel_metrics, ranking
from expose_lab.photo_contenders import PhotoBaseline
from expose_lab.protocols import Numbers, chosen
from expose_lab.provenance import code_of
from expose_lab.runner import check_place, run
from expose_lab.store import Row, Store

if TYPE_CHECKING:
    import pyarrow as pa

PROTOCOLS = ("clean", "disjoint", "overlap")
PIXELS = ("pixel_auroc", "pixel_average_precision", "aupro")


def bench_photos(
    folders: Iterable[Path],
    contenders: Iterable[Contender],
    *,
    out: Path | None = None,
    protocols: Sequence[str] = ("disjoint",),
    true_ratios: Sequence[float] = (0.1,),
    assumed_ratios: Sequence[float | str] = ("true",),
    seeds: Sequence[int] = (0, 1, 2),
    n_jobs: int = 1,
    backend: str = "loky",
    address: str | None = None,
    verbose: int = 0,
) -> pa.Table:
    """Measure detectors on folders of photos whose training photos are contaminated on purpose.

    Parameters
    ----------
    folders : iterable of Path
        See `expose_lab.datasets.photos.photo_folder`.
    contenders : iterable of Contender
        Such as ``ours(["auto"])``, and ``own({"PaDiM": PhotoBaseline("PaDiM")})``.
    out, n_jobs, backend, address, verbose
        As of `expose_lab.bench`.
    protocols : sequence of {"clean", "disjoint", "overlap"}
        Photos of ``train/good``, and with them no anomaly, half of those for the test, which the other half stays for,
        or tested ones, as some papers have it.
    true_ratios, assumed_ratios, seeds
        As of `expose_lab.grid.grid_of`.

    Returns
    -------
    pyarrow.Table
        One row per run, with areas by photo and, where there are masks, by pixel.
    """
    check_place(backend, n_jobs)
    if wrong := [name for name in protocols if name not in PROTOCOLS]:
        raise InputError(f"protocols for photos are {', '.join(PROTOCOLS)}; got {', '.join(wrong)}.")
    who = list(contenders)
    tasks = [
        PhotoCell(folder, protocol, ratio, assumed, one, seed)
        for folder in folders
        for protocol in protocols
        for ratio in ((0.0,) if protocol == "clean" else true_ratios)
        for assumed in assumed_ratios
        for one in who
        for seed in seeds
        if one.plain or not (assumed == 0 or (assumed == "true" and ratio == 0))
    ]
    with Store(out) as store:
        return run(tasks, store, n_jobs=n_jobs, backend=backend, address=address, verbose=verbose)


@dataclass(frozen=True)
class PhotoCell:
    """A contender on a folder of photos. A `runner.Task` with one key."""

    folder: Path
    protocol: str
    true_ratio: float
    assumed: float | str
    contender: Contender
    seed: int

    @property
    def keys(self) -> tuple[str, ...]:
        """The digest of all that determines its row."""
        who = self.contender
        parts = [fingerprint(self.folder), self.protocol, self.true_ratio, self.assumed, self.seed]
        parts += [who.detector, who.exposure, who.settings, who.identity, self.code, who.versions]
        return (hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32],)

    @property
    def code(self) -> str:
        """A digest of the code that makes the row; the default for photos is one of the objectives."""
        usual = OBJECTIVES[kind_named("image").objective]
        return code_of([*self.contender.roots, *own_modules([usual]), __name__])

    def only(self, keys: Collection[str]) -> PhotoCell:
        """All of it."""
        return self

    def check(self) -> None:
        """Nothing is known to be missing."""

    def run(self) -> list[Row]:
        """Split, fit, score and measure."""
        photos = photo_folder(self.folder)
        rows = split_of(photos, self)
        truth = photos.y[rows.train]
        told = float(truth.mean()) if self.assumed == "true" else self.assumed
        made = self.contender.make(photos.name, len(truth), 0)
        detector = assume(made, told, self.seed, len(truth))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            started = time.perf_counter()
            detector.fit(photos.take(rows.train).photos)
            found = {"fit_seconds": time.perf_counter() - started} | measured(detector, photos.take(rows.test))
        return [self.facts(rows, truth, assumed_by(detector, told), parameters_of(detector)) | found]

    def facts(self, rows: Numbers, truth: NDArray[np.int8], assumed: float | None, parameters: Row) -> Row:
        """What was run, in the words of `grid`."""
        return {
            "key": self.keys[0],
            "dataset": self.folder.name,
            "protocol": self.protocol,
            "true_ratio": self.true_ratio,
            "reached_ratio": float(truth.mean()),
            "assumed": str(self.assumed),
            "assumed_ratio": assumed,
            "detector": self.contender.detector,
            "exposure": self.contender.exposure,
            "settings": self.contender.settings,
            "parameters": json.dumps(parameters, default=str, sort_keys=True),
            "seed": self.seed,
            "n_train": len(rows.train),
            "n_test": len(rows.test),
            "code": self.code,
            "data": fingerprint(self.folder),
            "versions": json.dumps(self.contender.versions, sort_keys=True),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }

    def __str__(self) -> str:
        who = f"{self.contender.detector} {self.contender.exposure} ({self.contender.settings})"
        return f"{who} on {self.folder.name}, {self.protocol} {self.true_ratio:g}, seed {self.seed}"


def split_of(photos: PhotoSet, cell: PhotoCell) -> Numbers:
    """Photos of the folder's training part for training, some of the others' anomalies among them."""
    n_train, n_odd = int(photos.training.sum()) if photos.training is not None else 0, int(photos.y.sum())
    tested = n_odd - n_odd // 2 if cell.protocol == "disjoint" else n_odd
    sizes = {"train": n_train, "test": len(photos) - n_train - n_odd, "anomalies": tested}
    overlap = cell.protocol == "overlap"
    return chosen(photos.y, seed=cell.seed, ratio=cell.true_ratio, overlap=overlap, first=photos.training, **sizes)


def measured(detector: Any, test: PhotoSet) -> Row:
    """How good a fitted detector is, by photo and by pixel."""
    started = time.perf_counter()
    scores, flagged = judge(detector, test.photos)  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    return {
        "auroc": ranking.auroc(test.y, scores),
        "average_precision": ranking.average_precision(test.y, scores),
        "base_rate": ranking.base_rate(test.y),
        "f1_oracle": ranking.f1_at_ratio(test.y, scores),
        "f1": ranking.f1_flagged(test.y, flagged),
        "fpr": ranking.fpr_flagged(test.y, flagged),
        "fpr_at_95": ranking.fpr_at_tpr(test.y, scores),
        "score_seconds": seconds,
        **by_pixel(detector, test),
    }


def by_pixel(detector: Any, test: PhotoSet) -> dict[str, float | None]:
    """How good its heat maps are, where there are masks; photos that have a defect and no mask are left out."""
    rows = np.array([row for row in range(len(test)) if not test.y[row] or test.mask(row) is not None])
    masks = [test.mask(row) for row in rows]
    maps = maps_of(detector, test.take(rows).photos) if any(mask is not None for mask in masks) else None
    return dict.fromkeys(PIXELS) if maps is None else dict(pixel_metrics(masks, maps))


def maps_of(detector: Any, photos: Any) -> Sequence[Any] | None:
    """Heat maps of photos, if the detector makes some."""
    if isinstance(detector, PhotoBaseline):
        return detector.maps(photos)
    scorer = detector.scorer() if isinstance(detector, AnomalyDetector) else None
    return scorer.maps(photos) if scorer and scorer.fitted.has_places else None


@lru_cache
def fingerprint(folder: Path) -> str:
    """A digest of all files of a folder, with their names."""
    code = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        code.update(f"{path.relative_to(folder).as_posix()} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return code.hexdigest()[:32]
