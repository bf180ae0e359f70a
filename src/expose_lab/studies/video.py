"""Frames of UCSD Ped2: the default of videos, and what LOE did with video, beside plain detectors.

- *clean*: trained on the clips that its makers set aside for training, in which nothing is anomalous.
- *whole*: trained on all frames, those of the test among them, without labels, as an operator has them.
- *10 %*, *20 %*, *30 %*: the same, with so many anomalous frames removed at random that this share is left; it is
  told to the detector. So is the protocol of the paper on Ped1, as far as it is known.

All are judged on all frames of the test clips. One frame in four is looked at. What is judged by frames sees vectors of
a network, one for each; the score of a frame is the mean over five around it for all, and by itself beside that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from expose import AnomalyDetector
from expose.encoders import VideoEncoder
from expose.kinds import Video
from expose.objectives import NTL
from expose_lab.datasets.video import ped2
from expose_lab.pages import Page, Rows, table
from expose_lab.store import Row
from expose_lab.studies.base import Study

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]

EVERY: Final = 4  # frames
NETWORK: Final = "efficientnet-lite2"  # of vectors of whole frames
NEAR: Final = 5
SHARES: Final = {"10 %": 0.1, "20 %": 0.2, "30 %": 0.3}
PROTOCOLS: Final = ("clean", "whole", *SHARES)
PATCHES, PATCHES_TOLD = "patches, the default", "patches, told the share"
BY_FRAMES: Final = {
    "ntl blind": "blind", "ntl refine": "refine", "ntl hard": "hard", "ntl soft": "soft",
}  # fmt: skip
PLAIN: Final = ("nearest neighbours", "isolation forest")
DETECTORS: Final = (PATCHES, PATCHES_TOLD, *PLAIN, *BY_FRAMES)
SETTINGS: Final[dict[str, Any]] = {"epochs": 30, "batch_size": 128, "learning_rate": 4e-4}
PUBLISHED: Final = {  # of Ped1, with 10, 20 and 30 %
    "Sugiyama and Borgwardt, 2013": ("55.0", "56.0", "56.3"),
    "Pang et al., 2020": ("68.0", "70.0", "71.7"),
    "ntl blind": ("85.2", "76.0", "66.6"),
    "ntl refine": ("82.7", "74.9", "69.3"),
    "ntl hard": ("82.3", "59.6", "56.8"),
    "ntl soft": ("86.8", "79.2", "71.5"),
}


def cells(seeds: int, detectors: list[str], protocols: list[str]) -> Iterator[Row]:
    """Each detector under each protocol; seeds last, so that what is there early is complete."""
    for seed in range(seeds):
        for protocol in protocols:
            for detector in detectors:
                told = detector == PATCHES_TOLD or (detector in BY_FRAMES and detector != "ntl blind")
                if not (told and protocol == "clean"):
                    yield {"detector": detector, "protocol": protocol, "seed": seed}


def measure(cell: Row, data: Path) -> Row:
    """Train, score the frames of the test clips, and compare with the truth."""
    given = frames(data)
    rows, share = training_rows(cell["protocol"], given.odd, given.first, cell["seed"])
    started = time.process_time()
    if cell["detector"] in (PATCHES, PATCHES_TOLD):
        alone, means = by_patches(given.video, rows, share if cell["detector"] == PATCHES_TOLD else None, cell["seed"])
    else:
        alone = by_frames(cell["detector"], given.vectors, rows, share, cell["seed"])
        means = given.smoothed(alone)
    seconds = time.process_time() - started
    truth, clip = given.odd[given.first :], given.video.clip_of[given.first :]
    alone, means = alone[given.first :], means[given.first :]
    both = [one for one in np.unique(clip) if 0 < truth[clip == one].mean() < 1]
    return {
        "trained_on": len(rows),
        "anomalous": float(given.odd[rows].mean()),
        "judged": len(truth),
        "judged_anomalous": float(truth.mean()),
        "auroc": float(roc_auc_score(truth, means)),
        "auroc_alone": float(roc_auc_score(truth, alone)),
        "auroc_of_clips": float(np.mean([roc_auc_score(truth[clip == one], means[clip == one]) for one in both])),
        "ap": float(average_precision_score(truth, means)),
        "clips": len(both),
        "seconds": seconds,
    }


class Given:
    """All frames, of which those of the test come last, and what is known of them.

    Attributes
    ----------
    video : Video
    odd : (n,) array of int8
        1 for an anomalous frame.
    first : int
        The number of the first frame of the test.
    vectors : (n, V) array
    """

    def __init__(self, data: Path) -> None:
        found = ped2(data).every(EVERY)
        self.first = sum(map(len, found.training))
        self.video = Video((*found.training, *found.judged))
        self.odd = np.concatenate([np.zeros(self.first, dtype=np.int8), found.truth])
        self.encoder = VideoEncoder(NETWORK, side=224).suited(["vector"])
        self.vectors = self.encoder.fit_transform(self.video)

    def smoothed(self, scores: Floats) -> Floats:
        """Means over the frames around each."""
        around = self.encoder.around(self.video)
        assert around is not None
        return around.mean(scores)


@lru_cache(maxsize=1)
def frames(data: Path) -> Given:
    """The set, encoded once for all cells of a process."""
    return Given(data)


def training_rows(protocol: str, odd: NDArray[np.int8], first: int, seed: int) -> tuple[Numbers, float]:
    """Numbers of the frames that are trained on, and the share of anomalous ones among them.

    >>> odd = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 0])
    >>> training_rows("clean", odd, 5, 0)[0].tolist(), len(training_rows("10 %", odd, 5, 0)[0])
    ([0, 1, 2, 3, 4], 8)
    """
    if protocol == "clean":
        return np.arange(first), 0.0
    rows = np.arange(len(odd))
    if protocol != "whole":
        normal, anomalous = np.flatnonzero(odd == 0), np.flatnonzero(odd == 1)
        count = round(SHARES[protocol] / (1 - SHARES[protocol]) * len(normal))
        rows = np.sort(np.append(normal, np.random.default_rng(seed).choice(anomalous, count, replace=False)))
    return rows, float(odd[rows].mean())


def by_patches(video: Video, rows: Numbers, share: float | None, seed: int) -> tuple[Floats, Floats]:
    """Scores of all frames by the product as it is: of each by itself, and means."""
    detector = AnomalyDetector(contamination="auto" if share is None else share, random_state=seed, device="cpu")
    scorer = detector.fit(video.take(rows)).scorer()
    given = scorer.encoded(video)
    return scorer.fitted.scores(given.parts), scorer.scores(given)


def by_frames(detector: str, vectors: NDArray[np.float32], rows: Numbers, share: float, seed: int) -> Floats:
    """Scores of all frames by their vectors."""
    training = vectors[rows]
    if detector in BY_FRAMES:
        exposure = BY_FRAMES[detector]
        found = AnomalyDetector(
            NTL(**SETTINGS), encoder="unscaled", exposure=exposure,
            contamination=0.0 if exposure == "blind" else min(share, 0.49), random_state=seed, device="cpu",
        )  # fmt: skip
        scores: Floats = found.fit(training).anomaly_score(vectors)
        return scores
    if detector == "isolation forest":
        forest: Floats = -IsolationForest(random_state=seed).fit(training).score_samples(vectors)
        return forest
    near = NearestNeighbors(n_neighbors=NEAR + 1).fit(training)
    distances = near.kneighbors(vectors)[0]
    known = np.isin(np.arange(len(vectors)), rows)  # a frame is no neighbour of its own
    own: Floats = np.where(known, distances[:, NEAR], distances[:, NEAR - 1]).astype(np.float64)
    return own


def context(page: Page) -> dict[str, Any]:
    """A line for each detector, a column for each protocol."""
    rows = page.rows("video")
    protocols = [one for one in PROTOCOLS if rows.where(protocol=one)]

    def means(column: str) -> str:
        lines = [[name, *(shown(rows.where(detector=name, protocol=one), column) for one in protocols)]
                 for name in DETECTORS if rows.where(detector=name)]  # fmt: skip
        return table([f"{METRICS[column]}, %", *protocols], lines)

    whole = rows.where(protocol="whole")
    return {
        "means": means,
        "metrics": METRICS,
        "published": table(
            ["AUROC of frames on Ped1, %", *SHARES], [[name, *said] for name, said in PUBLISHED.items()]
        ),
        "counts": {one: rows.where(protocol=one)[0] for one in protocols},
        "judged": rows[0]["judged"],
        "judged_anomalous": rows[0]["judged_anomalous"],
        "whole_anomalous": whole[0]["anomalous"] if whole else None,
        "clips": rows[0]["clips"],
        "seeds": len(rows.each("seed")),
        "every": EVERY,
        "network": NETWORK,
        "settings": SETTINGS,
        "near": NEAR,
        "date": rows.finished,
    }


METRICS: Final = {
    "auroc": "AUROC of frames, mean over five",
    "auroc_alone": "AUROC of frames, each by itself",
    "auroc_of_clips": "mean AUROC within clips, mean over five",
    "ap": "average precision, mean over five",
}


def shown(rows: Rows, column: str) -> str:
    """Mean over seeds, and how far they spread."""
    values = rows.values(column)
    if not values:
        return ""
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 and np.std(values) > 0 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


STUDY = Study(
    "video",
    "frames of UCSD Ped2: the default of videos and LOE's exposures, clean, unlabelled and contaminated",
    cells=cells,
    measure=measure,
    options={"seeds": 3, "detectors": list(DETECTORS), "protocols": list(PROTOCOLS)},
    page="benchmark/video.md",
    context=context,
)
